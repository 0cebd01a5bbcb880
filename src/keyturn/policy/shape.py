"""What actions have in common: the same programs, options and effects, differing in words only.

`shape` is over what a reading says (no word of an argument, no path, no host), so that the same kind of action is found again.
`skeleton` is over the exact text: what stands between its words. Two texts with one skeleton differ only in words at the same
places, which `differing` lists; nothing else about them can differ unseen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from keyturn import canonical
from keyturn.actions import Reading

_WORD = re.compile(r"[^\s|&;<>(){}$`\"'\\#!*?\[\]~=]+")
MAX_TEXT = 400
"""Characters of a text that can stand in a table beside others and still be read."""


def shape(kind: str, reading: Reading) -> str:
    """`sha256:<hex>` over the steps' programs, options and kinds of effect, in order."""
    steps = [
        {
            "program": step.program,
            "subcommand": step.subcommand,
            "options": sorted(set(step.options)),
            "effects": sorted({f"{e.key}:{','.join(e.labels)}" for e in step.effects}),
            "complete": step.complete,
        }
        for step in reading.steps
    ]
    return canonical.digest({"v": 1, "kind": kind, "complete": reading.complete, "steps": steps})


def skeleton(text: str) -> tuple[str, ...]:
    """What stands around the words of *text*: two texts with the same skeleton have as many words, and the same signs between them."""
    return tuple(_WORD.split(text))


def differing(texts: Sequence[str]) -> tuple[tuple[str, ...], ...] | None:
    """A row of words for each of *texts*: those at the places where they differ. None when they differ in more than words."""
    if len({skeleton(text) for text in texts}) > 1 or any(len(text) > MAX_TEXT for text in texts):
        return None
    words = [_WORD.findall(text) for text in texts]
    places = [place for place, column in enumerate(zip(*words, strict=True)) if len(set(column)) > 1]
    return tuple(tuple(row[place] for place in places) for row in words)


__all__ = ["MAX_TEXT", "differing", "shape", "skeleton"]
