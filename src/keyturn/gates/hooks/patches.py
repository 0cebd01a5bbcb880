"""The patch envelope of `apply_patch`, read exactly. Anything else is refused.

*** Begin Patch
*** Add File: PATH            then lines that start with `+`
*** Delete File: PATH
*** Update File: PATH         then optionally `*** Move to: PATH`, then hunks:
@@ ANCHOR                     a line of the file to start below; may be empty
 context / -removed / +added
*** End of File               the hunk above lies at the file's end
*** End Patch
"""

from __future__ import annotations

from keyturn.actions import FileEdit
from keyturn.gates.hooks.edits import asked
from keyturn.gates.hooks.model import Edit, Hunk, Proposal
from keyturn.gates.hooks.payload import HookMalformed, joined

_BEGIN, _END = "*** Begin Patch", "*** End Patch"
_ADD, _DELETE, _UPDATE = "*** Add File: ", "*** Delete File: ", "*** Update File: "
_MOVE, _END_OF_FILE = "*** Move to: ", "*** End of File"


def proposals_of(patch: str, cwd: str, tool: str = "apply_patch") -> tuple[Proposal, ...]:
    """One proposal for each file that *patch* touches; a move is a deletion and a write. Raises `HookMalformed`."""
    lines = patch.strip("\n").split("\n")
    if len(lines) < 3 or lines[0].rstrip() != _BEGIN or lines[-1].rstrip() != _END:
        raise HookMalformed("The patch does not start and end as a patch does.")
    found: list[Proposal] = []
    body = lines[1:-1]
    at = 0
    while at < len(body):
        end = at + 1
        while end < len(body) and not body[end].startswith((_ADD, _DELETE, _UPDATE)):
            end += 1
        found.extend(_section(body[at], body[at + 1 : end], cwd, tool))
        at = end
    paths = [item.content.path for item in found if isinstance(item.content, FileEdit)]
    if len(set(paths)) != len(paths):
        raise HookMalformed("The patch touches one file more than once, so its result is not plain.")
    return tuple(found)


def _section(head: str, body: list[str], cwd: str, tool: str) -> list[Proposal]:
    if head.startswith(_ADD):
        if not all(line.startswith("+") for line in body):
            raise HookMalformed("An added file has a line that is not an added one.")
        edit = Edit(text="".join(line[1:] + "\n" for line in body))
        return [_file(joined(cwd, head[len(_ADD) :].strip()), "write", edit, tool)]
    if head.startswith(_DELETE):
        if any(line.strip() for line in body):
            raise HookMalformed("A deleted file is followed by lines.")
        return [_file(joined(cwd, head[len(_DELETE) :].strip()), "delete", None, tool)]
    if not head.startswith(_UPDATE):
        raise HookMalformed(f"The patch has a line that starts no file: {head[:80]!r}.")
    path = joined(cwd, head[len(_UPDATE) :].strip())
    moved = body[0][len(_MOVE) :].strip() if body and body[0].startswith(_MOVE) else None
    hunks = _hunks(body[1:] if moved else body)
    if moved:
        # The destination gets the patched source, which only the file's bytes can tell: shown as asked for.
        target = FileEdit(joined(cwd, moved), "write", diff=asked(Edit(hunks=hunks)) if hunks else "")
        return [_file(path, "delete", None, tool), Proposal(target, tool)]
    if not hunks:
        raise HookMalformed("An update changes nothing.")
    return [_file(path, "edit", Edit(hunks=hunks), tool)]


def _file(path: str, operation: str, edit: Edit | None, tool: str) -> Proposal:
    diff = asked(edit) if edit else ""
    return Proposal(FileEdit(path, operation, diff=diff), tool, edit)  # type: ignore[arg-type]


def _hunks(body: list[str]) -> tuple[Hunk, ...]:
    hunks: list[Hunk] = []
    old: list[str] = []
    new: list[str] = []
    anchor = ""

    def close(at_end: bool = False) -> None:
        nonlocal anchor
        if old or new:
            hunks.append(Hunk(tuple(old), tuple(new), anchor, at_end))
            old.clear()
            new.clear()
            anchor = ""

    for line in body:
        if line == "@@" or line.startswith("@@ "):
            close()
            if anchor:
                raise HookMalformed("Two anchors follow each other; only one is read.")
            anchor = line[3:]
        elif line.rstrip() == _END_OF_FILE:
            close(at_end=True)
        elif line[:1] in ("+", "-", " ", ""):
            if line[:1] != "+":
                old.append(line[1:])
            if line[:1] != "-":
                new.append(line[1:])
        else:
            raise HookMalformed(f"The patch has a line that is neither context nor change: {line[:80]!r}.")
    close()
    return tuple(hunks)
