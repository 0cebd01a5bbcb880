"""Who is told what, and when: pure rules."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

import pytest
from channels_notices import request
from hypothesis import given
from hypothesis import strategies as st

from keyturn.channels.notices.channel import Channel, ChannelUnusable, Follows
from keyturn.channels.notices.routing import deciders, due, parse_quiet, receivers, wake_at
from keyturn.identity import Person, Roster
from keyturn.service.model import StageView

FOLLOWS: list[Follows] = ["no", "end", "changes"]


class Phone(Channel):
    """Reaches people by the accounts `phone:|number`."""

    name = "phone"

    def shared(self) -> tuple[str, ...]:
        return ("desk",)

    def addresses(self, person: Person, rows: Any) -> list[str]:
        return [one.partition("|")[2] for one in person.accounts if one.startswith("phone:")]


ROSTER = Roster(
    {
        "ana": Person("ana", accounts=("phone:|1", "x|1")),
        "ana2": Person("ana2", accounts=("phone:|2", "x|1")),  # the same human
        "ben": Person("ben", accounts=("phone:|3",)),
        "gone": Person("gone", accounts=("phone:|4", "x|1"), removed=True),
    }
)


def told(*people: str, without: dict[str, list[str]] | None = None) -> list[str]:
    return sorted(r.to for r in receivers(Phone(), people, ROSTER, without or {}, {}))


def test_all_accounts_of_one_human_are_told_and_no_removed_one() -> None:
    assert told("ana") == ["1", "2", "desk"]
    assert told("ana", "ana2", "ben") == ["1", "2", "3", "desk"]
    assert told() == ["desk"]


def test_who_does_without_is_not_told() -> None:
    assert told("ana", without={"ana": ["phone"]}) == ["2", "desk"]
    assert told("ana", without={"ana": ["slack"]}) == ["1", "2", "desk"]


def test_only_people_of_open_stages_are_told() -> None:
    stages = (
        StageView("dba", 1, 0, ("ana", "ben")),
        StageView("sec", 1, 1, (), open=False),
        StageView("later", 1, 0, ("cy",), open=False),
    )
    assert deciders(request(stages=stages)) == ("ana", "ben")


def row(shown: str = "waiting:0", phases: tuple[str, ...] = ("opened",), dropped: str = "") -> dict[str, Any]:
    return {"shown": shown, "phases": list(phases), "dropped": dropped}


@pytest.mark.parametrize("follows", FOLLOWS)
def test_nobody_hears_of_a_request_for_the_first_time_when_it_is_over(follows: Follows) -> None:
    for state in ("approved", "denied", "expired", "withdrawn", "superseded"):
        assert due(follows, state, f"{state}:1", None, 0, True) is None
    assert due(follows, "waiting", "waiting:0", None, 0, True)  # the control
    assert due(follows, "waiting", "waiting:0", None, 0, False) is None


@given(
    follows=st.sampled_from(FOLLOWS),
    states=st.lists(st.sampled_from(["waiting", "waiting", "denied"]), max_size=8),
    approvals=st.integers(0, 3),
    reminders=st.integers(0, 3),
)
def test_nothing_is_told_twice_and_an_end_is_the_last(
    follows: Follows, states: list[str], approvals: int, reminders: int
) -> None:
    """Play a history: each message that is due is sent and remembered; no key comes twice, and after the end comes nothing."""
    known: dict[str, Any] | None = None
    sent: list[str] = []
    for number, state in enumerate(states):
        if state != "waiting":
            states = states[: number + 1]
        shown = f"{state}:{min(approvals, number)}"
        while (what := due(follows, state, shown, known, min(reminders, number), True)) is not None:
            assert what.key not in sent
            sent.append(what.key)
            known = row(shown, tuple(sent))
        if state != "waiting":
            break
    if "ended" in sent:
        assert sent[-1] == "ended"
        assert follows != "no"


def test_a_receiver_that_was_given_up_hears_nothing_more() -> None:
    given_up = row(dropped="gone")
    assert due("changes", "denied", "denied:1", given_up, 2, True) is None
    assert due("changes", "denied", "denied:1", row(), 2, True)  # the control


# --- quiet hours -----------------------------------------------------------------------------------------------------


def moment(text: str, zone: str = "UTC") -> int:
    return int(
        datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone)).timestamp() * 1000
    )


def test_quiet_hours_over_midnight_end_in_the_morning_there() -> None:
    quiet = parse_quiet("22:00-07:00 Europe/Berlin")
    morning = moment("2026-03-02T07:00", "Europe/Berlin")
    assert wake_at(quiet, moment("2026-03-01T23:30", "Europe/Berlin")) == morning
    assert wake_at(quiet, moment("2026-03-02T06:59", "Europe/Berlin")) == morning
    assert wake_at(quiet, morning) == morning
    noon = moment("2026-03-02T12:00", "Europe/Berlin")
    assert wake_at(quiet, noon) == noon
    assert wake_at(None, noon) == noon


@given(st.integers(1_700_000_000_000, 2_000_000_000_000), st.integers(0, 23), st.integers(0, 23))
def test_quiet_hours_end_within_a_day_and_at_a_moment_that_is_not_quiet(
    now: int, begin: int, end: int
) -> None:
    if begin == end:
        return
    quiet = parse_quiet(f"{begin:02}:00-{end:02}:00 America/New_York")
    wakes = wake_at(quiet, now)
    assert now <= wakes <= now + 26 * 3_600_000
    assert wake_at(quiet, wakes) == wakes


@pytest.mark.parametrize(
    "text", ["22-7", "24:00-07:00", "22:00-22:00", "22:00-07:00 Mars/Base", "22:60-07:00", "x"]
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ChannelUnusable):
        parse_quiet(text)
