"""Random histories of requests, and a slow judge that shares no code with the machine it judges."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from keyturn.approvals import (
    Event,
    Given,
    RequestState,
    Step,
    Supersede,
    Tick,
    Withdraw,
    open_request,
)
from keyturn.identity import Person, Roster
from keyturn.requirement import Requirement, Stage, any_of

GROUPS = ("dba", "security", "web")
IDS = ("ana", "ben", "cleo", "dan", "eve", "fay")
OPENED, EXPIRES = 1_000, 2_000

Apply = Callable[[RequestState, Event, Roster, int], Step]


class Moment(Struct, frozen=True):
    """One thing that happens, with the clock and the roster at that time."""

    event: Event
    at_ms: int
    roster: Roster


class History(Struct, frozen=True):
    """A request and everything that happens to it."""

    request: RequestState
    moments: tuple[Moment, ...]


def requirements(max_need: int = 2, max_stages: int = 3) -> st.SearchStrategy[Requirement]:
    """Requirements of a few stages, together or in order, some out of any of two groups."""
    group = st.sets(st.sampled_from(GROUPS), min_size=1, max_size=2).map(any_of)
    stage = st.tuples(st.integers(1, max_need), group, st.booleans())

    def build(parts: list[tuple[int, str, bool]]) -> Requirement:
        order, stages = 0, []
        for place, (need, group, later) in enumerate(parts):
            order += 1 if later and place else 0
            stages.append(Stage(need, group, order))
        return Requirement(tuple(stages))

    return st.lists(stage, min_size=1, max_size=max_stages).map(build)


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    """Six records; some share an account or an operating-system account, some are administrators, some removed."""
    people = {}
    for key in IDS:
        people[key] = Person(
            key,
            groups=tuple(sorted(draw(st.sets(st.sampled_from(GROUPS), max_size=3)))),
            roles=draw(st.sampled_from([("member",), ("admin",), ("member", "author")])),
            accounts=tuple(draw(st.sets(st.sampled_from(["idp|1", "idp|2"]), max_size=1)))
            if draw(st.booleans())
            else (),
            os_uids=(draw(st.sampled_from([1000, 1001])),) if draw(st.integers(0, 5)) == 0 else (),
            removed=draw(st.integers(0, 9)) == 0,
        )
    return Roster(people)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A request, and up to a dozen decisions, withdrawals, ticks and changes of the roster."""
    roster = draw(rosters())
    someone = st.none() | st.sampled_from((*IDS, "stranger"))
    request = open_request(
        id="r_1",
        digest="sha256:a",
        display="sha256:b",
        requirement=draw(requirements()),
        opened_ms=OPENED,
        expires_ms=EXPIRES,
        initiator=draw(someone),
        initiator_uid=draw(st.none() | st.sampled_from([1000, 1001])),
        owner=draw(someone),
        authors=tuple(draw(st.lists(st.sampled_from(IDS), max_size=1))),
    )
    moments, now = [], OPENED
    for _ in range(draw(st.integers(1, 12))):
        now += draw(st.sampled_from([0, 1, 50, 100, 400]))
        if draw(st.integers(0, 5)) == 0:
            roster = _changed(draw, roster)
        moments.append(Moment(draw(_events()), now, roster))
    return History(request, tuple(moments))


def _events() -> st.SearchStrategy[Event]:
    approve = st.builds(
        Given,
        st.sampled_from((*IDS, "stranger")),
        st.just("approve"),
        st.sampled_from(["sha256:a"] * 9 + ["sha256:x"]),
        st.sampled_from(["sha256:b"] * 9 + ["sha256:x"]),
    )
    deny = st.builds(Given, st.sampled_from(IDS), st.just("deny"), st.just("sha256:a"), st.just("sha256:b"))
    rare: st.SearchStrategy[Any] = st.one_of(
        deny, st.just(Tick()), st.just(Withdraw("ana")), st.just(Supersede("r_2"))
    )
    return st.integers(0, 9).flatmap(lambda n: rare if n < 2 else approve)


def _changed(draw: st.DrawFn, roster: Roster) -> Roster:
    key = draw(st.sampled_from(IDS))
    person = roster.people[key]
    changed = draw(
        st.sampled_from(
            [
                replace(person, removed=True),
                replace(person, groups=person.groups[:-1]),
                replace(person, accounts=("idp|1",)),
            ]
        )
    )
    return Roster({**roster.people, key: changed})


# --- the judge ------------------------------------------------------------------------------------


def one_human(roster: Roster, one: str, other: str) -> bool:
    """Whether two ids are one human: by walking over shared accounts, without union-find."""
    reached = {one}
    while True:
        marks = {
            mark for key in reached if (p := roster.people.get(key)) for mark in (*p.accounts, *p.os_uids)
        }
        wider = reached | {k for k, p in roster.people.items() if marks & {*p.accounts, *p.os_uids}}
        if wider == reached:
            return other in reached
        reached = wider


def may_count(key: str, request: RequestState, roster: Roster) -> bool:
    """Whether promise 6 lets *key* count at all."""
    person = roster.people.get(key)
    if person is None or person.removed:
        return False
    uids = {uid for k, p in roster.people.items() if one_human(roster, key, k) for uid in p.os_uids}
    others = [p for p in (request.initiator, request.owner, *request.authors) if p is not None]
    return request.initiator_uid not in uids and not any(one_human(roster, key, other) for other in others)


def satisfied(given: list[str], request: RequestState, roster: Roster) -> bool:
    """By brute force: is there an assignment of distinct humans to all places, later layers after earlier ones?"""

    def solve(layer: int, after: int, used: list[str]) -> bool:
        layers = request.requirement.layers
        if layer == len(layers):
            return True
        slots = [stage.group.split("|") for stage in layers[layer] for _ in range(stage.need)]
        choices = [
            [i for i, key in enumerate(given) if i > after and set(groups) & {*roster.people[key].groups}]
            for groups in slots
        ]
        for picked in product(*choices):
            humans = [given[i] for i in picked]
            everyone = used + humans
            distinct = all(
                not one_human(roster, a, b) for n, a in enumerate(everyone) for b in everyone[n + 1 :]
            )
            if distinct and solve(layer + 1, max(picked), everyone):
                return True
        return False

    return solve(0, -1, [])


def judge(history: History, apply: Apply) -> RequestState:
    """Play *history* with *apply* and assert promises 4 and 6 at every step. The last state."""
    state = history.request
    given: list[str] = []
    denied = False
    for moment in history.moments:
        before = state
        step = apply(state, moment.event, moment.roster, moment.at_ms)
        state = step.state
        accepted = isinstance(moment.event, Given) and step.refusal is None
        if before.state != "waiting":
            assert state == before, "an ended request changed"
            assert not accepted, "a decision was accepted after the end"
        if accepted:
            assert moment.event.digest == before.digest, "other bytes were approved"
            assert moment.event.display == before.display, "something else was shown"
            assert may_count(moment.event.person, before, moment.roster), "somebody approved themselves"
            denied = denied or moment.event.choice == "deny"
            given.append(moment.event.person)
        if moment.at_ms >= history.request.expires_ms and before.state == "waiting":
            assert state.state == "expired", "it outlived its deadline"
        if state.state == "approved" and before.state == "waiting":
            assert isinstance(moment.event, Given), "something other than an approval approved"
            assert not denied, "approved after a denial"
            counting = [key for key in given if may_count(key, history.request, moment.roster)]
            assert satisfied(counting, history.request, moment.roster), (
                "fewer distinct eligible people than required"
            )
    return state
