"""Scope that grows is measured against the beginning, whatever was pinned or used in between."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from keyturn import canonical
from keyturn.drift import powers
from keyturn.drift.powers import ORIGINAL_SESSIONS, Powers, after, drift, grown

DAY = 86_400_000
names = st.sets(
    st.sampled_from(["reads:secret", "writes:system", "connects:network", "target:db", "scope:http"])
)


def live(sessions: list[set[str]], start: Powers | None = None, first: int = 0) -> Powers:
    made = start or Powers()
    for number, used in enumerate(sessions, first):
        made = after(made, used, f"s_{number}", 100 + number, number * 1_000 + 1)
    return made


def settled(*original: str) -> Powers:
    return live([set(original)] * ORIGINAL_SESSIONS)


def test_powers_are_coarse_and_what_is_its_own_work_is_none() -> None:
    effects = [
        "reads:workspace",
        "writes:workspace",
        "writes:temporary",
        "executes:system",
        "reads:system",
        "connects:loopback",
    ]
    assert powers.of_effects(effects) == set()
    effects = ["reads:workspace+secret", "writes:system", "connects:network", "deletes:home+production"]
    assert powers.of_effects(effects) == {
        "reads:secret",
        "writes:system",
        "connects:network",
        "deletes:production",
    }
    assert powers.of_targets(["local", "", "orders"]) == {"target:orders"}
    assert powers.of_credential(("shell", "http"), 0, 30 * DAY) == {
        "scope:shell",
        "scope:http",
        "lasts:month",
    }
    assert powers.of_credential((), 0, 1_000 * DAY) == {"lasts:longer"}
    said = {
        "permissions": {"allow": ["Bash(git:*)", "Bash(ls)"], "mode": "bypassPermissions"},
        "servers": {"gh\n": {}},
    }
    assert powers.of_abilities(said) == {"allows:Bash", "server:gh_", "mode:bypassPermissions"}


@given(st.lists(names, max_size=80))
def test_nothing_is_lost_or_counted_twice(sessions: list[set[str]]) -> None:
    made = live(sessions)
    again = powers.of_row(msgspec.json.decode(canonical.dumps(powers.as_row(made))))
    assert again == made
    came = [one.power for one in (*made.steps, *made.once)]
    assert len(came) == len(set(came))
    assert not set(came) & set(made.original)
    assert set().union(*sessions) == {*made.original, *came} if sessions else not made.original
    if not made.settled:
        assert not came


@given(names, names, st.integers(2, 6))
def test_a_step_needs_two_sessions_and_parts_of_one_are_one(
    original: set[str], later: set[str], times: int
) -> None:
    start = settled(*original)
    one = start
    for number in range(times):
        one = after(one, later, "s_long", 500 + number, 10**6 + number)
    assert one.steps == ()
    two = after(one, later, "s_other", 900, 10**7)
    assert {step.power for step in two.steps} == later - original
    assert all(step.entry == 500 for step in two.steps)


def test_growth_by_one_power_at_a_time_is_found_and_one_large_session_is_not() -> None:
    slow = settled("reads:secret")
    came = ["writes:system", "connects:network", "target:db"]
    for number, power in enumerate(came):
        assert not grown(slow, 3)
        slow = live([{power}, {power}], slow, 100 + 10 * number)
    assert grown(slow, 3)
    assert not grown(slow, 0)
    assert not grown(slow, 4)
    found = drift("coder", slow, 3, "sha256:d")
    assert found.kind == "scope.grown"
    assert "writes:system, connects:network, target:db" in found.words
    assert found.magnitude is not None
    assert (found.magnitude.value, found.magnitude.baseline) == (4, 1)
    assert found.since is not None
    assert found.since.earliest < found.since.latest
    assert len(found.entries) == 3
    # Negative control: all of them at once, in one session, is one change, however often it is used afterwards.
    assert not grown(live([set(came)] * 5, settled("reads:secret"), 100), 3)


def test_a_second_baseline_does_not_move_the_original_and_the_first_does() -> None:
    early = powers.pinned(live([{"reads:secret"}] * 5), 7)
    assert early.pinned
    assert early.original == ("reads:secret",)
    wider = live([{"target:db"}, {"target:db"}], early, 100)
    assert [one.power for one in wider.steps] == ["target:db"]
    assert powers.pinned(wider, 9) == wider
    # Without one the first sessions are; the first baseline is what people looked at.
    late = live([{"target:db"}, {"target:db"}], settled("reads:secret"), 100)
    looked = powers.pinned(late, 9)
    assert looked.original == ("reads:secret", "target:db")
    assert looked.steps == ()


def test_each_so_many_further_steps_are_another_finding() -> None:
    keys = set()
    made = settled()
    for number in range(7):
        made = live([{f"target:{number}"}, {f"target:{number}"}], made, 100 + 10 * number)
        keys |= {drift("coder", made, 3).key} if grown(made, 3) else set()
    assert keys == {("coder", "1"), ("coder", "2")}
