"""What is different between two definitions: part by part, and what the newer one may do that the older could not.

Pure. Texts come in as functions of a part, because they lie elsewhere; a part without one is compared by its digest alone.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from keyturn.drift.definition import KINDS, Definition, Kind, Part
from keyturn.drift.definition_may import Gain, gains
from keyturn.drift.lexicon import Lexicon

Change = Literal["added", "removed", "changed"]
Text = Callable[[Part], str | None]

HEADINGS = (
    ("+", "What it may do more:"),
    ("~", "What changed in what it may do:"),
    ("-", "What it may do less:"),
)

MAX_LINES = 4000
"""Lines of a part that are compared line by line: the comparison is quadratic at worst."""
MAX_SHOWN = 200_000
"""Characters of all differences together that are shown."""


class PartChange(Struct, frozen=True):
    """One part that is different. `diff` is a unified diff, or words where there is no text to compare."""

    kind: Kind
    name: str
    change: Change
    before: str = ""
    after: str = ""
    diff: str = ""


class Comparison(Struct, frozen=True):
    """All differences from `before` to `after` (digests; empty `before`: there is none), and what follows from them.

    `named`: what the instructions of `after` name and it may not do, a sentence each.
    """

    before: str
    after: str
    parts: tuple[PartChange, ...] = ()
    may: tuple[Gain, ...] = ()
    told: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """In one line."""
        counts = [(sum(p.change == c for p in self.parts), c) for c in ("added", "changed", "removed")]
        words = ", ".join(f"{n} {c}" for n, c in counts if n)
        return f"Parts: {words}." if words else " ".join(self.told) or "Nothing is different."

    @property
    def text(self) -> str:
        """Everything as text, as reviewers are shown it."""
        lines = [*self.told]
        for sign, heading in HEADINGS:
            found = [gain for gain in self.may if gain.sign == sign]
            lines += [heading, *(f"{gain.sign} {gain.words}" for gain in found)] if found else []
        lines += (
            ["What its instructions name and it may not do:", *(f"! {one}" for one in self.named)]
            if self.named
            else []
        )
        for part in self.parts:
            lines += ["", f"{part.kind}: {part.name} ({part.change})", part.diff.rstrip("\n")]
        whole = "\n".join(lines).strip("\n") + "\n"
        if len(whole) > MAX_SHOWN:
            return whole[:MAX_SHOWN] + "\n… (the rest is longer than is shown here)\n"
        return whole


def compare(
    before: Definition | None, after: Definition, text_of: Text, lexicon: Lexicon | None = None
) -> Comparison:
    """What is different from *before* (None: there was none) to *after*; *lexicon* reads instructions, English without it."""
    old = {part.key: part for part in before.parts} if before else {}
    new = {part.key: part for part in after.parts}
    keys = sorted(old.keys() | new.keys(), key=lambda key: (KINDS.index(key[0]), key[1]))
    changes = [
        _change(old.get(key), new.get(key), text_of)
        for key in keys
        if getattr(old.get(key), "digest", None) != getattr(new.get(key), "digest", None)
    ]
    told = []
    if before is not None:
        for name, was, now in (("Model", before.model, after.model), ("Client", before.client, after.client)):
            if was != now:
                told.append(f"{name}: {was or 'not told'} -> {now or 'not told'}.")
        if dict(before.parameters) != dict(after.parameters):
            told.append(f"Parameters: {_json(before.parameters)} -> {_json(after.parameters)}.")
    return Comparison(
        before.digest if before else "",
        after.digest,
        tuple(changes),
        gains(before, after, text_of, lexicon),
        tuple(told),
    )


def changed_tools(before: Definition, after: Definition) -> tuple[tuple[Part, Part], ...]:
    """The tools that both have and that are not the same any more."""
    old = {part.name: part for part in before.of_kind("tools")}
    return tuple(
        (old[part.name], part)
        for part in after.of_kind("tools")
        if part.name in old and old[part.name].digest != part.digest
    )


def _change(old: Part | None, new: Part | None, text_of: Text) -> PartChange:
    part = new or old
    assert part is not None
    change: Change = "added" if old is None else "removed" if new is None else "changed"
    was = _shown(old, text_of) if old else []
    now = _shown(new, text_of) if new else []
    if was is None or now is None or max(len(was), len(now)) > MAX_LINES:
        diff = f"Its content is not kept or too long to compare: {_size(old)} -> {_size(new)}.\n"
    else:
        lines = difflib.unified_diff(was, now, "before", "after")
        diff = "".join(line if line.endswith("\n") else line + "\n" for line in list(lines)[2:])
        diff = (
            diff or "Only what is not shown is different: a value that is not kept, or how it is written.\n"
        )
    return PartChange(
        part.kind, part.name, change, old.digest if old else "", new.digest if new else "", diff
    )


def _shown(part: Part, text_of: Text) -> list[str] | None:
    text = text_of(part)
    if text is None:
        return None
    if part.kind in ("tools", "servers", "permissions", "hooks") and not text.count("\n"):
        try:
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        except ValueError:
            pass
    return text.splitlines(keepends=True)


def _size(part: Part | None) -> str:
    return f"{part.size:,} bytes, {part.digest[:19]}" if part else "none"


def _json(value: Any) -> str:
    return json.dumps(
        value if not isinstance(value, Mapping) else dict(value), ensure_ascii=False, sort_keys=True
    )
