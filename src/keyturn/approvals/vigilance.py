"""How people review, from their decisions alone: how often they approve, how long they look, how many drills they catch.

Nobody is stopped by it and no decision depends on it: it is evidence, shown to the person first. The limits come from
research on alarms and screening, not from data of this product; they are one place to change.

The time somebody looked is the shorter of two: what their page says it was visible, and what passed since the server first
gave it to them. A page can't make itself look more careful than the server saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct
from msgspec.structs import replace

MANY = 50
"""Decisions from which on a pattern can be told."""
NEARLY_ALL = 0.98
HASTY_MS = 3_000
LOOKED_AT = 500
"""Newest decisions of a person that count."""


class Decided(Struct, frozen=True):
    """One decision: `drill` is None for real requests, else whether the person saw that it was bad."""

    choice: str
    tier: str = ""
    dwell_ms: int | None = None
    looked_ms: int | None = None
    opened: tuple[str, ...] = ()
    drill: bool | None = None

    @property
    def took_ms(self) -> int | None:
        """How long they looked, None when nobody knows."""
        known = [ms for ms in (self.dwell_ms, self.looked_ms) if ms is not None]
        return min(known) if known else None


class Vigilance(Struct, frozen=True):
    """Of one person. `by_tier`: median milliseconds; `everything`: the approve-everything pattern; `words` say it to them."""

    person: str
    decisions: int = 0
    approved: int = 0
    median_ms: int | None = None
    by_tier: dict[str, int] = {}
    evidence: int = 0
    drills: int = 0
    caught: int = 0
    everything: bool = False
    words: tuple[str, ...] = ()


def vigilance(person: str, decisions: Sequence[Decided]) -> Vigilance:
    """What the newest decisions of *person* say. Drills count for the catch rate only."""
    real = [one for one in decisions if one.drill is None]
    drills = [one for one in decisions if one.drill is not None]
    approved = sum(one.choice == "approve" for one in real)
    times = _times(real)
    found = Vigilance(
        person,
        decisions=len(real),
        approved=approved,
        median_ms=int(median(times)) if times else None,
        by_tier={
            tier: int(median(own))
            for tier in sorted({one.tier for one in real if one.tier})
            if (own := _times(one for one in real if one.tier == tier))
        },
        evidence=sum(bool(one.opened) for one in real),
        drills=len(drills),
        caught=sum(one.drill is True for one in drills),
        everything=_everything(len(real), approved, times),
    )
    return replace(found, words=tuple(_words(found)))


def _times(decisions: Iterable[Decided]) -> list[int]:
    return [one.took_ms for one in decisions if one.took_ms is not None]


def _everything(decisions: int, approved: int, times: Sequence[int]) -> bool:
    """At least 50 decisions, more than 98 of 100 approved, half of them within three seconds."""
    many = decisions >= MANY and approved > NEARLY_ALL * decisions
    return many and bool(times) and median(times) < HASTY_MS


def _words(found: Vigilance) -> Iterable[str]:
    if found.everything:
        yield (
            f"{found.approved} of the last {found.decisions} were approved, half of them in less than "
            f"{HASTY_MS // 1000} seconds. Either these should not be asked at all (`keyturn policy suggest`), or they were not read."
        )
    if found.drills and found.caught < found.drills:
        yield f"{found.drills - found.caught} of {found.drills} drills were approved although they were bad."


__all__ = ["HASTY_MS", "LOOKED_AT", "MANY", "NEARLY_ALL", "Decided", "Vigilance", "vigilance"]
