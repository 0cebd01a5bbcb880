"""Who may decide a request (promise 6: nobody approves themselves).

Rules kept here:

- Approver ≠ initiator ≠ agent's owner ≠ author of what is under approval.
  Source: NIST SP 800-53r5 AC-5 (separation of duties); AC-3(2) (dual authorization: two individuals).
- These are compared as humans, not accounts: records that share an identity-provider account or an
  operating-system account, directly or through others, are one human. Source: IA-2, IA-4.
- The approver is on the roster, not removed, and a member of a group that some stage asks. What counts is the
  roster of now, not what a session or a token remembers. Source: AC-2 (account management).
- Roles change nothing: an administrator is refused like everybody else.
- Only people are on a roster: agents, gates and API keys have no way to be an approver.
"""

from __future__ import annotations

from msgspec import Struct

from keyturn.approvals.errors import (
    ApproverIsAuthor,
    ApproverIsInitiator,
    ApproverIsOwner,
    ApproverNotMember,
    ApproverRemoved,
    ApproverUnknown,
    NotEligible,
)
from keyturn.approvals.request import RequestState
from keyturn.identity import Person, Roster


class Eligibility(Struct, frozen=True):
    """Whether a person may decide, and if not, why: a stable `code` and a `sentence` for them.

    `stages` are the indices of the requirement's stages whose group they are in.
    """

    stages: tuple[int, ...] = ()
    code: str = ""
    sentence: str = ""

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
        ApproverUnknown, ApproverRemoved, ApproverIsInitiator, ApproverIsOwner, ApproverIsAuthor, ApproverNotMember,
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
    apart = _separation(key, request, roster)
    if apart is not None:
        return apart
    stages = tuple(i for i, stage in enumerate(request.requirement.stages) if stage.group in person.groups)
    if not stages:
        groups = ", ".join(request.requirement.groups)
        return _no(
            ApproverNotMember, f"This request asks people of {groups}; you are in none of these groups."
        )
    return Eligibility(stages)


def _separation(key: str, request: RequestState, roster: Roster) -> Eligibility | None:
    """The refusal of the human behind *key* for having had another part in this request."""
    by_account = request.initiator_uid is not None and roster.owns_os_uid(key, request.initiator_uid)
    if by_account or (request.initiator is not None and roster.same_human(key, request.initiator)):
        return _no(ApproverIsInitiator, f"You asked for this action{_through(key, request.initiator)}.")
    if request.owner is not None and roster.same_human(key, request.owner):
        return _no(ApproverIsOwner, f"You own the agent that asks{_through(key, request.owner)}.")
    for author in request.authors:
        if roster.same_human(key, author):
            return _no(ApproverIsAuthor, f"You wrote what is under approval{_through(key, author)}.")
    return None


def _through(key: str, other: str | None) -> str:
    """Why somebody with another id is meant."""
    return "" if other is None or other == key else f" ({key} and {other} are the same person)"


def _no(kind: type[NotEligible], sentence: str) -> Eligibility:
    return Eligibility(code=kind.code, sentence=sentence)
