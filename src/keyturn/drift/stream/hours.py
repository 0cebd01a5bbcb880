"""When an agent is at work: how unusual an hour of the week is in its own past, and whether its days have become so.

Rules kept here:

- The *day* is the unit. Sessions at night come together, so a test that takes them one by one takes a late evening for drift.
- An hour is compared with the hours of this agent's own week. Who runs around the clock has no unusual hour; who works on Sundays has none
  on Sundays. There is no "office time" in here.
- An hour is as usual as the most usual within two hours of it: summer time, and somebody who begins earlier, is no drift.
- Days are ranked among days of their own class that did not make the model (`conformal.DailyTotals`), which needs no distribution.
- Without `LEAST_DAYS` whole days, or without a quiet hour in the week, there is no model, and no alarm.

How often it is at work in an hour is shrunk towards what is known of more days: that hour of all days, of this class of day, of
this weekday, one after another (a posterior mean with the coarser rate as prior, weight `PRIOR`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from keyturn.drift.stream.conformal import DAY_MS, DailyTotals, day_class

HOUR_MS = 3_600_000
WEEK_HOURS = 168
LEAST_DAYS = 14
"""Whole days that a model and its reference need together: a week for each."""
PRIOR = 1.0
"""Days that the coarser rate counts for."""
NEAR = 2
"""Hours on each side within which one is as good as another."""
USUAL = 5
"""Tenths of bits below which an hour is an ordinary one: 0.7 times as often at work as usually."""
CAP = 60
"""Tenths of bits: an hour that it was never seen in is not told apart from the next one."""
QUIET = 15
"""Scores from here on are those of quiet hours: it is at work there a quarter as often as usually, or less."""
NOTHING = -1
"""The score of a day without any action: lower than all others."""
FREE_DAYS = 2
"""So many days in a row without an action count as such; more are a holiday, and would make every working day look unusual."""


def hour_of_week(time: int) -> int:
    """0 to 167 of *time* (milliseconds since 1970, UTC); 0 is Thursday, midnight, as 1970 began."""
    return time // HOUR_MS % WEEK_HOURS


class Hours(Struct, frozen=True):
    """How unusual each hour of the week is, in tenths of bits from 0 (ordinary) to `CAP`; empty when too little is known."""

    scores: tuple[int, ...] = ()

    @classmethod
    def of(cls, times: Iterable[int], first: int, last: int) -> Hours:
        """Of the *times* at which something was done, in the days *first* to *last* (days since 1970, both included)."""
        there = {(time // DAY_MS, time // HOUR_MS % 24) for time in times if first <= time // DAY_MS <= last}
        if not there or last - first + 1 < LEAST_DAYS // 2:
            return cls()
        rates = _rates(there, range(first, last + 1))
        # What is usual is what it meets when it is at work: hours weighted by how often it is there.
        usual = sum(rate * rate for rate in rates) / sum(rates)
        near = range(-NEAR, NEAR + 1)
        around = [max(rates[(hour + off) % WEEK_HOURS] for off in near) for hour in range(WEEK_HOURS)]
        bits = [round(10 * math.log2(usual / rate)) - USUAL for rate in around]
        scores = tuple([min(max(one, 0), CAP) for one in bits])
        return cls(scores if max(scores) >= QUIET else ())

    def score(self, time: int) -> int:
        """How unusual the hour of *time* is; 0 without a model."""
        return self.scores[hour_of_week(time)] if self.scores else 0

    def quiet(self, time: int) -> bool:
        """Whether it is next to never at work then."""
        return self.score(time) >= QUIET


def _rates(there: set[tuple[int, int]], days: range) -> list[float]:
    """Share of days on which it is at work, for each hour of the week."""
    classes = [day_class(day) for day in range(7)]

    def counted(hour: int, kept: Iterable[int]) -> tuple[int, int]:
        chosen = list(kept)
        return sum((day, hour) in there for day in chosen), len(chosen)

    found = [0.0] * WEEK_HOURS
    for hour in range(24):
        seen, whole = counted(hour, days)
        of_all = (seen + PRIOR / 24) / (whole + PRIOR)
        by_class: dict[str, float] = {}
        for name in set(classes):
            seen, whole = counted(hour, (day for day in days if day_class(day) == name))
            by_class[name] = (seen + PRIOR * of_all) / (whole + PRIOR)
        for weekday in range(7):
            seen, whole = counted(hour, (day for day in days if day % 7 == weekday))
            rate = (seen + PRIOR * by_class[classes[weekday]]) / (whole + PRIOR)
            found[weekday * 24 + hour] = rate
    return found


def day_score(unusual: int, actions: int) -> int:
    """A day's, in hundredths of bits: *unusual* is the sum of its actions' scores."""
    return 10 * unusual // actions if actions else NOTHING


class DailyHours(DailyTotals, frozen=True):
    """Evidence that days hold more of what is unusual for their hours than those of the baseline did."""

    def factors(self, p: float) -> tuple[float, ...]:
        """The e-value of each bet 1 + ε(k(1-p)^(k-1) - 1) on *p*, for k of 2, 4, 8 and ε of 1/4, 1/2.

        Bounded, because one strange night is no drift; only + and ×, so that the sum is the same on every machine.
        """
        q = 1.0 - p
        cube = q * q * q
        over = (2.0 * q - 1.0, 4.0 * cube - 1.0, 8.0 * cube * cube * q - 1.0)
        return tuple([1.0 + stake * one for one in over for stake in (0.25, 0.5)])


def halves(first: int, last: int) -> tuple[range, range] | None:
    """(days that make the model, days that are the reference) of the whole days *first* to *last*; None when there are too few."""
    if last - first + 1 < LEAST_DAYS:
        return None
    middle = first + (last - first + 1) // 2
    return range(first, middle), range(middle, last + 1)


def references(model: Hours, done: Iterable[tuple[int, int]], days: range) -> dict[str, tuple[int, ...]]:
    """The scores of *days* by class of day. *done* are (time, actions) of sessions."""
    if not model.scores:
        return {}
    sums: dict[int, tuple[int, int]] = dict.fromkeys(days, (0, 0))
    for time, actions in done:
        day = time // DAY_MS
        if day in sums:
            unusual, before = sums[day]
            sums[day] = unusual + actions * model.score(time), before + actions
    found: dict[str, list[int]] = {}
    free = 0
    for day, (unusual, actions) in sums.items():
        free = 0 if actions else free + 1
        if free <= FREE_DAYS:
            found.setdefault(day_class(day), []).append(day_score(unusual, actions))
    return {name: tuple(found[name]) for name in sorted(found)}


def quiet_share(model: Hours, done: Iterable[tuple[int, int]], days: range) -> float:
    """Of the actions in *days*, those in quiet hours."""
    kept = [(time, actions) for time, actions in done if time // DAY_MS in days]
    whole = sum(actions for _, actions in kept)
    return sum(actions for time, actions in kept if model.quiet(time)) / whole if whole else 0.0


def usual_hours(model: Hours) -> Mapping[str, str]:
    """For people: the hours (UTC) in which it is ordinarily at work, by class of day: `{"workday": "07–18"}`."""
    if not model.scores:
        return {}
    found: dict[str, set[int]] = {name: set() for name in ("workday", "saturday", "sunday")}
    for hour, score in enumerate(model.scores):
        if score < QUIET:
            found[day_class(hour // 24)].add(hour % 24)
    return {name: spans(sorted(hours)) for name, hours in found.items()}


def spans(hours: Sequence[int]) -> str:
    """`06–09, 22` of hours in order; each stands for the whole hour, so `06–09` ends at ten."""
    found: list[list[int]] = []
    for hour in hours:
        if found and found[-1][1] == hour - 1:
            found[-1][1] = hour
        else:
            found.append([hour, hour])
    return ", ".join(f"{a:02}" if a == b else f"{a:02}–{b:02}" for a, b in found) or "none"
