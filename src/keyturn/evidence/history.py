"""How a control did over an audit period: intervals with a state, and gaps where nobody can say. Pure.

Rules kept here:

- A day (UTC) is what its population was: any exception of it fails it, members that could not be looked at leave it untested, none at
  all is no population. Never a pass by default.
- Where Keyturn gave no sign of life, or the tests did not run, there is a gap, whatever the days around it say: what was not watched is
  not known to have been good.
- Intervals are contiguous, in order, and cover exactly the period asked for.

Source: AICPA AT-C 205 (operating effectiveness throughout the period); ISO/IEC 27001:2022 §9.1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from keyturn.evidence.testing import Day
from keyturn.evidence.verdicts import FAIL, NO_POPULATION, NOT_TESTED, PASS, Word

State = Literal["pass", "fail", "not-tested", "no-population", "gap"]
GAP: State = "gap"

DAY_MS = 86_400_000
MISSED = 3
"""How many times its interval something may be late before that is a gap: one beat may be lost, and a machine may be slow."""

NO_HEARTBEAT = "Keyturn gave no sign of life."
NOT_RUN = "The tests did not run."


class Span(Struct, frozen=True, array_like=True):
    """From when to when something was there, [start, end) in milliseconds."""

    start: int
    end: int


class Sign(Struct, frozen=True, array_like=True):
    """A sign of life, or *count* of them in a row: they speak for [first, last], and the next is due after `interval` (milliseconds)."""

    first: int
    last: int
    interval: int
    count: int = 1


class Interval(Struct, frozen=True):
    """[start, end) in milliseconds, and how the control did in it."""

    start: int
    end: int
    state: State
    why: str = ""


def spans(signs: Iterable[Sign], until: int, missed: int = MISSED) -> tuple[Span, ...]:
    """When something was there, out of the signs it gave, the oldest first; looked at at *until*.

    A sign stands for what it speaks for and one interval more. Two that are no further apart than *missed* intervals of the first are
    one span; what is still to come at *until* is waited for as long.
    """
    made: list[Span] = []
    reach = 0
    for one in signs:
        end = one.last + one.interval
        if made and one.first <= reach:
            made[-1] = Span(made[-1].start, max(end, made[-1].end))
        else:
            made.append(Span(one.first, end))
        reach = max(reach, one.last + one.interval * missed)
    if made and made[-1].end < until <= reach:
        made[-1] = Span(made[-1].start, until)
    return tuple(made)


def joined(signs: Sequence[Sign], sign: Sign, missed: int = MISSED) -> tuple[Sign, ...]:
    """*signs* with one more: put together with the last one where that is no further away than it may be."""
    last = signs[-1] if signs else None
    if last and last.interval == sign.interval and sign.first <= last.last + last.interval * missed:
        longer = Sign(last.first, max(last.last, sign.last), last.interval, last.count + sign.count)
        return (*signs[:-1], longer)
    return (*signs, sign)


def intervals(
    days: Iterable[Day], alive: Sequence[Span], ran: Sequence[Span], since: int, until: int
) -> tuple[Interval, ...]:
    """The history of [since, until): a gap wherever not *alive*, or the tests did not run (*ran*); else the day's own state.

    *alive* and *ran* are in order and don't overlap. *days* that are not given had no population.
    """
    by_day = {one.day: of_day(one) for one in days}
    made: list[Interval] = []
    for start, end in _cuts(alive, ran, since, until):
        state, why = _state(start, by_day, alive, ran)
        if made and (made[-1].state, made[-1].why) == (state, why):
            made[-1] = Interval(made[-1].start, end, state, why)
        else:
            made.append(Interval(start, end, state, why))
    return tuple(made)


def of_day(day: Day) -> Word:
    """How a day went."""
    if day.exceptions:
        return FAIL
    if day.untested:
        return NOT_TESTED
    return PASS if day.population else NO_POPULATION


def of_days(parts: Iterable[Sequence[Day]]) -> tuple[Day, ...]:
    """The days of a control, out of those of its tests: the figures of each day added up."""
    found: dict[int, list[int]] = {}
    for part in parts:
        for one in part:
            sums = found.setdefault(one.day, [0, 0, 0])
            sums[0] += one.population
            sums[1] += one.exceptions
            sums[2] += one.untested
    return tuple(Day(day, *sums) for day, sums in sorted(found.items()))


def operated(history: Iterable[Interval]) -> tuple[Span, ...]:
    """From when to when it operated effectively: stretches of `pass`, over days on which there was nothing to do.

    A stretch begins and ends with a `pass`; an exception, a gap or what was not tested ends it.
    """
    made: list[Span] = []
    going = False
    for one in history:
        if one.state == PASS:
            if going:
                made[-1] = Span(made[-1].start, one.end)
            else:
                made.append(Span(one.start, one.end))
            going = True
        elif one.state != NO_POPULATION:
            going = False
    return tuple(made)


def _cuts(alive: Sequence[Span], ran: Sequence[Span], since: int, until: int) -> list[tuple[int, int]]:
    """[since, until) cut wherever its state may change."""
    edges = {since, until}
    edges.update(range(since - since % DAY_MS + DAY_MS, until, DAY_MS))
    for one in (*alive, *ran):
        edges.update(edge for edge in (one.start, one.end) if since < edge < until)
    found = sorted(edges)
    return list(pairwise(found))


def _within(at: int, found: Sequence[Span]) -> bool:
    place = bisect_right(found, at, key=lambda one: one.start)
    return place > 0 and at < found[place - 1].end


def _state(at: int, days: dict[int, Word], alive: Sequence[Span], ran: Sequence[Span]) -> tuple[State, str]:
    if not _within(at, alive):
        return GAP, NO_HEARTBEAT
    if not _within(at, ran):
        return GAP, NOT_RUN
    return days.get(at - at % DAY_MS, NO_POPULATION), ""


__all__ = [
    "GAP", "NOT_RUN", "NO_HEARTBEAT", "Interval", "Sign", "Span", "State", "intervals", "joined", "of_day", "of_days", "operated", "spans",
]  # fmt: skip
