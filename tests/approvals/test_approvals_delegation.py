"""Standing in: one voice, never through who asked, never more than the giver has; and who else stands behind an action."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from keyturn.approvals import Escalate, Given, RequestState, apply, open_request, progress, reachable, refusal
from keyturn.approvals import delegation as rules
from keyturn.identity import Delegation, Person, Roster
from keyturn.requirement import parse_requirement

NOW, LATER = 1_000, 9_000
DAY = 86_400_000


def person(key: str, *groups: str, **more: object) -> Person:
    return Person(key, groups=groups, **more)  # type: ignore[arg-type]


ASKER = person("ida", "dba", "security")
ANA, BEN, CLEO = person("ana", "dba"), person("ben"), person("cleo", "security")
DAN, EVE = person("dan", "dba"), person("eve")


def hand(giver: str, to: str, *groups: str, since: int = 0, until: int = LATER) -> Delegation:
    return Delegation(f"d-{giver}-{to}-{'-'.join(groups)}", giver, to, groups or ("dba",), since, until)


def people(*handed: Delegation, **changed: Person) -> Roster:
    known = {p.id: p for p in (ASKER, ANA, BEN, CLEO, DAN, EVE)} | changed
    return Roster(known, handed)


def request(text: str = "1 of dba", **more: object) -> RequestState:
    fields: dict[str, object] = {"initiator": "ida", **more}
    return open_request(
        id="r_1",
        digest="sha256:a",
        display="sha256:b",
        requirement=parse_requirement(text),
        opened_ms=0,
        expires_ms=5_000,
        **fields,  # type: ignore[arg-type]
    )


def approve(state: RequestState, who: str, roster: Roster, at: int = NOW, for_: str = "") -> RequestState:
    step = apply(state, Given(who, "approve", "sha256:a", "sha256:b", on_behalf_of=for_), roster, at)
    assert step.refusal is None, str(step.refusal)
    return step.state


def code(state: RequestState, who: str, roster: Roster, at: int = NOW, for_: str = "") -> str | None:
    given = Given(who, "approve", "sha256:a", "sha256:b", on_behalf_of=for_)
    refused = apply(state, given, roster, at).refusal
    asked = refusal(state, who, "approve", roster, at, for_)
    assert (refused and refused.code) == (asked and asked.code)
    return refused.code if refused else None


# --- one voice ------------------------------------------------------------------------------------------


def test_a_colleague_decides_for_who_is_away_and_it_says_so() -> None:
    state = approve(request(), "ben", people(hand("ana", "ben")))
    assert state.state == "approved"
    assert state.approvals[0].chain == ("ana",)
    assert code(request(), "ben", people()) == "approver.not_member", "negative control"


def test_a_delegate_and_whom_they_stand_for_are_one_voice_whoever_comes_first() -> None:
    roster = people(hand("ana", "ben"))
    assert code(approve(request("2 of dba"), "ben", roster), "ana", roster) == "approval.already_given"
    assert code(approve(request("2 of dba"), "ana", roster), "ben", roster) == "approval.already_given"
    assert approve(approve(request("2 of dba"), "ben", roster), "dan", roster).state == "approved"


def test_one_voice_over_stages_too() -> None:
    both = replace(ANA, groups=("dba", "security"))
    roster = people(hand("ana", "ben"), ana=both)
    state = approve(request("1 of dba then 1 of security"), "ben", roster)
    assert code(state, "ana", roster) == "approval.already_given"
    assert approve(state, "cleo", roster).state == "approved"


def test_two_delegates_of_one_person_are_one_voice() -> None:
    roster = people(hand("ana", "ben"), hand("ana", "eve"))
    state = approve(request("2 of dba"), "ben", roster)
    assert code(state, "eve", roster) == "approval.already_given"


def test_who_stands_in_for_two_is_still_one_person() -> None:
    roster = people(hand("ana", "ben"), hand("dan", "ben"))
    state = approve(request("2 of dba"), "ben", roster)
    assert code(state, "ben", roster) == "approval.already_given"
    assert code(state, "ben", roster, for_="dan") == "approval.already_given"
    assert approve(state, "dan", roster).state == "approved", "dan's own voice is still his"


def test_a_member_decides_for_themselves_unless_they_say_otherwise() -> None:
    roster = people(hand("ana", "dan"))
    assert approve(request(), "dan", roster).approvals[0].chain == ()
    assert approve(request(), "dan", roster, for_="ana").approvals[0].chain == ("ana",)
    state = approve(request("2 of dba"), "dan", roster)
    assert approve(state, "ana", roster).state == "approved", "dan did not use her voice"
    state = approve(request("2 of dba"), "dan", roster, for_="ana")
    assert code(state, "ana", roster) == "approval.already_given"


def test_nobody_stands_in_for_who_did_not_ask_them_to() -> None:
    assert code(request(), "dan", people(), for_="ana") == "approver.no_delegation"
    assert code(request(), "ben", people(hand("ana", "ben")), for_="dan") == "approver.no_delegation"


def test_a_denial_by_a_stand_in_ends_it() -> None:
    step = apply(request(), Given("ben", "deny", "sha256:a", "sha256:b"), people(hand("ana", "ben")), NOW)
    assert step.state.state == "denied"
    assert step.state.approvals[0].chain == ("ana",)


# --- never back to who asked ----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["initiator", "owner", "authors", "parties"])
def test_no_delegation_carries_a_decision_from_or_to_somebody_with_another_part(part: str) -> None:
    mine: object = ("ana",) if part in ("authors", "parties") else "ana"
    asked = request(**{"initiator": None, "initiator_uid": 99, part: mine})
    assert code(asked, "ben", people(hand("ana", "ben"))) == "approver.stands_in"
    assert code(asked, "ana", people(hand("dan", "ana"))).startswith("approver.")  # type: ignore[union-attr]
    assert code(asked, "ben", people(hand("dan", "ben"))) is None, "negative control"


@pytest.mark.parametrize("length", [1, 2, 5, 40])
def test_however_long_a_chain_is_it_does_not_pass_through_who_asked(length: int) -> None:
    middle = [f"m{i}" for i in range(length)]
    chain = ["ana", *middle[: length // 2], "ida", *middle[length // 2 :], "ben"]
    links = [hand(giver, to) for giver, to in pairwise(chain)]
    known = {key: person(key) for key in middle}
    assert code(request(), "ben", people(*links, **known)) == "approver.stands_in"
    others = [hand(giver, to) for giver, to in pairwise(chain) if "ida" not in (giver, to)]
    bridge = hand(chain[chain.index("ida") - 1], chain[chain.index("ida") + 1])
    state = approve(request(), "ben", people(*others, bridge, **known))
    assert state.approvals[0].chain == ("ana", *middle), "negative control: around who asked it carries"


def test_a_second_account_of_who_asked_is_who_asked_on_a_chain() -> None:
    other = person("ida2", "dba", accounts=("idp|1",))
    roster = people(hand("ida2", "ben"), ida=replace(ASKER, accounts=("idp|1",)), ida2=other)
    assert code(request(), "ben", roster) == "approver.stands_in"


def test_a_way_around_who_asked_is_found() -> None:
    roster = people(hand("ana", "ida"), hand("ida", "ben"), hand("ana", "eve"), hand("eve", "ben"))
    assert approve(request(), "ben", roster).approvals[0].chain == ("ana", "eve")


def test_standing_in_for_who_asked_takes_away_nothing_of_ones_own() -> None:
    assert approve(request(), "dan", people(hand("ida", "dan"))).state == "approved"


# --- never more than the giver has ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "roster",
    [
        people(hand("ana", "ben"), ana=replace(ANA, removed=True)),
        people(hand("ana", "ben"), ana=replace(ANA, groups=())),
        people(hand("ana", "ben"), ana=replace(ANA, roles=("auditor",))),
        people(hand("ana", "ben", "security")),
        people(hand("ana", "ben", since=NOW + 1)),
        people(hand("ana", "ben", until=NOW)),
        people(hand("ana", "eve"), hand("eve", "ben"), eve=replace(EVE, removed=True)),
    ],
    ids=[
        "giver removed",
        "giver left",
        "giver audits",
        "other group",
        "not begun",
        "ended",
        "middle removed",
    ],
)
def test_a_delegation_carries_only_what_its_giver_has_now(roster: Roster) -> None:
    assert code(request(), "ben", roster) == "approver.not_member"
    assert code(request(), "ben", people(hand("ana", "ben"))) is None, "negative control"


def test_an_auditor_stands_in_for_nobody() -> None:
    roster = people(hand("ana", "ben"), ben=replace(BEN, roles=("auditor",)))
    assert code(request(), "ben", roster) == "approver.reads_only"
    (stage,) = progress(request(), roster)
    assert stage.who == ("ana", "dan"), "nor is asked"


def test_what_was_approved_by_a_delegation_that_ended_no_longer_counts() -> None:
    state = approve(request("2 of dba"), "ben", people(hand("ana", "ben")))
    assert approve(state, "dan", people(hand("ana", "ben"))).state == "approved", "negative control"
    state = approve(state, "dan", people())
    assert state.waiting
    assert approve(state, "ana", people()).state == "approved"


def test_the_clock_ends_a_delegation_by_itself() -> None:
    roster = people(hand("ana", "ben", until=2_000))
    state = approve(request("2 of dba"), "ben", roster, at=1_999)
    assert approve(state, "dan", roster, at=2_000).waiting
    assert approve(state, "dan", roster, at=1_999).state == "approved"


def test_being_an_administrator_is_not_handed_over() -> None:
    admin = person("ana", "dba", roles=("admin",))
    roster = people(hand("ana", "ben", "admins"), ana=admin)
    assert code(request("1 of admins"), "ben", roster) == "approver.not_member"
    assert code(request("1 of admins"), "ana", roster) is None, "negative control"


# --- opening -----------------------------------------------------------------------------------------------


def opening(giver: str, to: str, *groups: str, until: int = NOW + DAY) -> Delegation:
    return Delegation("d_new", giver, to, groups, NOW, until)


@pytest.mark.parametrize(
    ("new", "roster", "expected"),
    [
        (opening("ana", "ana", "dba"), people(), "delegation.to_nobody"),
        (opening("ana", "zoe", "dba"), people(), "delegation.to_nobody"),
        (opening("ana", "ben", "dba"), people(ben=replace(BEN, removed=True)), "delegation.to_nobody"),
        (
            opening("ana", "ben", "dba"),
            people(ana=replace(ANA, os_uids=(7,)), ben=replace(BEN, os_uids=(7,))),
            "delegation.to_nobody",
        ),
        (opening("ana", "ben", "security"), people(), "delegation.not_yours"),
        (opening("ana", "ben"), people(), "delegation.not_yours"),
        (opening("ana", "ben", "admins"), people(ana=replace(ANA, roles=("admin",))), "delegation.not_yours"),
        (opening("ana", "ben", "dba", until=NOW), people(), "delegation.time"),
        (opening("ana", "ben", "dba", until=NOW + 91 * DAY), people(), "delegation.time"),
        (opening("ben", "ana", "dba"), people(hand("ana", "ben")), "delegation.circular"),
        (opening("eve", "ana", "dba"), people(hand("ana", "ben"), hand("ben", "eve")), "delegation.circular"),
        (
            opening("ana", "ben", "dba"),
            people(*(hand("ana", f"p{i}", until=NOW + DAY) for i in range(20))),
            "delegation.too_many",
        ),
    ],
)
def test_what_can_not_be_handed_over_is_refused(new: Delegation, roster: Roster, expected: str) -> None:
    refused = rules.refusal(new, roster, NOW)
    assert refused is not None
    assert refused.code == expected


def test_what_can_be_handed_over_is_not_refused() -> None:
    assert rules.refusal(opening("ana", "ben", "dba"), people(), NOW) is None
    assert rules.refusal(opening("ben", "eve", "dba"), people(hand("ana", "ben")), NOW) is None


# --- who is asked ------------------------------------------------------------------------------------------------


def test_who_is_away_is_not_asked_while_somebody_stands_in() -> None:
    roster = people(hand("ana", "ben"))
    (stage,) = progress(request(), roster)
    assert stage.who == ("ben", "dan")
    assert stage.stands_in == (("ben", "ana"),)
    (stage,) = progress(request(), people())
    assert stage.who == ("ana", "dan"), "negative control"
    (stage,) = progress(request(), people(hand("ana", "ben"), ben=replace(BEN, removed=True)))
    assert stage.who == ("ana", "dan"), "nobody stands in, so she is asked"
    assert approve(request(), "ana", roster).state == "approved", "not asked, but not shut out"


def test_a_stand_in_who_is_a_member_anyway_is_asked_alone_only_where_one_is_enough() -> None:
    roster = people(hand("ana", "dan"))
    (stage,) = progress(request("1 of dba"), roster)
    assert (stage.who, stage.stands_in) == (("dan",), ())
    (stage,) = progress(request("2 of dba"), roster)
    assert stage.who == ("ana", "dan"), "two are asked for, and there are no other two"


def test_a_stand_in_whose_colleague_decided_is_not_asked_any_more() -> None:
    roster = people(hand("ana", "ben"))
    (stage,) = progress(approve(request("2 of dba"), "ana", roster), roster)
    assert stage.who == ("dan",)


def test_delegations_make_nothing_reachable_that_was_not() -> None:
    roster = people(hand("ana", "ben"), hand("ana", "eve"))
    assert not reachable(request("3 of dba"), roster)
    assert reachable(request("2 of dba"), roster)


# --- who else stands behind it, and escalation ------------------------------------------------------------------


def test_people_up_the_chain_of_sessions_can_not_approve() -> None:
    assert code(request(parties=("dan",)), "dan", people()) == "approver.party"
    uid = people(dan=replace(DAN, os_uids=(1000,)))
    assert code(request(party_uids=(1000,)), "dan", uid) == "approver.party"
    assert code(request(party_uids=(1001,)), "dan", uid) is None, "negative control"


def escalated(state: RequestState, to: str, at: int = NOW, roster: Roster | None = None) -> RequestState:
    return apply(state, Escalate(to), roster or people(), at).state


def test_after_an_escalation_one_more_group_may_decide_and_nothing_is_approved_by_it() -> None:
    state = escalated(request(), "security")
    assert state.waiting
    assert code(request(), "cleo", people()) == "approver.not_member"
    assert approve(state, "cleo", people()).state == "approved"
    assert code(state, "ida", people()) == "approver.initiator", "it opens no way to who asked"


def test_an_escalation_is_for_the_layer_that_was_open_and_asks_for_as_many_people() -> None:
    state = escalated(request("2 of dba then 1 of web"), "security")
    state = approve(state, "cleo", people())
    assert state.waiting
    state = approve(state, "ana", people())
    assert state.waiting
    assert code(state, "cleo", people()) == "approval.already_given"
    assert code(state, "dan", people()) == "approval.stage_complete"
    web = people(cleo2=person("cleo2", "security"))
    assert code(state, "cleo2", web) == "approval.stage_complete", "the later layer was not escalated"
    assert approve(escalated(state, "security", roster=web), "cleo2", web).state == "approved"


def test_escalating_again_or_too_late_changes_nothing() -> None:
    state = escalated(request(), "security")
    assert escalated(state, "security") is state
    assert escalated(request(), "security", at=5_000).state == "expired"
    ended = approve(request(), "ana", people())
    assert escalated(ended, "security") is ended


@pytest.mark.parametrize("to", ["admins", "", "a b", "dba|security"])
def test_a_request_is_escalated_to_a_group_of_reviewers_only(to: str) -> None:
    step = apply(request(), Escalate(to), people(), NOW)
    assert step.refusal is not None
    assert step.refusal.code == "escalation.refused"
    assert step.state.escalated == ()
