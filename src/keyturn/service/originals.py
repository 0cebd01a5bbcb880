"""The original of an agent's instructions where it works, the versions since, and how far they have led (`drift.ratchet.erosion`).

Rules kept here:

- The original is the first definition that people approved there. That it is taken back, or that others are approved after it, does
  not move it: else whoever takes back the first one would shorten the way that was gone.
- Only people move it, by approving a definition *anew*: they are shown the whole way from the original, not the last step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn.drift import ratchet
from keyturn.drift.ratchet import Erosion
from keyturn.ledger.entries import Rows
from keyturn.service.core import Core
from keyturn.service.definition_rows import key, original_of
from keyturn.service.definition_state import texts_of
from keyturn.service.lexicons import lexicon_of

Row = dict[str, Any]
NAMED = 12
"""Sentences that reviewers are shown of the way from the original."""


class Way(Struct, frozen=True):
    """From the original, approved at `since`, to a definition: the rows of both and of what was approved between, oldest first."""

    original: Row
    between: tuple[Row, ...]
    newest: Row
    since: int

    @property
    def rows(self) -> tuple[Row, ...]:
        """All of them, in order."""
        return (self.original, *self.between, self.newest)


def way(rows: Rows, row: Row, place: str) -> Way | None:
    """The way from the original to *row*; None where there is no original, or *row* is it."""
    agent = row["agent"]
    first = original_of(rows, agent, place)
    if first is None or first["digest"] == row["digest"]:
        return None
    original = rows.row("definition", key(agent, first["digest"]))
    if original is None:
        return None
    between = []
    for digest in (rows.row("agent-place", key(agent, place)) or {"approved": []})["approved"]:
        one = rows.row("definition", key(agent, digest))
        known = one is not None and digest not in (first["digest"], row["digest"])
        if one is not None and known and one["approved"] and one["approved"][-1]["entry"] > first["entry"]:
            between.append(one)
    return Way(original, tuple(between), row, first["time"])


def versions(core: Core, found: Way) -> list[dict[str, str]] | None:
    """The instructions of each version, name → text; None when one of them was not kept: of that nothing is said."""
    texts = texts_of(core, *found.rows)
    made = [_instructions(core, one, texts) for one in found.rows]
    return None if any(one is None for one in made) else [one for one in made if one is not None]


def _instructions(core: Core, row: Row, texts: Mapping[str, str]) -> dict[str, str] | None:
    parts = [part for part in core.full(row["parts"]) if part["kind"] == "instructions"]
    if any(part["digest"] not in texts for part in parts):
        return None
    return {part["name"]: texts[part["digest"]] for part in parts}


async def measured_apart(core: Core, found: Way) -> Erosion | None:
    """How far it has led, worked out on another thread; None where texts are missing."""
    told = versions(core, found)
    if told is None:
        return None
    return await asyncio.to_thread(ratchet.erosion, told[0], told[1:], lexicon_of(core))


def text(found: Way, erosion: Erosion | None) -> str:
    """What reviewers read of the whole way, before the last difference."""
    count = len(found.between) + 1
    lines = [
        f"Assessed anew: from now on, small steps are measured against this definition, no longer against {found.original['digest'][:19]}.",
        f"Since that one was approved, {count} {'version' if count == 1 else 'versions'} came after it.",
    ]
    if erosion is None:
        return "\n".join(
            [*lines, "Not all their instructions were kept, so how far they led is not known.", ""]
        )
    gains: Sequence[Any] = [line for line in erosion.total.lines if line.delta > 0]
    led = (
        f"{len(gains)} {'sentence lets' if len(gains) == 1 else 'sentences let'} it do more than the original"
    )
    lines.append(
        f"{led}; the largest single step was {erosion.largest:+.1f}, all of them are {erosion.total.expands:+.1f}."
    )
    lines += [f"+ {line.why}: {line.before or line.after}" for line in gains[:NAMED]]
    more = len(gains) - NAMED
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else []), ""])


def recorded(found: Way, erosion: Erosion | None) -> Row:
    """What an approval records of the way that was shown (`definition_views.Assessed`)."""
    return {
        "original": found.original["digest"],
        "versions": len(found.between) + 1,
        "expands": round(erosion.total.expands, 1) if erosion is not None else None,
    }


__all__ = ["Way", "measured_apart", "original_of", "recorded", "text", "versions", "way"]
