"""Promise 6 and the life of a request: nobody approves themselves, people are counted, deny wins, time never approves."""

from __future__ import annotations

from itertools import permutations

import pytest
from approvals_histories import (
    EXPIRES,
    OPENED,
    History,
    histories,
    judge,
    may_count,
    requirements,
    rosters,
    satisfied,
)
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from keyturn.approvals import (
    Approval,
    Event,
    Given,
    RequestState,
    Step,
    Supersede,
    Tick,
    Withdraw,
    apply,
    open_request,
    progress,
    reachable,
    refusal,
)
from keyturn.identity import Person, Roster
from keyturn.requirement import parse_requirement


def roster(*people: Person) -> Roster:
    return Roster({person.id: person for person in people})


ANA = Person("ana", groups=("dba",))
BEN = Person("ben", groups=("dba", "security"))
CLEO = Person("cleo", groups=("security",))
DANA = Person("dana", groups=("dba", "security"), roles=("admin", "member"))
PEOPLE = roster(ANA, BEN, CLEO, DANA)


def request(text: str = "1 of dba", **changes: object) -> RequestState:
    fields: dict[str, object] = {"initiator": "dana", **changes}
    return open_request(
        id="r_1",
        digest="sha256:a",
        display="sha256:b",
        requirement=parse_requirement(text),
        opened_ms=OPENED,
        expires_ms=EXPIRES,
        **fields,  # type: ignore[arg-type]
    )


def approve(person: str, **changes: object) -> Given:
    fields = {"person": person, "choice": "approve", "digest": "sha256:a", "display": "sha256:b", **changes}
    return Given(**fields)  # type: ignore[arg-type]


def play(state: RequestState, *events: Event, people: Roster = PEOPLE, now: int = OPENED + 1) -> RequestState:
    """The state after *events*, none of which may be refused."""
    for event in events:
        step = apply(state, event, people, now)
        assert step.refusal is None, str(step.refusal)
        state = step.state
    return state


def code(state: RequestState, event: Event, people: Roster = PEOPLE, now: int = OPENED + 1) -> str | None:
    """The code of the refusal of *event*; a refused event changes nothing that waits."""
    step = apply(state, event, people, now)
    if step.refusal is not None and step.state.waiting:
        assert step.state is state
    return step.refusal.code if step.refusal else None


# --- random histories ----------------------------------------------------------------------------


@settings(max_examples=200)
@given(histories())
def test_no_history_approves_without_enough_distinct_eligible_people(history: History) -> None:
    judge(history, apply)


def _counts_accounts(state: RequestState, event: Event, people: Roster, now_ms: int) -> Step:
    """The usual mistake: groups are stamped, accounts are counted, administrators may."""
    if not state.waiting:
        return apply(state, event, people, now_ms)
    if not isinstance(event, Given) or event.choice == "deny" or now_ms >= state.expires_ms:
        return apply(state, event, people, now_ms)
    person = people.get(event.person)
    if person is None or (event.person == state.initiator and "admin" not in person.roles):
        return apply(state, event, people, now_ms)
    given_by = {*(a.person for a in state.approvals), event.person}
    state = replace(
        state, approvals=(*state.approvals, Approval(event.person, "approve", "", "click", now_ms))
    )
    met = all(
        sum(stage.group in people.people[key].groups for key in given_by) >= stage.need
        for stage in state.requirement.stages
    )
    return Step(replace(state, state="approved", ended_ms=now_ms) if met else state)


def _forgets_time(state: RequestState, event: Event, people: Roster, now_ms: int) -> Step:
    return apply(state, event, people, min(now_ms, state.expires_ms - 1))


def _outvotes_denials(state: RequestState, event: Event, people: Roster, now_ms: int) -> Step:
    step = apply(state, event, people, now_ms)
    if (
        isinstance(event, Given)
        and event.choice == "deny"
        and step.refusal is None
        and step.state is not state
    ):
        return Step(replace(step.state, state="waiting", ended_ms=None, ended_by=None))
    return step


def _believes_what_was_counted(state: RequestState, event: Event, people: Roster, now_ms: int) -> Step:
    """Never looks at the roster again: whoever left meanwhile still counts."""
    frozen = Roster({k: replace(p, removed=False) for k, p in people.people.items()})
    return apply(state, event, frozen, now_ms)


@pytest.mark.parametrize(
    "naive", [_counts_accounts, _forgets_time, _outvotes_denials, _believes_what_was_counted]
)
def test_the_judge_catches_a_machine_that_is_naive(naive: object) -> None:
    """Negative control: the property above fails for machines that make the known mistakes."""

    @settings(max_examples=3000, database=None, derandomize=True, phases=[Phase.generate])
    @given(histories())
    def property_of_naive(history: History) -> None:
        judge(history, naive)  # type: ignore[arg-type]

    with pytest.raises(BaseException) as caught:  # hypothesis may group several failures
        property_of_naive()
    failures = getattr(caught.value, "exceptions", [caught.value])
    assert all(isinstance(failure, AssertionError) for failure in failures)


@given(
    rosters(),
    requirements(max_need=2, max_stages=3),
    st.permutations(["ana", "ben", "cleo", "dan", "eve", "fay"]),
)
def test_without_order_the_order_of_arrival_decides_nothing(
    people: Roster, needs: object, order: list[str]
) -> None:
    """Approved if and only if brute force finds an assignment among all who tried, whoever came first."""
    flat = replace(needs, stages=tuple(replace(stage, order=0) for stage in needs.stages))  # type: ignore[type-var, attr-defined]
    state = replace(request(), requirement=flat, initiator="eve")
    assert apply(state, Tick(), people, OPENED).state is state
    tried = [key for key in order if may_count(key, state, people)]
    after = state
    for key in order:
        after = apply(after, approve(key), people, OPENED + 1).state
    assert (after.state == "approved") == satisfied(tried, state, people)
    assert reachable(state, people) == satisfied(tried, state, people)


@given(histories())
def test_refusal_asked_beforehand_is_the_refusal_given(history: History) -> None:
    """What a page says about its buttons is what happens when they are pressed."""
    state = history.request
    for moment in history.moments:
        step = apply(state, moment.event, moment.roster, moment.at_ms)
        if (
            isinstance(moment.event, Given)
            and moment.event.digest == "sha256:a"
            and moment.event.display == "sha256:b"
        ):
            told = refusal(state, moment.event.person, moment.event.choice, moment.roster, moment.at_ms)
            assert (told and told.code) == (step.refusal and step.refusal.code)
        state = step.state


@given(histories())
def test_progress_names_exactly_the_people_who_can_still_count(history: History) -> None:
    state, people, now = history.request, history.moments[0].roster, OPENED
    for moment in history.moments:
        state, people, now = (
            apply(state, moment.event, moment.roster, moment.at_ms).state,
            moment.roster,
            moment.at_ms,
        )
    shown = progress(state, people)
    placed = [person for stage in shown for person in stage.people]
    assert len(placed) == len(set(placed))
    assert all(stage.have <= stage.need for stage in shown)
    if state.state == "approved":
        assert all(stage.have == stage.need for stage in shown)
    if not state.waiting:
        assert not any(stage.who or stage.open for stage in shown)
        return
    named = {person for stage in shown if stage.open for person in stage.who}
    for key in named:
        assert apply(state, approve(key), people, now).refusal is None
    for key in people.people:
        if apply(state, approve(key), people, now).refusal is None:
            assert any(people.same_human(key, other) for stage in shown for other in stage.who)


# --- nobody approves themselves -------------------------------------------------------------------


def test_the_initiator_does_not_count_even_as_an_administrator() -> None:
    assert "admin" in DANA.roles
    assert code(request(), approve("dana")) == "approver.initiator"
    assert (
        play(request(initiator="zoe"), approve("dana")).state == "approved"
    )  # control: another's request, she may


@pytest.mark.parametrize("shared", [{"accounts": ("idp|7",)}, {"os_uids": (1007,)}])
def test_a_second_account_of_the_same_person_does_not_count(shared: dict[str, object]) -> None:
    first = replace(DANA, **shared)  # type: ignore[arg-type]
    second = Person("dana-admin", groups=("dba",), roles=("admin",), **shared)  # type: ignore[arg-type]
    people = roster(ANA, first, second)
    assert code(request(), approve("dana-admin"), people) == "approver.initiator"
    stranger = Person("dana-admin", groups=("dba",))
    assert (
        play(request(), approve("dana-admin"), people=roster(ANA, DANA, stranger)).state == "approved"
    )  # control


def test_one_person_with_two_accounts_is_counted_once() -> None:
    twin = Person("ana2", groups=("dba",), accounts=("idp|9",))
    people = roster(replace(ANA, accounts=("idp|9",)), twin, BEN, DANA)
    state = play(request("2 of dba"), approve("ana"), people=people)
    assert code(state, approve("ana2"), people) == "approval.already_given"
    assert play(state, approve("ben"), people=people).state == "approved"


def test_accounts_shared_through_a_third_record_are_one_person() -> None:
    people = roster(
        Person("ana", groups=("dba",), accounts=("idp|1",)),
        Person("link", accounts=("idp|1", "idp|2"), removed=True),
        Person("ana-new", groups=("dba",), accounts=("idp|2",)),
    )
    assert code(request(initiator="ana"), approve("ana-new"), people) == "approver.initiator"


def test_whoever_asked_from_a_shared_system_account_does_not_count_under_any_name() -> None:
    people = roster(replace(ANA, os_uids=(1000,)), BEN)
    asked = request(initiator=None, initiator_uid=1000)
    assert code(asked, approve("ana"), people) == "approver.initiator"
    assert play(asked, approve("ben"), people=people).state == "approved"


@pytest.mark.parametrize(
    "part, expected",
    [({"owner": "ana"}, "approver.owner"), ({"authors": ("cleo", "ana")}, "approver.author")],
)
def test_owner_and_author_do_not_count(part: dict[str, object], expected: str) -> None:
    assert code(request(**part), approve("ana")) == expected
    assert play(request(**part), approve("ben")).state == "approved"


def test_a_request_of_nobody_known_takes_one_person_more() -> None:
    """One of the two may be the one who asked; the other is not."""
    asked = request("1 of dba", initiator=None)
    assert str(asked.requirement) == "2 of dba"
    assert play(asked, approve("ana")).waiting
    assert play(asked, approve("ana"), approve("ben")).state == "approved"


def test_strangers_removed_people_and_outsiders_do_not_count() -> None:
    people = roster(replace(ANA, removed=True), CLEO)
    assert code(request(), approve("nobody"), people) == "approver.unknown"
    assert code(request(), approve("ana"), people) == "approver.removed"
    assert code(request(), approve("cleo"), people) == "approver.not_member"


# --- people, stages, order ------------------------------------------------------------------------


def test_one_person_in_two_groups_fills_one_place() -> None:
    state = play(request("1 of dba, 1 of security"), approve("ben"))
    assert state.waiting
    assert code(state, approve("ben")) == "approval.already_given"
    assert play(state, approve("cleo")).state == "approved"


@pytest.mark.parametrize("order", list(permutations(["ana", "ben"])))
def test_who_came_first_does_not_block_a_place(order: tuple[str, str]) -> None:
    """ben could take either place; when ana comes second, he moves over."""
    assert play(request("1 of dba, 1 of security"), *map(approve, order)).state == "approved"


def test_a_stage_that_is_complete_is_named_and_so_is_what_is_missing() -> None:
    people = roster(ANA, Person("abe", groups=("dba",)), CLEO, DANA)
    state = play(request("1 of dba then 2 of security"), approve("ana"), people=people)
    step = apply(state, approve("abe"), people, OPENED + 2)
    assert step.refusal is not None
    assert step.refusal.code == "approval.stage_complete"
    assert "(1 of dba) is complete" in str(step.refusal)
    assert "2 more of security" in str(step.refusal)
    assert play(state, approve("abe", choice="deny"), people=people).state == "denied"


def test_an_approval_that_brings_nobody_closer_is_refused_in_words() -> None:
    state = play(request("1 of dba, 1 of security"), approve("ana"))
    people = roster(ANA, Person("abe", groups=("dba",)), CLEO, DANA)
    step = apply(state, approve("abe"), people, OPENED + 2)
    assert step.refusal is not None
    assert step.refusal.code == "approval.stage_complete"
    assert "1 more of security" in str(step.refusal)


def test_a_later_stage_waits_for_the_earlier_one() -> None:
    state = request("1 of dba then 1 of security")
    assert code(state, approve("cleo")) == "approval.stage_not_open"
    state = play(state, approve("ana"))
    assert code(state, approve("ana")) == "approval.already_given"
    assert play(state, approve("cleo")).state == "approved"


def test_a_later_stage_may_deny_before_its_turn() -> None:
    state = request("1 of dba then 1 of security")
    assert play(state, approve("cleo", choice="deny")).state == "denied"


def test_people_removed_before_completion_no_longer_count() -> None:
    state = play(request("2 of dba"), approve("ana"))
    people = roster(replace(ANA, removed=True), BEN, Person("abe", groups=("dba",)))
    state = play(state, approve("ben"), people=people)
    assert state.waiting
    assert play(state, approve("abe"), people=people).state == "approved"


def test_what_was_built_on_a_removed_person_does_not_count_either() -> None:
    state = play(request("1 of dba then 2 of security"), approve("ana"), approve("cleo"))
    people = roster(replace(ANA, removed=True), Person("abe", groups=("dba",)), BEN, CLEO)
    assert code(state, approve("cleo"), people) == "approval.stage_not_open"
    state = play(state, approve("abe"), approve("ben"), people=people)
    assert state.waiting
    assert play(state, approve("cleo"), people=people).state == "approved"


def test_people_who_left_the_group_no_longer_count() -> None:
    state = play(request("2 of dba"), approve("ana"))
    people = roster(replace(ANA, groups=()), BEN)
    assert play(state, approve("ben"), people=people).waiting


def test_a_requirement_nobody_can_meet_is_known_at_once() -> None:
    assert reachable(request("2 of dba"), PEOPLE)  # ana and ben
    assert not reachable(request("3 of dba"), PEOPLE)  # dana asked
    assert not reachable(request("2 of dba, 2 of security"), PEOPLE)
    assert reachable(request("1 of dba then 2 of security"), PEOPLE)
    started = play(request("1 of dba then 2 of security"), approve("ben"))
    assert not reachable(started, PEOPLE)  # ben can't be both; had ana approved first, he and cleo could
    assert reachable(play(request(), approve("ana")), PEOPLE)
    assert not reachable(play(request(), Withdraw("dana")), PEOPLE)


# --- ends ------------------------------------------------------------------------------------------


def test_a_denial_ends_it_whatever_was_approved_before() -> None:
    state = play(request("2 of dba"), approve("ana"))
    state = play(state, approve("ben", choice="deny", reason="not on a Friday"))
    assert (state.state, state.ended_by) == ("denied", "ben")
    assert code(state, approve("ben")) == "request.ended"


def test_whoever_approved_may_still_deny() -> None:
    state = play(request("2 of dba"), approve("ana"))
    assert play(state, approve("ana", choice="deny")).state == "denied"


@pytest.mark.parametrize(
    "now, expected", [(EXPIRES - 1, "approved"), (EXPIRES, "expired"), (EXPIRES + 1, "expired")]
)
def test_it_expires_at_the_exact_instant(now: int, expected: str) -> None:
    step = apply(request(), approve("ana"), PEOPLE, now)
    assert step.state.state == expected
    assert (step.refusal is None) == (expected == "approved")
    if step.refusal is not None:
        assert step.refusal.code == "request.ended"
        assert "expired" in str(step.refusal)
        assert step.state.ended_ms == EXPIRES


@pytest.mark.parametrize("event", [Tick(), Withdraw("dana"), Supersede("r_2")])
def test_a_late_event_finds_it_expired(event: Event) -> None:
    assert apply(request(), event, PEOPLE, EXPIRES).state.state == "expired"
    assert apply(request(), event, PEOPLE, EXPIRES - 1).state.state != "expired"


@pytest.mark.parametrize(
    "end, words",
    [
        (approve("ana"), "approved by ana"),
        (approve("ana", choice="deny", reason="too risky"), "denied by ana"),
        (Withdraw("dana", "no longer needed"), "withdrawn by dana"),
        (Supersede("r_2", "policy changed"), "superseded by r_2"),
    ],
)
def test_after_the_end_a_decision_is_refused_saying_how_it_ended(end: Event, words: str) -> None:
    state = play(request(), end)
    step = apply(state, approve("ben"), PEOPLE, OPENED + 2)
    assert step.state is state
    assert step.refusal is not None
    assert (step.refusal.code, step.refusal.status) == ("request.ended", 409)
    assert words in str(step.refusal)


# --- what was decided on ------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [{"digest": "sha256:x"}, {"display": "sha256:x"}])
def test_other_bytes_than_shown_are_not_approved_nor_denied(other: dict[str, str]) -> None:
    assert code(request(), approve("ana", **other)) == "approval.other_bytes"
    assert code(request(), approve("ana", choice="deny", **other)) == "approval.other_bytes"


def test_a_required_reason_is_required() -> None:
    asked = request(reason_required=True)
    assert code(asked, approve("ana", reason=" \n")) == "approval.reason_missing"
    assert code(asked, approve("ana", reason="x" * 4001)) == "approval.reason_too_long"
    assert play(asked, approve("ana", reason="needed for the release")).state == "approved"
    assert play(asked, approve("ana", choice="deny")).state == "denied", (
        "stopping is never harder than letting go"
    )


def test_a_click_is_no_signature() -> None:
    asked = request(assurance="signed")
    assert code(asked, approve("ana")) == "approval.assurance"
    assert code(asked, approve("ana", assurance="notarised")) == "approval.assurance"
    assert play(asked, approve("ana", assurance="signed")).state == "approved"
    assert play(asked, approve("ana", choice="deny")).state == "denied"
    assert code(request(assurance="unknown"), approve("ana", assurance="signed")) == "approval.assurance"


def test_a_choice_that_is_neither_is_refused() -> None:
    assert code(request(), approve("ana", choice="approved")) == "approval.refused"


def test_a_state_survives_being_written_down() -> None:
    import msgspec

    state = play(request("1 of dba then 1 of security"), approve("ana"))
    written = msgspec.to_builtins(state)
    assert msgspec.convert(written, RequestState) == state


def test_somebody_who_comes_back_into_their_group_leaves_no_request_that_nobody_can_approve() -> None:
    state = play(request("2 of dba"), approve("ana"))
    away = roster(replace(ANA, groups=()), BEN, CLEO, DANA)
    state = play(state, approve("ben"), people=away)
    assert state.waiting
    assert apply(state, Tick(), PEOPLE, OPENED + 1).state.waiting, "coming back approves nothing"
    assert code(state, approve("dana")) == "approver.initiator"
    assert play(state, approve("ben")).state == "approved"
