"""`python -m benchmarks.simulation.drift [AGENTS]`: the portfolio over simulated agents, beside what is promised of it.

False alarms are agents with one or more in 3,000 sessions; delays are sessions from the change to the alarm, of agents without
an alarm before. Volumes are days. 1 when a budget is missed.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from msgspec import Struct

from benchmarks.simulation.hours import ARL_DAYS as HOURS_ARL
from benchmarks.simulation.hours import WORLDS, alarmed, figures
from benchmarks.simulation.traces import (
    BASELINE,
    CHANGE,
    MONITORED,
    SCENARIOS,
    SENSITIVE,
    World,
)
from benchmarks.simulation.volumes import ARL_DAYS, VOLUMES, watched
from keyturn.drift.baseline import Measured, baseline
from keyturn.drift.features import Session
from keyturn.drift.stream import Surprisal

AGENTS = 200
ARL = 100_000
WORKERS = 2
OUT = Path(__file__).parents[2] / "build" / "sim" / "drift.json"
EXPECTED = {"step": "sensitive", "ramp": "sensitive", "mix": "order", "order": "order", "novel": "novel"}
"""Which component should name the cause."""


class Run(Struct, frozen=True):
    """One agent: the session of the first alarm (None without one), and its cause."""

    alarm: int | None
    cause: str = ""


class Result(Struct, frozen=True):
    """One scenario."""

    scenario: str
    agents: int
    early: float
    found: float
    delay: float | None
    named: float

    @property
    def drifts(self) -> bool:
        """Whether there was anything to find."""
        return self.scenario in EXPECTED


def watch(scenario: str, agent: int, monitored: int = MONITORED) -> Run:
    """One agent under the real baseline and the real portfolio, until the first alarm."""
    world = World(np.random.default_rng([agent, SCENARIOS.index(scenario)]))
    names = [f"category-{number}" for number in range(200)]
    sessions = (
        Session(tuple([names[one] for one in trace]), (), sum(one in SENSITIVE for one in trace))
        for trace in (array.tolist() for array in world.sessions(scenario))
    )
    pinned = baseline("agent", "", "", [Measured(0, next(sessions)) for _ in range(BASELINE)])
    ready, portfolio = Surprisal(pinned.model), pinned.portfolio()
    for number, session in enumerate(sessions):
        if number >= monitored:
            break
        portfolio = portfolio.observe(pinned.observed(session, f"{scenario}/{agent}/{number}", ready))
        if portfolio.evidence >= ARL:
            return Run(number, portfolio.cause)
    return Run(None)


def result(scenario: str, runs: Sequence[Run], change: int = CHANGE) -> Result:
    """What *runs* show."""
    if scenario not in EXPECTED:
        return Result(scenario, len(runs), sum(r.alarm is not None for r in runs) / len(runs), 0.0, None, 0.0)
    found = [r for r in runs if r.alarm is not None and r.alarm >= change]
    early = sum(r.alarm is not None and r.alarm < change for r in runs)
    delays = [r.alarm - change for r in found if r.alarm is not None]
    return Result(
        scenario,
        len(runs),
        early / len(runs),
        len(found) / max(len(runs) - early, 1),
        median(delays) if delays else None,
        sum(r.cause == EXPECTED[scenario] for r in found) / max(len(found), 1),
    )


def rows(
    results: Sequence[Result],
    volumes: Sequence[tuple[str, float, float | None]],
    hours: Sequence[tuple[str, float, float | None]] = (),
) -> list[dict[str, Any]]:
    """Figures beside budgets."""
    table: list[dict[str, Any]] = []

    def add(name: str, value: float | None, unit: str, budget: float | None, at_most: bool = True) -> None:
        kept = budget is None or (value is not None and (value <= budget if at_most else value >= budget))
        table.append(
            {"name": name, "value": value, "unit": unit, "floor": None, "budget": budget, "within": kept}
        )

    for one in results:
        if not one.drifts:
            add(
                f"{one.scenario}: agents with a false alarm in {MONITORED:,} sessions",
                100 * one.early,
                "%",
                2,
            )
            continue
        add(
            f"{one.scenario}: found",
            100 * one.found,
            "%",
            95 if one.scenario in ("order", "step") else None,
            False,
        )
        add(f"{one.scenario}: median delay", one.delay, "sessions", 100 if one.scenario == "step" else None)
        add(f"{one.scenario}: the largest component names the cause", 100 * one.named, "%", None)
        add(f"{one.scenario}: agents with an alarm before the change", 100 * one.early, "%", 2)
    for name, share, delay in volumes:
        if delay is None:
            add(f"volume, {name}: agents with a false alarm in 90 days", 100 * share, "%", 5)
        else:
            add(f"volume, {name}: found", 100 * share, "%", None, False)
            add(f"volume, {name}: median delay", delay, "days", None)
    for name, share, delay in hours:
        if delay is None:
            add(f"hours, {name}: agents with a false alarm in 90 days", 100 * share, "%", 2)
        else:
            add(f"hours, {name}: found in 80 days", 100 * share, "%", 95 if name == "ramp" else None, False)
            add(f"hours, {name}: median delay", delay, "days", None)
    return table


def simulate(agents: int, workers: int = WORKERS) -> list[dict[str, Any]]:
    """Everything."""
    with multiprocessing.Pool(workers) as pool:
        results = [
            result(scenario, pool.map(partial(watch, scenario), range(agents), chunksize=5))
            for scenario in SCENARIOS
        ]
        volumes = []
        for name in VOLUMES:
            delays = pool.map(partial(watched, name), range(2 * agents), chunksize=20)
            found = [one for one in delays if one is not None]
            middle = None if name == "null" else float(median(found)) if found else float("inf")
            volumes.append((name, len(found) / len(delays), middle))
        hours = []
        for name in WORLDS:
            alarms = pool.map(partial(alarmed, name), range(2 * agents), chunksize=20)
            hours.append((name, *figures(name, alarms)))
    return rows(results, volumes, hours)


def main(arguments: Sequence[str]) -> int:
    """Print and write the table."""
    agents = int(arguments[0]) if arguments else AGENTS
    began = time.monotonic()
    table = simulate(agents)
    print(f"{agents} agents, {BASELINE} + {MONITORED:,} sessions, change at {CHANGE}, ARL {ARL:,}")
    print(f"by days, of {2 * agents} agents: volumes with ARL {ARL_DAYS:,}, hours with {HOURS_ARL:,}")
    print(f"  {'what':<68} {'value':>9} {'budget':>9} unit")
    for row in table:
        value = "-" if row["value"] is None else f"{row['value']:,.1f}"
        budget = "-" if row["budget"] is None else f"{row['budget']:,}"
        print(f"{' ' if row['within'] else '✗'} {row['name']:<68} {value:>9} {budget:>9} {row['unit']}")
    print(f"  {time.monotonic() - began:,.0f} s")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(table, indent=2) + "\n")
    return 0 if all(row["within"] for row in table) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
