"""Plans, pure: no step twice, none out of order, nothing after a stop or the end, and separation of duties each time (promise 6)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from keyturn.approvals import plans
from keyturn.approvals.grants import Use
from keyturn.approvals.plans import Place, Plan, advance, text
from keyturn.identity import Person, Roster

ROSTER = Roster({"ana": Person("ana", groups=("dba",)), "dan": Person("dan", groups=("dba",))})
SAME: dict[str, Any] = {
    "policy": "sha256:p", "agent": "claude", "gate": "hooks@here", "session": "s_1", "initiator": "dan",
    "initiator_uid": 1000, "owner": "olga",
}  # fmt: skip
PLAN = Plan(
    id="pl_1",
    places=tuple(Place(n, f"sha256:{n}", "sha256:o") for n in (1, 3, 4)),
    length=5,
    **SAME,
    requires="1 of dba",
    approvers=("ana",),
    opened_ms=1_000,
    ends_ms=2_000,
)


def use(digest: str, **changes: Any) -> Use:
    """An action that policy holds, in the plan's session."""
    return Use(**{**SAME, "asks": "sha256:o", **changes}, digest=digest)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_the_next_step_is_covered_and_nothing_else_is(at: int) -> None:
    plan = replace(PLAN, next=at)
    for index, place in enumerate(PLAN.places):
        found = advance(plan, use(place.digest), ROSTER, 1_500)
        assert (found.kind, found.number) == (("covered", place.number) if index == at else ("deviation", 0))
    assert advance(plan, use("sha256:other"), ROSTER, 1_500).kind == "deviation"


@pytest.mark.parametrize("part", ["agent", "gate", "initiator", "initiator_uid", "owner"])
def test_somebody_else_in_its_session_leaves_it(part: str) -> None:
    other = use("sha256:1", **{part: 4242 if part == "initiator_uid" else "other"})
    assert advance(PLAN, other, ROSTER, 1_500).kind == "deviation"


@pytest.mark.parametrize(
    "change", [{"session": "s_2"}, {"policy": "sha256:q"}, {"asks": "sha256:more"}, {"parties": ("ana",)}]
)
def test_what_is_not_of_it_neither_runs_nor_stops_it(change: dict[str, Any]) -> None:
    found = advance(PLAN, use("sha256:1", **change), ROSTER, 1_500)
    assert found.kind == "aside"
    assert found.words


def test_it_ends_with_its_time_its_last_step_and_its_stop() -> None:
    first = use("sha256:1")
    assert advance(PLAN, first, ROSTER, 1_999).kind == "covered"
    assert advance(PLAN, first, ROSTER, 2_000).words == "its time is over"
    assert advance(replace(PLAN, next=3), first, ROSTER, 1_500).words == "all of its steps were used"
    assert advance(replace(PLAN, stopped="no"), first, ROSTER, 1_500).words == "it was stopped: no"


def test_a_step_waits_for_the_one_before() -> None:
    plan = replace(PLAN, next=1)
    assert advance(plan, use("sha256:3"), ROSTER, 1_500, begun=False).kind == "deviation"
    assert advance(plan, use("sha256:3"), ROSTER, 1_500, begun=True).kind == "covered"


@pytest.mark.parametrize("change", [{"removed": True}, {"groups": ("web",)}])
def test_who_may_no_longer_approve_carries_no_step(change: dict[str, Any]) -> None:
    people = {**ROSTER.people, "ana": replace(ROSTER.people["ana"], **change)}
    assert advance(PLAN, use("sha256:1"), Roster(people), 1_500).kind == "aside"


# --- against a slow oracle -------------------------------------------------------------------------------------

digests = st.sampled_from(["a", "b", "c"])
events = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), digests, st.sampled_from(["s_1", "s_1", "s_1", "s_2"]), st.booleans()),
        st.tuples(st.just("pass"), st.integers(0, 400)),
        st.just(("revoke",)),
    ),
    max_size=12,
)


def walked(places: tuple[str, ...], history: list[Any]) -> list[tuple[int, str]]:
    """What the rules let run: (index of the place, digest), as a service would walk them."""
    plan = replace(PLAN, places=tuple(Place(n, d, "sha256:o") for n, d in enumerate(places, 1)))
    now, ran = 1_000, []
    for what, *rest in history:
        if what == "pass":
            now += rest[0]
        elif what == "revoke":
            plan = replace(plan, stopped=plan.stopped or "revoked")
        else:
            digest, session, begun = rest
            found = advance(plan, use(digest, session=session), ROSTER, now, begun=begun or plan.next == 0)
            if found.kind == "covered":
                ran.append((plan.next, digest))
                plan = replace(plan, next=plan.next + 1)
            elif found.kind == "deviation":
                plan = replace(plan, stopped=found.words)
    return ran


def slowly(places: tuple[str, ...], history: list[Any]) -> list[tuple[int, str]]:
    """The same by looking at the whole past each time: the plan's own asks must be its beginning, one by one."""
    ran: list[tuple[int, str]] = []
    for end in range(1, len(history) + 1):
        past = history[:end]
        if past[-1][0] != "ask" or past[-1][2] != "s_1" or ("revoke",) in past:
            continue
        if 1_000 + sum(one[1] for one in past if one[0] == "pass") >= 2_000:
            continue
        own = [one for one in past if one[0] == "ask" and one[2] == "s_1"]
        fits = all(
            n < len(places) and one[1] == places[n] and (one[3] or n == 0) for n, one in enumerate(own)
        )
        if fits:
            ran.append((len(own) - 1, past[-1][1]))
    return ran


@given(st.lists(digests, min_size=1, max_size=4).map(tuple), events)
def test_no_history_lets_run_what_a_slow_look_at_all_of_it_does_not(
    places: tuple[str, ...], history: list[Any]
) -> None:
    ran = walked(places, history)
    assert ran == slowly(places, history)
    assert [index for index, _ in ran] == list(range(len(ran))), "in order, each once"
    assert [digest for _, digest in ran] == list(places[: len(ran)])


# --- what people read ------------------------------------------------------------------------------------------

line = st.text(min_size=0, max_size=40)


@given(st.lists(line, min_size=1, max_size=4), line, line)
def test_nothing_that_an_agent_writes_makes_a_line_of_the_plan(
    scripts: list[str], why: str, folder: str
) -> None:
    steps = [
        {
            "act": {
                "content": {"kind": "shell", "script": one}, "cwd": folder, "target": "local", "environment": {"X": one}, "executes": {},
            },
            "digest": "sha256:1", "verdict": "hold", "effects": [], "complete": False, "unread": [one],
        }
        for one in scripts
    ]  # fmt: skip
    lines = text({"steps": steps, "why": why, "seconds": 60}).split("\n")
    unbarred = [one for one in lines if one and not one.startswith("  ")]
    assert len(unbarred) == 1 + len(scripts) + (1 if why else 0)
    assert plans.text({"steps": steps, "why": why, "seconds": 60}).count("\n") == len(lines) - 1
