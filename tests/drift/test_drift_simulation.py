"""The simulation in short: few agents, fixed seeds. `make sim-drift` is the whole."""

from __future__ import annotations

from benchmarks.simulation.drift import EXPECTED, result, rows, watch
from benchmarks.simulation.hours import DRIFTS, QUIET_WORLDS, alarmed, figures
from benchmarks.simulation.volumes import watched


def test_without_drift_nobody_is_alarmed() -> None:
    for scenario in ("null", "seasonal"):
        runs = [watch(scenario, agent, monitored=1_000) for agent in range(3)]
        assert [one.alarm for one in runs] == [None] * 3


def test_drift_is_found_and_named() -> None:
    for scenario in ("step", "order", "novel"):
        runs = [watch(scenario, agent, monitored=1_600) for agent in range(2)]
        found = result(scenario, runs)
        assert found.found == 1.0
        assert {one.cause for one in runs} == {EXPECTED[scenario]}
        assert found.delay is not None
        assert found.delay <= (100 if scenario != "order" else 1_000)


def test_budgets_that_are_missed_are_said() -> None:
    runs = [watch("step", 0, monitored=700)]
    table = rows([result("step", runs, change=10_000)], [])
    assert not all(row["within"] for row in table)


def test_slow_growth_is_found_in_days() -> None:
    delays = [watched("step", agent) for agent in range(1, 8)]
    assert all(delay is not None and delay <= 45 for delay in delays)
    assert sum(watched("null", agent) is not None for agent in range(10)) <= 1


def test_hours_without_drift_alarm_nobody_and_nights_that_grow_are_found() -> None:
    for world in QUIET_WORLDS:
        assert sum(alarmed(world, agent) is not None for agent in range(12)) <= 1
    found, delay = figures("ramp", [alarmed("ramp", agent) for agent in range(12)])
    assert found == 1.0
    assert delay is not None
    assert delay <= 40
    assert set(DRIFTS) == {"moved", "ramp", "sundays"}
