"""Audit lag: percentiles against a slow judge, and no clock that leaves out what nobody did."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift.lag import Reading, Times, readings, spread, table


def of(times: Times, now: int = 1000) -> dict[str, tuple[int, int, bool]]:
    return {one.clock: (one.least, one.most, one.running) for one in readings(times, now)}


def test_each_clock_from_its_beginning_to_its_end() -> None:
    times = Times(100, (20, 50), 60, 70, 130, 190, 200, 400, True)
    assert of(times) == {
        "recorded": (10, 10, False),
        "evaluated": (30, 30, False),
        "found": (50, 80, False),
        "delivered": (30, 30, False),
        "viewed": (60, 60, False),
        "acknowledged": (100, 100, False),
        "resolved": (300, 300, False),
    }


def test_what_nobody_did_yet_runs_and_what_is_settled_does_not() -> None:
    assert of(Times(100, delivered=300)) == {
        "delivered": (200, 200, False),
        "viewed": (700, 700, True),
        "acknowledged": (900, 900, True),
        "resolved": (900, 900, True),
    }
    assert of(Times(100, settled=True)) == {}


def test_a_look_before_the_message_counts_as_no_time() -> None:
    assert of(Times(100, delivered=300, viewed=200, settled=True))["viewed"] == (0, 0, False)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=60))
def test_percentiles_are_values_that_occurred(values: list[tuple[int, bool]]) -> None:
    found = spread("viewed", "x", [Reading("viewed", 0, value, running) for value, running in values])
    done = sorted(value for value, running in values if not running)
    assert found.count + found.running == len(values)
    assert found.oldest == max((value for value, running in values if running), default=0)
    for percent, told in ((50, found.p50), (95, found.p95), (100, found.max)):
        # The smallest value below or at which lie at least so many of a hundred.
        judged = next(
            (v for v in done if sum(w <= v for w in done) >= math.ceil(len(done) * percent / 100)), 0
        )
        assert told == judged


def test_areas_are_apart() -> None:
    one = (Reading("viewed", 1, 1),)
    found = table([("b", one), ("a", one), ("b", one)])
    assert [(line.area, line.count) for line in found] == [("a", 1), ("b", 2)]
