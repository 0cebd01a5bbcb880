"""From an intended edit to the bytes it would leave, and the diff that people see. Pure.

The client applies the edit itself, by its own rules; where those are looser than ours (fuzzy matching, corrections
by a model) the result is not predicted: `after` stays None and the edit asked for is shown instead.
"""

from __future__ import annotations

import difflib

from msgspec.structs import replace

from keyturn.actions import FileEdit
from keyturn.canonical import digest_bytes
from keyturn.gates.hooks.model import Edit, Hunk, Replacement

MAX_DIFFED_BYTES = 262_144
"""Files beyond this are bound by digest only: a diff of them is no help to a reviewer and costs quadratic time."""
MAX_DIFFED_LINES = 8_000


def asked(edit: Edit) -> str:
    """The edit in words of its own, before any file was read: what the reviewer sees when there is no diff."""
    if edit.text is not None:
        return _marked("+", edit.text)
    if edit.hunks:
        return "".join(_asked_hunk(hunk) for hunk in edit.hunks)
    return "".join(
        f"@@ {'every occurrence' if change.every else 'one occurrence'} @@\n"
        + _marked("-", change.old)
        + _marked("+", change.new)
        for change in edit.replacements
    )


def _asked_hunk(hunk: Hunk) -> str:
    lines = difflib.ndiff([*hunk.old], [*hunk.new])
    body = "".join(f"{line[0]}{line[2:]}\n" for line in lines if not line.startswith("?"))
    return f"@@ {hunk.anchor}\n" + body


def _marked(mark: str, text: str) -> str:
    return "".join(f"{mark}{line}\n" for line in text.splitlines())


def filled(content: FileEdit, edit: Edit | None, before: bytes | None) -> FileEdit:
    """*content* with digests and diff, given the file's present bytes (None: there is no file, or it can't be read)."""
    digest = None if before is None else digest_bytes(before)
    if content.operation in ("read", "delete") or edit is None:
        return replace(content, before=digest)
    after = applied(edit, before)
    operation = "create" if before is None and content.operation == "write" else content.operation
    if after is None:
        return replace(content, operation=operation, before=digest)
    shown = _diff(content.path, before or b"", after) or content.diff
    return replace(content, operation=operation, before=digest, after=digest_bytes(after), diff=shown)


def applied(edit: Edit, before: bytes | None) -> bytes | None:
    """The bytes that *edit* leaves, or None when that can't be said exactly."""
    if edit.text is not None:
        return edit.text.encode("utf-8", "surrogatepass")
    try:
        text = (before or b"").decode("utf-8")
    except UnicodeDecodeError:
        return None
    changed = _patched(text, edit.hunks) if edit.hunks else _replaced(text, edit.replacements, before is None)
    return None if changed is None else changed.encode("utf-8", "surrogatepass")


def _replaced(text: str, changes: tuple[Replacement, ...], absent: bool) -> str | None:
    for change in changes:
        if not change.old:
            if not absent and text:
                return None
            text = change.new
            continue
        found = text.count(change.old)
        if found == 0 or (found > 1 and not change.every):
            return None
        text = text.replace(change.old, change.new)
    return text


def _patched(text: str, hunks: tuple[Hunk, ...]) -> str | None:
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    at = 0
    for hunk in hunks:
        if hunk.anchor:
            if hunk.anchor not in lines[at:]:
                return None
            at = lines.index(hunk.anchor, at) + 1
        place = _find(lines, hunk, at)
        if place is None:
            return None
        lines[place : place + len(hunk.old)] = hunk.new
        at = place + len(hunk.new)
    return "\n".join(lines) + "\n" if lines else ""


def _find(lines: list[str], hunk: Hunk, start: int) -> int | None:
    size = len(hunk.old)
    if size == 0:
        return len(lines)
    if hunk.at_end:
        last = len(lines) - size
        return last if last >= start and tuple(lines[last:]) == hunk.old else None
    for place in range(start, len(lines) - size + 1):
        if lines[place] == hunk.old[0] and tuple(lines[place : place + size]) == hunk.old:
            return place
    return None


def _diff(path: str, before: bytes, after: bytes) -> str:
    """A unified diff, or nothing when there is none worth showing (too large, not text)."""
    if max(len(before), len(after)) > MAX_DIFFED_BYTES:
        return ""
    try:
        old, new = before.decode("utf-8"), after.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if max(len(old_lines), len(new_lines)) > MAX_DIFFED_LINES:
        return ""
    pieces = difflib.unified_diff(old_lines, new_lines, fromfile=f"a{path}", tofile=f"b{path}")
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in pieces
    )
