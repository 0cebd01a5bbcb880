"""When agents are at work, with known truth: the hours detector over days.

28 days of baseline, then 90. Without drift: `office` (workdays from morning on, now and then an evening or a Saturday), `clock` (around the
clock), `nightly` (jobs at two hours of the night), `sparse` (a session or two a day, whenever), `seasonal` (office, with summer time from
the 30th day on, a holiday, busy and idle weeks). With drift, from day `CHANGE_DAY` on: `moved`, a tenth of an office agent's actions goes
to 02:00–05:00 on every day; `ramp`, a share that grows to a fifth in 30 days; `sundays`, an office agent begins to work on Sundays.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from keyturn.drift.stream import DailyHours, Hours, coin, day_class
from keyturn.drift.stream.conformal import DAY_MS
from keyturn.drift.stream.hours import FREE_DAYS, HOUR_MS, day_score, halves, references

QUIET_WORLDS = ("office", "clock", "nightly", "sparse", "seasonal")
DRIFTS = ("moved", "ramp", "sundays")
WORLDS = (*QUIET_WORLDS, *DRIFTS)
BASELINE_DAYS = 28
MONITORED_DAYS = 90
CHANGE_DAY = 10
ARL_DAYS = 1_500
"""What the fleet of `volumes` has with three detectors an agent."""
MEAN_SESSIONS = 12
Done = tuple[int, int]
"""(time in milliseconds, actions) of a session."""


class Habit(Struct, frozen=True):
    """An agent's own way: when it begins, for how long, how often it is late or there on a Saturday."""

    start: float
    length: float
    late: float
    saturday: float


def day_of(world: str, habit: Habit, day: int, random: np.random.Generator) -> list[Done]:
    """The sessions of one *day*, counted from the baseline's first; its place in the week is its number."""
    since = day - BASELINE_DAYS - CHANGE_DAY
    busy = float(np.exp(random.normal(0, 0.3)))
    if world == "clock":
        hours = random.uniform(0, 24, size=random.poisson(3 * MEAN_SESSIONS * busy))
    elif world == "nightly":
        hours = random.normal((2.5, 4.0), 0.3, size=2)
    elif world == "sparse":
        hours = random.uniform(0, 24, size=random.poisson(1.5))
    else:
        hours = _office(world, habit, day, busy, random)
    moved = {"moved": 0.1 * (since >= 0), "ramp": float(np.clip(since / 30, 0, 1)) / 5}.get(world, 0.0)
    at = np.where(random.random(len(hours)) < moved, random.uniform(2, 5, size=len(hours)), hours % 24)
    actions = 1 + random.geometric(1 / 12, size=len(at))
    return [(day * DAY_MS + int(hour * HOUR_MS), int(count)) for hour, count in zip(at, actions, strict=True)]


def _office(
    world: str, habit: Habit, day: int, busy: float, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    kind, since = day_class(day), day - BASELINE_DAYS - CHANGE_DAY
    there = kind == "workday" or (kind == "saturday" and random.random() < habit.saturday)
    there = there or (world == "sundays" and since >= 0)
    shift, mean = 0.0, MEAN_SESSIONS * busy
    if world == "seasonal":
        shift = 1.0 if day >= BASELINE_DAYS + 30 else 0.0
        there = there and not 50 <= day - BASELINE_DAYS < 60
        mean *= (1.5, 0.5, 1.0)[day // 7 % 3]
    if not there:
        return np.zeros(0)
    hours = habit.start + shift + habit.length * random.beta(1.5, 1.5, size=random.poisson(mean))
    if random.random() < habit.late:
        hours = np.append(hours, random.uniform(habit.start + habit.length, 24, size=random.poisson(2)))
    return hours


def alarmed(world: str, agent: int, arl: float = ARL_DAYS) -> int | None:
    """The day (of those watched) of the first alarm of one agent; None without one."""
    random = np.random.default_rng([agent, WORLDS.index(world), 11])
    habit = Habit(
        float(random.uniform(6, 10)),
        float(random.uniform(7, 10)),
        float(random.uniform(0, 0.4)),
        float(random.uniform(0, 0.5)),
    )
    days = [day_of(world, habit, day, random) for day in range(BASELINE_DAYS + MONITORED_DAYS)]
    parts = halves(0, BASELINE_DAYS - 1)
    assert parts is not None
    known = [one for day in days[:BASELINE_DAYS] for one in day]
    model = Hours.of([time for time, _ in known], parts[0][0], parts[0][-1])
    state, free = DailyHours.of(references(model, known, parts[1])), 0
    for number, day in enumerate(days[BASELINE_DAYS:]):
        free = 0 if day else free + 1
        if free > FREE_DAYS or not state.classes:
            continue
        unusual = sum(actions * model.score(time) for time, actions in day)
        score = day_score(unusual, sum(actions for _, actions in day))
        whole = number + BASELINE_DAYS
        state = state.observe(day_class(whole), score, coin(f"{world}/{agent}/{whole}"))
        if state.evidence >= arl:
            return number
    return None


def figures(world: str, alarms: Sequence[int | None]) -> tuple[float, float | None]:
    """(share with a false alarm, None) without drift; else (share of those not alarmed before that are found, median days)."""
    if world in QUIET_WORLDS:
        return sum(one is not None for one in alarms) / len(alarms), None
    early = sum(one is not None and one < CHANGE_DAY for one in alarms)
    late = [one - CHANGE_DAY for one in alarms if one is not None and one >= CHANGE_DAY]
    return len(late) / max(len(alarms) - early, 1), float(median(late)) if late else float("inf")
