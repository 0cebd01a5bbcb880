"""Patterns of approvals and of attribution, with histories whose truth is known; each with a benign one beside it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import readers
from keyturn.actions import Shell
from keyturn.approvals.vigilance import Decided, vigilance
from keyturn.drift import duties
from keyturn.drift.attribution import Boilerplate, Collapse, Members, Spread, bands, sketch
from keyturn.drift.duties import Approvals, Given, Retries, denied_of, rubber_stamp
from keyturn.resources import Surroundings

NOW = 1_700_000_000_000
HOUR = 3_600_000


def history(pairs: list[tuple[str, str]], gap: int = HOUR) -> set[str]:
    """Kinds found in approvals by the first for the second of each pair."""
    detector, kinds = Approvals(), set()
    for number, (person, requester) in enumerate(pairs):
        one = Given(person, requester, f"r{number}", "web", NOW + number * gap, number)
        kinds |= {found.kind for found in detector.given(one)}
    return kinds


def everybody(count: int, people: str = "abcd") -> list[tuple[str, str]]:
    rng = random.Random(7)
    return [tuple(rng.sample(people, 2)) for _ in range(count)]  # type: ignore[misc]


def test_two_who_approve_each_other_are_found_and_a_team_that_spreads_them_is_not() -> None:
    assert history([("a", "b"), ("b", "a")] * 12 + [("c", "d")]) == set()  # who else was there came last
    assert history([("c", "d"), *[("a", "b"), ("b", "a")] * 12]) == {"sod.reciprocal"}
    assert history(everybody(400)) == set()


def test_where_two_people_have_nobody_else_nothing_is_said() -> None:
    assert history([("a", "b"), ("b", "a")] * 50) == set()


def test_one_who_approves_nearly_everything_is_found() -> None:
    assert history([*everybody(12), *[("a", "bcd"[n % 3]) for n in range(60)]]) == {"sod.concentration"}


def test_what_is_older_than_thirty_days_is_forgotten() -> None:
    old = [("c", "d"), *[("a", "b"), ("b", "a")] * 9]
    assert history([*old, *[("c", "d")] * 35, ("a", "b"), ("b", "a")], gap=24 * HOUR) == set()


@pytest.mark.parametrize(("apart", "found"), [(800, True), (1_000, True), (1_001, False)])
def test_two_approvals_of_one_request_at_once_are_perhaps_one_persons(apart: int, found: bool) -> None:
    detector = Approvals()
    detector.given(Given("a", "z", "r1", "web", NOW, 1))
    other = detector.given(Given("b", "z", "r1", "web", NOW + apart, 2))
    assert [one.kind for one in other] == (["sod.together"] if found else [])
    assert detector.given(Given("c", "z", "r2", "web", NOW + apart, 3)) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.integers(0, 9)), max_size=80))
def test_what_is_counted_is_what_is_in_the_window(given_: list[tuple[str, str, int]]) -> None:
    detector, past, now = Approvals(), [], NOW
    for number, (person, requester, days) in enumerate(given_):
        now += days * 86_400_000
        detector.given(Given(person, requester, f"r{number}", "web", now, number))
        past.append((person, requester, now))
        live = [(p, r) for p, r, t in past if t > now - duties.DAYS_30_MS]
        assert sum(detector._by.values()) == len(live)
        assert all(detector._pairs[pair] == live.count(pair) for pair in set(live))


def test_a_reviewer_who_never_says_no_is_told_by_the_odds() -> None:
    def decisions(approve: int, deny: int, ms: int) -> duties.Vigilance:
        return vigilance(
            "riley", [Decided("approve", looked_ms=ms)] * approve + [Decided("deny", looked_ms=ms)] * deny
        )

    assert rubber_stamp(decisions(95, 0, 60_000), 0.07, 1, NOW) is None
    found = rubber_stamp(decisions(96, 0, 60_000), 0.07, 1, NOW)
    assert found is not None
    assert found.magnitude is not None
    assert found.magnitude.evidence >= 1000
    assert rubber_stamp(decisions(120, 6, 60_000), 0.07, 1, NOW) is None
    hasty = rubber_stamp(decisions(60, 1, 900), 0.07, 1, NOW)
    assert hasty is not None
    assert "within 0.9 seconds" in hasty.observed


# --- after a no ---------------------------------------------------------------------------------------------------

AROUND = Surroundings(cwd="/w", workspace="/w", home="/home/u")


def one(command: str, number: int = 0) -> duties.Denied:
    reading = readers.read(Shell(command), AROUND)
    return denied_of(f"a{number}", f"sha256:{command}", reading, "local", number, command)


@pytest.mark.parametrize(
    ("first", "second", "variant"),
    [
        ("rm -r build", "rm -rf ./build/*", True),
        ("rm -r build", "find build -delete", True),
        ("psql -d orders -c 'drop table x'", "psql orders -c 'truncate x'", True),
        ("ssh prod-1 reboot", "ssh root@prod-1 'shutdown -r now'", True),
        ("rm -r build", "rm -r other", False),
        ("rm -r build", "ls build", False),
        ("psql -d orders -c 'drop table x'", "psql -d stock -c 'select 1'", False),
        ("rm -r build", "rm -r build", False),
    ],
)
def test_another_form_of_what_was_denied_is_told_from_something_else(
    first: str, second: str, variant: bool
) -> None:
    detector = Retries()
    detector.denied("s", one(first, 1))
    found = detector.proposed("s", one(second, 2), "coder", NOW)
    assert bool(found) == variant
    assert detector.proposed("other", one(second, 3), "coder", NOW) == []


# --- attribution ----------------------------------------------------------------------------------------------------


def test_twenty_agents_behind_one_account_are_found_at_the_second() -> None:
    detector = Collapse()
    found = [detector.opened("svc", f"agent-{n}", "dana", NOW + n, n, 1, 0) for n in range(20)]
    assert [len(one) for one in found] == [0] + [1] * 19
    last = found[-1][0]
    assert last.observed == "20 agents"
    assert "agent-0, agent-1" in last.words


def test_one_agent_with_many_sessions_is_one_and_yesterday_is_over() -> None:
    detector = Collapse()
    assert not any(detector.opened("svc", "coder", "dana", NOW + n, n, 1, 1) for n in range(50))
    assert detector.opened("svc", "other", "dana", NOW + 25 * HOUR, 99, 1, 1) == []
    assert [d.key for d in detector.opened("svc", "other", "riley", NOW + 26 * HOUR, 99, 1, 1)] == [
        ("svc", "person")
    ]


def test_one_instruction_feeds_so_many_sessions_and_no_more() -> None:
    detector = Spread()
    found = [detector.instructed("sha256:x", f"s{n}", NOW + n, n, 3) for n in range(5)]
    assert [len(one) for one in found] == [0, 0, 0, 1, 1]
    assert detector.instructed("sha256:x", "s4", NOW + 25 * HOUR, 9, 3) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=60))
def test_members_of_a_day_are_those_of_somebody_who_remembers_everything(
    events: list[tuple[str, int]],
) -> None:
    members, past, now = Members(), [], NOW
    for number, (name, minutes) in enumerate(events):
        now += minutes * 60_000 * 20
        seen = members.add("x", name, now, number)
        past.append((name, now))
        assert set(seen) == {n for n, t in past if t > now - 86_400_000}


ALIKE = "I need to look at the configuration of the service {} so that I can find out why it does not start."
WORDS = [f"word{number}" for number in range(19)]


def test_boilerplate_is_found_and_reasons_that_differ_are_not() -> None:
    rng = random.Random(3)
    same, different = Boilerplate(), Boilerplate()
    alarms = [0, 0]
    for number in range(120):
        session = f"s{number // 4}"
        text = ALIKE.format(number)
        alarms[0] += bool(same.reasoned("coder", session, text, NOW, number, 0.5))
        text = " ".join(rng.choices(WORDS, k=18))
        alarms[1] += bool(different.reasoned("coder", session, text, NOW, number, 0.5))
    assert alarms[0] > 50
    assert alarms[1] == 0


def test_texts_that_share_most_shingles_share_a_band() -> None:
    def alike(a: str, b: str) -> bool:
        return not set(bands(sketch(a))).isdisjoint(bands(sketch(b)))

    rng = random.Random(5)
    near = far = 0
    for _ in range(200):
        words = rng.choices([f"w{n}" for n in range(500)], k=60)
        near += alike(" ".join(words), " ".join([*words[:58], "other", "end"]))
        far += alike(" ".join(words), " ".join(rng.choices([f"w{n}" for n in range(500)], k=60)))
    assert near >= 180
    assert far == 0
