"""Who may decide a request, and in which capacity (promise 6: nobody approves themselves).

Rules kept here:

- Approver ≠ initiator ≠ agent's owner ≠ author of what is under approval ≠ anybody on whose behalf it was asked, or who
  owns an agent, further up the chain of sessions that led to it.
  Source: NIST SP 800-53r5 AC-5 (separation of duties); AC-3(2) (dual authorization: two individuals).
- These are compared as humans, not accounts: records that share an identity-provider account or an
  operating-system account, directly or through others, are one human. Source: IA-2, IA-4.
- The approver is on the roster, not removed, and a member of a group that some stage asks, or stands in for a member
  (`delegation`). What counts is the roster of now, not what a session or a token remembers. Source: AC-2 (account management).
- Roles change nothing: an administrator is refused like everybody else.
- Only people are on a roster: agents, gates and API keys have no way to be an approver.
"""

from __future__ import annotations

from collections.abc import Container

from msgspec import Struct

from keyturn.approvals.delegation import Chain, carries, chains
from keyturn.approvals.errors import (
    ApproverIsAuthor,
    ApproverIsInitiator,
    ApproverIsOwner,
    ApproverIsParty,
    ApproverNotMember,
    ApproverReadsOnly,
    ApproverRemoved,
    ApproverStandsIn,
    ApproverUnknown,
    NotEligible,
)
from keyturn.approvals.request import RequestState
from keyturn.identity import Person, Roster


class Capacity(Struct, frozen=True):
    """As whom somebody can decide: for themselves (`chain` empty) or for another; `stages` are the indices they can fill."""

    chain: Chain
    stages: tuple[int, ...]


class Eligibility(Struct, frozen=True):
    """Whether a person may decide, and if not, why: a stable `code` and a `sentence` for them.

    `capacities` are as whom they may, for themselves first; `stages` the indices of all stages they could fill.
    """

    capacities: tuple[Capacity, ...] = ()
    code: str = ""
    sentence: str = ""

    @property
    def stages(self) -> tuple[int, ...]:
        """The stages that they could fill in some capacity."""
        return tuple(sorted({stage for capacity in self.capacities for stage in capacity.stages}))

    @property
    def ok(self) -> bool:
        """Whether they may decide."""
        return not self.code

    @property
    def refusal(self) -> NotEligible | None:
        """The refusal as an error to raise, None when they may decide."""
        return None if self.ok else _REFUSALS[self.code](self.sentence)


_REFUSALS: dict[str, type[NotEligible]] = {
    kind.code: kind
    for kind in (
        ApproverUnknown, ApproverRemoved, ApproverReadsOnly, ApproverIsInitiator, ApproverIsOwner, ApproverIsAuthor, ApproverIsParty,
        ApproverNotMember, ApproverStandsIn,
    )
}  # fmt: skip


def eligible(approver: Person | str, request: RequestState, roster: Roster) -> Eligibility:
    """Whether *approver* (or the person with that id) may decide *request*, as *roster* is now."""
    key = approver if isinstance(approver, str) else approver.id
    person = roster.people.get(key)
    if person is None:
        return _no(ApproverUnknown, f"Nobody on the roster is called {key[:80]!r}.")
    if person.removed:
        return _no(ApproverRemoved, "You were removed from the roster and can decide nothing.")
    if person.reads_only:
        return _no(ApproverReadsOnly, "You are an auditor: you read, and decide nothing.")
    apart = _separation(key, request, roster)
    if apart is not None:
        return apart
    can = capacities(person, request, roster, involved(request, roster))
    return Eligibility(can) if can else _no_place(person, request, roster)


def involved(request: RequestState, roster: Roster) -> frozenset[str]:
    """The humans who have another part in *request*: none of them may decide it, nor be stood in for."""
    people = (request.initiator, request.owner, *request.authors, *request.parties)
    uids = (request.initiator_uid, *request.party_uids)
    owners = {human for uid in uids if uid is not None for human in roster.humans_of_uid(uid)}
    return frozenset(owners | {roster.human(person) for person in people if person is not None})


def capacities(
    person: Person, request: RequestState, roster: Roster, without: Container[str]
) -> tuple[Capacity, ...]:
    """As whom *person* could fill which stages: for themselves, then for others by chains that don't touch *without*."""
    stages = request.stages
    mine = own(person, request)
    found = [mine] if mine else []
    if not roster.handed_to(person.id):
        return tuple(found)
    handed: dict[Chain, set[int]] = {}
    for group in dict.fromkeys(group for stage in stages for group in stage.groups):
        for chain in chains(person.id, group, roster, without):
            handed.setdefault(chain, set()).update(i for i, s in enumerate(stages) if group in s.groups)
    for chain in sorted(handed, key=lambda chain: (len(chain), chain)):
        found.append(Capacity(chain, tuple(sorted(handed[chain]))))
    return tuple(found)


def own(person: Person, request: RequestState) -> Capacity | None:
    """The stages that *person* could fill for themselves; None when there is none."""
    stages = tuple(i for i, stage in enumerate(request.stages) if any(map(person.counts_for, stage.groups)))
    return Capacity((), stages) if stages else None


def recorded(person: Person, chain: Chain, request: RequestState, roster: Roster) -> Capacity | None:
    """The capacity in which *person* decided earlier, as far as it still holds; None when it does not."""
    if not chain:
        return own(person, request)
    without = involved(request, roster)
    stages = tuple(
        i
        for i, stage in enumerate(request.stages)
        if any(carries(chain, person.id, group, roster, without) for group in stage.groups)
    )
    return Capacity(chain, stages) if stages else None


def _separation(key: str, request: RequestState, roster: Roster) -> Eligibility | None:
    """The refusal of the human behind *key* for having had another part in this request."""
    if roster.human(key) not in involved(request, roster):
        return None
    by_account = request.initiator_uid is not None and roster.owns_os_uid(key, request.initiator_uid)
    if by_account or (request.initiator is not None and roster.same_human(key, request.initiator)):
        return _no(ApproverIsInitiator, f"You asked for this action{_through(key, request.initiator)}.")
    if request.owner is not None and roster.same_human(key, request.owner):
        return _no(ApproverIsOwner, f"You own the agent that asks{_through(key, request.owner)}.")
    for author in request.authors:
        if roster.same_human(key, author):
            return _no(ApproverIsAuthor, f"You wrote what is under approval{_through(key, author)}.")
    return _no(
        ApproverIsParty,
        "This action goes back to you: it was asked for on your behalf, or by an agent that an agent of yours started.",
    )


def _no_place(person: Person, request: RequestState, roster: Roster) -> Eligibility:
    """The refusal of somebody who has no place here, neither for themselves nor for another."""
    groups = " or ".join(dict.fromkeys(group for stage in request.stages for group in stage.groups))
    blocked = capacities(person, request, roster, ())
    if blocked:
        return _no(
            ApproverStandsIn,
            f"You would stand in for {blocked[0].chain[0]}, but somebody between them and you had another part in this request.",
        )
    return _no(ApproverNotMember, f"This request asks people of {groups}; you are in none of these groups.")


def _through(key: str, other: str | None) -> str:
    """Why somebody with another id is meant."""
    return "" if other is None or other == key else f" ({key} and {other} are the same person)"


def _no(kind: type[NotEligible], sentence: str) -> Eligibility:
    return Eligibility(code=kind.code, sentence=sentence)
