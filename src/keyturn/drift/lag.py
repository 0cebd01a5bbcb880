"""Audit lag: how long it takes from what happened until somebody knows, and until it is settled. Pure.

The clocks (milliseconds; an entry's time is when it was sequenced):

- `recorded` (J1): from an action's proposal to its entry, for the newest entry behind the finding.
- `evaluated` (J2): from that entry to the finding. A detector that looks at each entry is as fast as this.
- `found` (J3): from the onset to the finding; a statistical detector knows the onset only as an interval, so this is the interval's.
- `delivered` (J4): from the finding to the first message about it that a channel took.
- `viewed` (J5): from there (where nobody was told: from the finding) to the first look by a person who has no part in it.
- `acknowledged` (J6) and `resolved` (J7): from the finding until a person looks after it, and until it is explained by a person,
  accepted or closed.

Rules kept here:

- A clock that has not stopped is counted as waiting, with how long it has run: what nobody did yet is not left out of the figures.
- Percentiles are of what happened (nearest rank, Hyndman & Fan 1996 type 1), never interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from msgspec import Struct

Clock = Literal["recorded", "evaluated", "found", "delivered", "viewed", "acknowledged", "resolved"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)

_RUNNING: tuple[Clock, ...] = ("viewed", "acknowledged", "resolved")
"""Clocks that people stop, and that run until they do."""


class Times(Struct, frozen=True):
    """When what happened (milliseconds since 1970), as far as it is known. `settled`: it asks nothing of people any more."""

    opened: int
    onset: tuple[int, int] | None = None
    proposed: int | None = None
    recorded: int | None = None
    delivered: int | None = None
    viewed: int | None = None
    acknowledged: int | None = None
    resolved: int | None = None
    settled: bool = False


class Reading(Struct, frozen=True):
    """One clock of one finding: from `least` to `most` milliseconds; `running` while nobody has stopped it."""

    clock: Clock
    least: int
    most: int
    running: bool = False


class Spread(Struct, frozen=True):
    """One clock over many findings (milliseconds): of those that stopped, and how many still run, the oldest for how long."""

    clock: Clock
    area: str
    count: int
    p50: int
    p95: int
    max: int
    running: int = 0
    oldest: int = 0


def readings(times: Times, now: int) -> tuple[Reading, ...]:
    """All clocks of one finding that say anything."""
    found: list[Reading] = []

    def between(clock: Clock, begin: int | None, end: int | None) -> None:
        if begin is not None and end is not None:
            passed = max(0, end - begin)
            found.append(Reading(clock, passed, passed))

    between("recorded", times.proposed, times.recorded)
    between("evaluated", times.recorded, times.opened)
    if times.onset is not None:
        earliest, latest = times.onset
        found.append(Reading("found", max(0, times.opened - latest), max(0, times.opened - earliest)))
    between("delivered", times.opened, times.delivered)
    told = times.opened if times.delivered is None else times.delivered
    if times.viewed is not None:
        between("viewed", min(told, times.viewed), times.viewed)
    between("acknowledged", times.opened, times.acknowledged)
    between("resolved", times.opened, times.resolved)
    stopped = {one.clock for one in found}
    if not times.settled:
        begun = {"viewed": told, "acknowledged": times.opened, "resolved": times.opened}
        for clock in _RUNNING:
            if clock not in stopped:
                passed = max(0, now - begun[clock])
                found.append(Reading(clock, passed, passed, True))
    return tuple(found)


def spread(clock: Clock, area: str, found: Sequence[Reading]) -> Spread:
    """*found* as one line; of an interval, its longer end counts."""
    done = sorted(one.most for one in found if not one.running)
    running = [one.most for one in found if one.running]
    return Spread(
        clock,
        area,
        len(done),
        _rank(done, 50),
        _rank(done, 95),
        done[-1] if done else 0,
        len(running),
        max(running, default=0),
    )


def table(of_findings: Iterable[tuple[str, Sequence[Reading]]]) -> tuple[Spread, ...]:
    """(area, readings) of each finding → one line for each area and clock, areas in order, clocks in theirs."""
    kept: dict[tuple[str, Clock], list[Reading]] = {}
    for area, found in of_findings:
        for one in found:
            kept.setdefault((area, one.clock), []).append(one)
    order = sorted(kept, key=lambda key: (key[0], CLOCKS.index(key[1])))
    return tuple(spread(clock, area, kept[(area, clock)]) for area, clock in order)


def _rank(ordered: Sequence[int], percent: int) -> int:
    """The value of the nearest rank; 0 of nothing."""
    if not ordered:
        return 0
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


__all__ = ["CLOCKS", "Clock", "Reading", "Spread", "Times", "readings", "spread", "table"]
