"""A history covers the period asked for, and what was not watched is a gap, never a pass."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from keyturn.evidence.history import (
    DAY_MS,
    NO_HEARTBEAT,
    NOT_RUN,
    Interval,
    Sign,
    Span,
    intervals,
    joined,
    of_days,
    operated,
    spans,
)
from keyturn.evidence.testing import Day

HOUR = 3_600_000
WEEK = 7 * DAY_MS
ALWAYS = (Span(0, 2 * WEEK),)


@st.composite
def some_days(draw: st.DrawFn) -> list[Day]:
    numbers = draw(st.lists(st.integers(0, 7), unique=True))
    made = []
    for number in numbers:
        population = draw(st.integers(0, 3))
        made.append(
            Day(number * DAY_MS, population, draw(st.integers(0, population)), draw(st.integers(0, 1)))
        )
    return made


MOMENTS = st.lists(st.integers(0, WEEK), max_size=30).map(sorted)
PERIOD = st.tuples(st.integers(0, WEEK), st.integers(1, WEEK)).map(lambda one: (one[0], one[0] + one[1]))


def signs(moments: list[int]) -> tuple[Span, ...]:
    return spans((Sign(t, t, HOUR) for t in moments), 0)


def stood(moments: list[int], at: int) -> bool:
    """By brute force: is *at* within an hour after a sign, or between two of which the second was not too late?"""
    return any(t <= at < t + HOUR for t in moments) or any(
        t <= at < other <= t + 3 * HOUR for t, other in pairwise(moments)
    )


@given(some_days(), MOMENTS, MOMENTS, PERIOD)
def test_intervals_cover_the_period_and_nothing_else(
    days: list[Day], beats: list[int], runs: list[int], period: tuple[int, int]
) -> None:
    found = intervals(days, signs(beats), signs(runs), *period)
    assert (found[0].start, found[-1].end) == period
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(one.start < one.end for one in found)
    assert all((one.state, one.why) != (other.state, other.why) for one, other in pairwise(found))


@given(some_days(), MOMENTS, MOMENTS, PERIOD, st.data())
def test_every_moment_is_what_its_signs_and_its_day_say(
    days: list[Day], beats: list[int], runs: list[int], period: tuple[int, int], data: st.DataObject
) -> None:
    at = data.draw(st.integers(period[0], period[1] - 1))
    found = intervals(days, signs(beats), signs(runs), *period)
    state = next(one.state for one in found if one.start <= at < one.end)
    watched = stood(beats, at) and stood(runs, at)
    day = next((one for one in days if one.day <= at < one.day + DAY_MS), None)
    assert (state == "gap") == (not watched)
    if watched:
        assert (state == "fail") == (day is not None and day.exceptions > 0)
        assert (state == "pass") == (
            day is not None and day.population > 0 and not day.exceptions and not day.untested
        )


@given(some_days(), MOMENTS, MOMENTS, PERIOD)
def test_it_operated_only_where_it_passed_or_had_nothing_to_do(
    days: list[Day], beats: list[int], runs: list[int], period: tuple[int, int]
) -> None:
    found = intervals(days, signs(beats), signs(runs), *period)
    stretches = operated(found)
    for one in found:
        inside = any(stretch.start <= one.start and one.end <= stretch.end for stretch in stretches)
        if one.state == "pass":
            assert inside
        if one.state not in ("pass", "no-population"):
            assert not inside
    assert all(one.end < other.start for one, other in pairwise(stretches))


@given(MOMENTS)
def test_signs_that_are_kept_together_say_the_same_as_each_of_them(moments: list[int]) -> None:
    kept: tuple[Sign, ...] = ()
    for moment in moments:
        kept = joined(kept, Sign(moment, moment, HOUR))
    assert spans(kept, 0) == signs(moments)
    assert sum(one.count for one in kept) == len(moments)


def test_one_lost_beat_is_no_gap_and_three_are() -> None:
    assert signs([0, 3 * HOUR]) == (Span(0, 4 * HOUR),)
    assert signs([0, 3 * HOUR + 1]) == (Span(0, HOUR), Span(3 * HOUR + 1, 4 * HOUR + 1))


def test_a_sign_covers_what_it_speaks_for() -> None:
    assert spans([Sign(5, HOUR, HOUR)], 0) == (Span(5, 2 * HOUR),)


def test_what_is_still_to_come_is_waited_for_as_long_and_no_longer() -> None:
    assert spans([Sign(0, 0, HOUR)], 3 * HOUR) == (Span(0, 3 * HOUR),)
    assert spans([Sign(0, 0, HOUR)], 3 * HOUR + 1) == (Span(0, HOUR),)


def test_without_any_sign_of_life_everything_is_a_gap() -> None:
    days = [Day(0, 5, 0)]
    assert intervals(days, (), ALWAYS, 0, DAY_MS) == (Interval(0, DAY_MS, "gap", NO_HEARTBEAT),)
    assert intervals(days, ALWAYS, (), 0, DAY_MS) == (Interval(0, DAY_MS, "gap", NOT_RUN),)
    assert intervals(days, ALWAYS, ALWAYS, 0, DAY_MS) == (Interval(0, DAY_MS, "pass"),)


def test_an_exception_ends_a_stretch_and_an_empty_day_does_not() -> None:
    days = [Day(0, 1, 0), Day(2 * DAY_MS, 1, 0), Day(3 * DAY_MS, 2, 1), Day(4 * DAY_MS, 1, 0)]
    history = intervals(days, ALWAYS, ALWAYS, 0, 5 * DAY_MS)
    assert [one.state for one in history] == ["pass", "no-population", "pass", "fail", "pass"]
    assert operated(history) == (Span(0, 3 * DAY_MS), Span(4 * DAY_MS, 5 * DAY_MS))


def test_days_of_several_tests_are_added_up() -> None:
    assert of_days([[Day(0, 2, 0)], [Day(0, 3, 1, 1), Day(DAY_MS, 1, 0)]]) == (
        Day(0, 5, 1, 1),
        Day(DAY_MS, 1, 0),
    )
