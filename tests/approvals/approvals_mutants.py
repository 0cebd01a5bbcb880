"""Bugs, each seeded into the machine by patching single functions: what the oracle must find, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from keyturn.approvals import (
    Escalate,
    Event,
    Given,
    RequestState,
    Step,
    Supersede,
    delegation,
    eligibility,
    machine,
)
from keyturn.approvals.standing import Standing
from keyturn.identity import Person, Roster

Mutant = Callable[[], Any]

standing = import_module(
    "keyturn.approvals.standing"
)  # the room's own `standing` is the function of that name

_apply, _recorded, _separation = machine.apply, eligibility.recorded, eligibility._separation
_malformed, _chains, _carries = machine._malformed, delegation.chains, delegation.carries


def _on(target: Any, name: str, value: Any) -> Any:
    return patch.object(target, name, value)


def _event(change: Callable[[RequestState, Event], Event]) -> Any:
    """The machine sees another event."""
    return _on(machine, "apply", lambda s, e, r, now: _apply(s, change(s, e), r, now))


def _forgetting(**facts: Any) -> Any:
    """The machine does not know these facts of a request."""

    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        step = _apply(replace(state, **facts), event, roster, now_ms)
        return Step(replace(step.state, **{name: getattr(state, name) for name in facts}), step.refusal)

    return _on(machine, "apply", apply)


def _people(change: Callable[[Person], Person]) -> Any:
    """The machine sees other people."""

    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        people = {key: change(person) for key, person in roster.people.items()}
        return _apply(state, event, Roster(people, roster.delegations), now_ms)

    return _on(machine, "apply", apply)


def same_human_by_id_only() -> Any:
    """Two accounts of one person are two people."""
    return _on(Roster, "human", lambda self, person: person)


def one_person_counts_once_a_click() -> Any:
    """Approvals are counted, not people."""
    return _on(Standing, "voices", property(lambda self: ()))


def one_person_fills_two_stages() -> Any:
    """Who counted in an earlier layer counts again in the next."""

    def voices(self: Standing) -> tuple[str, ...]:
        split = len(self.placed) - self.open
        return tuple(person for person, _ in self.placed[split:])

    return _on(Standing, "voices", property(voices))


def delegate_counted_twice() -> Any:
    """A delegate and whom they stand in for are two voices."""
    return _on(Standing, "voices", property(lambda self: self.people))


def delegation_through_who_asked() -> Any:
    """A delegation carries a decision back to who asked."""
    return _both(
        _on(eligibility, "chains", lambda person, group, roster, without=(): _chains(person, group, roster)),
        _on(eligibility, "carries", lambda *given, **_: _carries(*given[:4])),
    )


def delegation_never_ends() -> Any:
    """A delegation carries before it begins and after it ended."""
    return _on(Roster, "at", lambda self, now_ms: self)


def delegation_of_somebody_who_left() -> Any:
    """A delegation carries although its giver is no longer in the group."""

    def chains(person: str, group: str, roster: Roster, without: Any = ()) -> Any:
        return tuple((d.person,) for d in roster.handed_to(person) if roster.human(d.person) not in without)

    return _on(eligibility, "chains", chains)


def removed_people_counted() -> Any:
    """Whoever was removed still decides."""
    return _people(lambda person: replace(person, removed=False))


def auditors_counted() -> Any:
    """Whoever only reads decides, too."""
    return _on(Person, "reads_only", property(lambda self: False))


def who_left_the_group_still_counts() -> Any:
    """An approval counts for ever, whatever became of who gave it."""

    def recorded(person: Person, chain: Any, request: RequestState, roster: Roster) -> Any:
        return eligibility.Capacity(chain, tuple(range(len(request.stages))))

    return _on(standing, "recorded", recorded)


def digest_not_compared() -> Any:
    """A decision for other bytes is taken for these."""
    return _on(machine, "_malformed", lambda s, e: _malformed(s, replace(e, digest=s.digest)))


def display_not_compared() -> Any:
    """What was shown does not matter."""
    return _on(machine, "_malformed", lambda s, e: _malformed(s, replace(e, display=s.display)))


def assurance_not_compared() -> Any:
    """A click is enough everywhere."""
    return _on(machine, "_malformed", lambda s, e: _malformed(replace(s, assurance="click"), e))


def expired_accepted() -> Any:
    """The clock is not looked at."""
    return _on(machine, "apply", lambda s, e, r, now: _apply(s, e, r, min(now, s.expires_ms - 1)))


def admin_exempt() -> Any:
    """Administrators may approve what they asked for."""

    def separation(key: str, request: RequestState, roster: Roster) -> Any:
        return None if "admin" in roster.people[key].roles else _separation(key, request, roster)

    return _on(eligibility, "_separation", separation)


def initiator_check_dropped() -> Any:
    """Who asked may approve."""
    return _forgetting(initiator=None, initiator_uid=None)


def account_of_the_initiator_forgotten() -> Any:
    """Who asked is compared by name, not by operating-system account."""
    return _forgetting(initiator_uid=None)


def owner_check_dropped() -> Any:
    """The agent's owner may approve."""
    return _forgetting(owner=None)


def author_check_dropped() -> Any:
    """Who wrote what is under approval may approve it."""
    return _forgetting(authors=())


def chain_of_sessions_forgotten() -> Any:
    """Whoever stands behind the sessions above may approve."""
    return _forgetting(parties=(), party_uids=())


def escalation_approves() -> Any:
    """When nobody decides in time, it is approved."""

    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        step = _apply(state, event, roster, now_ms)
        if isinstance(event, Escalate) and step.state.waiting:
            return Step(replace(step.state, state="approved", ended_ms=now_ms))
        return step

    return _on(machine, "apply", apply)


def superseded_still_decidable() -> Any:
    """A request outlives the policy under which it was asked."""

    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        return Step(state) if isinstance(event, Supersede) else _apply(state, event, roster, now_ms)

    return _on(machine, "apply", apply)


def denial_ignored() -> Any:
    """A denial is noted, and the vote goes on."""

    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        step = _apply(state, event, roster, now_ms)
        if isinstance(event, Given) and event.choice == "deny" and state.waiting and not step.refusal:
            return Step(replace(step.state, state="waiting", ended_ms=None, ended_by=None))
        return step

    return _on(machine, "apply", apply)


def one_approval_is_enough() -> Any:
    """The quorum is lowered to what there is."""
    return _on(machine, "complete", lambda now, state: bool(now.placed))


def order_of_layers_ignored() -> Any:
    """Whoever comes may approve; what comes later need not wait."""
    return _forgetting_order()


def quorum_met_only_exactly() -> Any:
    """`==` where `>=` is meant: when more have approved than are asked, nothing ends any more."""

    def complete(now: Standing, state: RequestState) -> bool:
        return standing.complete(now, state) and len(state.approvals) == state.requirement.people

    return _on(machine, "complete", complete)


def an_ended_request_can_be_revived() -> Any:
    """A late approval turns a denied request round."""

    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        again = replace(state, state="waiting") if state.state == "denied" else state
        step = _apply(again, event, roster, now_ms)
        return Step(state, step.refusal) if step.refusal else step

    return _on(machine, "apply", apply)


def unknown_initiator_asks_for_nobody_more() -> Any:
    """When nobody knows who asked, nobody more is needed."""

    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        if state.initiator_known:
            return _apply(state, event, roster, now_ms)
        fewer = tuple(replace(stage, need=stage.need - 1) for stage in state.requirement.stages)
        step = _apply(
            replace(state, requirement=replace(state.requirement, stages=fewer)), event, roster, now_ms
        )
        return Step(replace(step.state, requirement=state.requirement), step.refusal)

    return _on(machine, "apply", apply)


def _forgetting_order() -> Any:
    def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
        flat = tuple(replace(stage, order=0) for stage in state.requirement.stages)
        step = _apply(
            replace(state, requirement=replace(state.requirement, stages=flat)), event, roster, now_ms
        )
        return Step(replace(step.state, requirement=state.requirement), step.refusal)

    return _on(machine, "apply", apply)


@contextmanager
def _both(*patches: Any) -> Iterator[None]:
    with patches[0], patches[1]:
        yield


MUTANTS: dict[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        same_human_by_id_only,
        one_person_counts_once_a_click,
        one_person_fills_two_stages,
        delegate_counted_twice,
        delegation_through_who_asked,
        delegation_never_ends,
        delegation_of_somebody_who_left,
        removed_people_counted,
        auditors_counted,
        who_left_the_group_still_counts,
        digest_not_compared,
        display_not_compared,
        assurance_not_compared,
        expired_accepted,
        admin_exempt,
        initiator_check_dropped,
        account_of_the_initiator_forgotten,
        owner_check_dropped,
        author_check_dropped,
        chain_of_sessions_forgotten,
        escalation_approves,
        superseded_still_decidable,
        denial_ignored,
        one_approval_is_enough,
        order_of_layers_ignored,
        quorum_met_only_exactly,
        an_ended_request_can_be_revived,
        unknown_initiator_asks_for_nobody_more,
    )
}
"""By name: what patches the machine while it is entered."""
