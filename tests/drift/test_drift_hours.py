"""When an agent is at work: no alarm for who has no quiet hours or too short a past, and nights are found."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import canonical
from keyturn.drift.baseline import Baseline, Measured, baseline
from keyturn.drift.behaviour import Seen
from keyturn.drift.features import Session
from keyturn.drift.finding import Explanation
from keyturn.drift.off_hours import dated, drift, share
from keyturn.drift.stream import AgentStream, DailyHours, Hours, Promise, Step, day_class
from keyturn.drift.stream.conformal import DAY_MS
from keyturn.drift.stream.hours import (
    CAP,
    HOUR_MS,
    LEAST_DAYS,
    NOTHING,
    QUIET,
    WEEK_HOURS,
    day_score,
    halves,
    hour_of_week,
    references,
    spans,
    usual_hours,
)

OFFICE = range(8, 17)
WEEK = range(4, 4 + 28)
"""Four whole weeks; day 4 was a Monday."""
times = st.lists(st.integers(4 * DAY_MS, 32 * DAY_MS - 1), min_size=1, max_size=120)


def office(days: range = WEEK, hours: range = OFFICE, shift: int = 0) -> list[int]:
    return [
        day * DAY_MS + (hour + shift) * HOUR_MS
        for day in days
        if day_class(day) == "workday"
        for hour in hours
    ]


def model(found: list[int]) -> Hours:
    return Hours.of(found, WEEK[0], WEEK[-1])


@given(times)
def test_every_hour_has_a_score_or_none_has(found: list[int]) -> None:
    made = model(found)
    assert len(made.scores) in (0, WEEK_HOURS)
    assert all(0 <= one <= CAP for one in made.scores)
    assert not made.scores or max(made.scores) >= QUIET


@given(times, st.integers(0, 50))
def test_the_week_is_a_circle(found: list[int], weeks: int) -> None:
    moved = weeks * 7 * DAY_MS
    later = Hours.of([one + moved for one in found], WEEK[0] + 7 * weeks, WEEK[-1] + 7 * weeks)
    assert later == model(found)
    assert [hour_of_week(one) for one in found] == [hour_of_week(one + moved) for one in found]


@given(times)
def test_how_often_within_an_hour_changes_nothing(found: list[int]) -> None:
    assert model([*found, *found]) == model(found)


@given(times, st.integers(0, 27 * 24))
def test_what_was_done_is_never_more_unusual_than_without_it(found: list[int], hour: int) -> None:
    # One occasion moves the typical rate as well: at most by the rounding it takes to see one more day.
    time = WEEK[0] * DAY_MS + hour * HOUR_MS
    before, after = model(found), model([*found, time])
    if before.scores and after.scores and time // HOUR_MS not in {one // HOUR_MS for one in found}:
        assert after.score(time) <= before.score(time) + 10


def test_nights_are_quiet_and_an_hour_earlier_or_later_is_none() -> None:
    made = model(office())
    night = WEEK[0] * DAY_MS + 3 * HOUR_MS
    assert made.quiet(night)
    assert made.score(night) > 30
    assert all(made.score(one) == 0 for one in office(shift=1))  # summer time
    assert all(made.score(one) == 0 for one in office(shift=-1))
    assert made.quiet(9 * DAY_MS + 10 * HOUR_MS)  # a Saturday, at an hour that is ordinary on workdays
    assert usual_hours(made)["saturday"] == "none"
    assert usual_hours(made)["workday"].startswith("06–18")


def test_who_runs_around_the_clock_has_no_quiet_hour() -> None:
    clock = [day * DAY_MS + hour * HOUR_MS for day in WEEK for hour in range(24)]
    assert model(clock).scores == ()
    assert references(model(clock), [(one, 1) for one in clock], WEEK) == {}
    assert usual_hours(model(clock)) == {}
    assert model(clock).score(clock[0]) == 0
    # Negative control: without the nights it has.
    assert model([one for one in clock if one // HOUR_MS % 24 in OFFICE]).scores


def test_bets_are_fair_bounded_and_only_for_small_p() -> None:
    steps = 20_000
    sums = [0.0] * 6
    for step in range(steps):
        for place, won in enumerate(DailyHours().factors((step + 0.5) / steps)):
            assert 0 < won <= 4.5
            sums[place] += won / steps
    assert sums == pytest.approx([1.0] * 6, abs=1e-6)
    assert all(won < 1 for won in DailyHours().factors(0.9))


def test_a_day_is_scored_by_its_actions_and_days_off_are_below_all() -> None:
    assert day_score(0, 0) == NOTHING < day_score(0, 5) == 0
    assert day_score(60, 10) == 60
    made = model(office())
    found = references(made, [(one, 2) for one in office()], WEEK)
    assert set(found["workday"]) == {0}
    assert set(found["saturday"]) == set(found["sunday"]) == {NOTHING}
    # A holiday: only its first two days count.
    worked = [(one, 2) for one in office() if one // DAY_MS < 15]
    assert sum(map(len, references(made, worked, WEEK).values())) == 15 - WEEK[0] + 2


def test_two_weeks_are_needed() -> None:
    assert halves(0, LEAST_DAYS - 2) is None
    both = halves(0, LEAST_DAYS - 1)
    assert both is not None
    assert (both[0], both[1]) == (range(7), range(7, 14))


def test_hours_are_told_as_spans() -> None:
    assert spans([]) == "none"
    assert spans([6, 7, 8, 22]) == "06–08, 22"


def pinned(days: int, hours: range = OFFICE) -> Baseline:
    one = Session(("shell ls reads:workspace",) * 3, ("reads:workspace",))
    return baseline("coder", "d", "p", [Measured(time, one) for time in office(range(4, 4 + days), hours)])


def watch(made: Baseline, found: list[int], days: float = 90.0) -> list[int]:
    """Days on which the hours of *found* raise an alarm, going through the log's form each time."""
    stream = AgentStream("r_1", made.portfolio(), made.volume(), hours=made.at_work())
    alarms = []
    for number, time in enumerate(found):
        step = Step(
            f"s_{number}#1", 3, 0, 0, False, time // DAY_MS, Promise(1e12, days), made.hours.score(time)
        )
        stream, told = stream.after(step)
        stream = AgentStream.of_rows(*(msgspec.json.decode(canonical.dumps(part)) for part in stream.rows()))
        alarms += [time // DAY_MS] if "hours" in told.alarms else []
    return alarms


AFTER = range(60, 60 + 60)


def test_a_past_that_is_too_short_raises_no_alarm_however_many_sessions_come_at_night() -> None:
    nights = office(AFTER, range(2, 5))
    assert watch(pinned(12), nights) == []
    assert watch(pinned(56), office(AFTER)) == []  # nor does ordinary work
    # Negative control: with eight weeks behind it the same nights are found within days.
    alarms = watch(pinned(56), nights)
    assert alarms
    assert alarms[0] - AFTER[0] <= 14


def test_no_alarm_comes_of_time_alone() -> None:
    """One session after each weekend-long, month-long or year-long pause: nothing happened meanwhile, so nothing is told."""
    made = pinned(28)
    for pause in (3, 30, 365):
        assert watch(made, [(32 + pause * n) * DAY_MS + 10 * HOUR_MS for n in range(12)], days=30.0) == []


def test_an_older_version_s_state_watches_no_hours() -> None:
    body, reference = AgentStream("r_1", pinned(28).portfolio(), pinned(28).volume()).rows()
    del body["detectors"]["hours"], body["late"], reference["hours"]
    assert AgentStream.of_rows(body, reference).hours == DailyHours()


def test_an_alarm_says_since_which_day_how_much_and_at_which_hours() -> None:
    made = pinned(28)

    def seen(time: int, entry: int) -> Seen:
        telling = {"hours": [entry]} if made.hours.quiet(time) else {}
        return Seen(time - 60_000, time, 3, 0, False, 0.5, "d", "p", telling)

    day = office(range(32, 52))
    nights = [number * DAY_MS + 3 * HOUR_MS for number in range(46, 60)]
    every = sorted([*day, *nights, *office(range(52, 61))])
    sessions = [seen(time, number) for number, time in enumerate(every)]
    earliest, likeliest, latest = dated(sessions[:-1], made, "r_1")
    assert earliest <= likeliest <= latest
    assert 45 <= likeliest <= 48
    told = drift("coder", 123.0, "r_1", made, sessions, Explanation())
    assert told.kind == "behaviour.hours"
    assert "(UTC: 03)" in told.observed
    assert told.expected == "0.0 %"
    assert told.magnitude is not None
    assert told.magnitude.value > 0.05 > told.magnitude.baseline
    assert told.since is not None
    assert told.since.earliest // DAY_MS <= 47
    assert all(every[entry] in nights for entry in told.entries)
    assert 0 < len(told.entries) <= 20
    assert share([one for one in sessions if one.time in day], made) == 0.0
