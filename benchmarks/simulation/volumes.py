"""Daily totals of agents: overdispersed counts, half as many at weekends, every day with an effect of its own.

28 days of baseline, then 90. `null` has no drift; `step` is half as much again from day 10 on, `ramp` grows to twice as much in 30 days.
"""

from __future__ import annotations

import numpy as np

from keyturn.drift.stream import DailyTotals, coin, day_class

VOLUMES = ("null", "step", "ramp")
BASELINE_DAYS = 28
MONITORED_DAYS = 90
CHANGE_DAY = 10
ARL_DAYS = 1_000
MEAN = 1_000


def watched(scenario: str, agent: int) -> int | None:
    """Days from the change (from the start, without one) to the first alarm of one agent; None without an alarm."""
    random = np.random.default_rng([agent, VOLUMES.index(scenario), 7])
    days = BASELINE_DAYS + MONITORED_DAYS
    since = np.arange(days) - BASELINE_DAYS - CHANGE_DAY
    grown = {"null": 0 * since, "step": 0.5 * (since >= 0), "ramp": np.clip(since / 30, 0, 1)}[scenario]
    weekend = np.isin(np.arange(days) % 7, (2, 3))
    means = MEAN * np.where(weekend, 0.5, 1.0) * (1 + grown) * np.exp(random.normal(0, 0.2, size=days))
    totals = random.poisson(random.gamma(20, means / 20)).tolist()
    pinned: dict[str, list[int]] = {}
    for day in range(BASELINE_DAYS):
        pinned.setdefault(day_class(day), []).append(totals[day])
    state = DailyTotals.of(pinned)
    for day in range(BASELINE_DAYS, days):
        state = state.observe(day_class(day), totals[day], coin(f"{scenario}/{agent}/{day}"))
        if state.evidence >= ARL_DAYS:
            late = day - BASELINE_DAYS - (0 if scenario == "null" else CHANGE_DAY)
            return late if late >= 0 else None
    return None
