"""A request as the state machine sees it: what is asked, of whom, until when, and what people have said so far."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keyturn.approvals.requirement import Requirement, one_more

Choice = Literal["approve", "deny"]
Status = Literal["waiting", "approved", "denied", "expired", "withdrawn", "superseded"]

CHOICES: tuple[str, ...] = ("approve", "deny")

ASSURANCES = ("click", "signed")
"""How sure it is that the approver decided, weakest first: `click` the operator says so · `signed` the approver's own key."""


class Approval(Struct, frozen=True):
    """One person's accepted decision. `at_ms` is milliseconds since 1970."""

    person: str
    choice: Choice
    reason: str
    assurance: str
    at_ms: int


class RequestState(Struct, frozen=True):
    """A request at one moment. Made by `open_request`, changed only by `machine.apply`.

    `digest` and `display` are what is approved and what is shown (promise 4). `initiator` is the human who asked
    (id, None when unknown), `initiator_uid` the operating-system account they asked from; `owner` the agent's owner;
    `authors` whoever wrote the rule, definition or policy under approval. It expires at the instant
    `expires_ms`: the millisecond before, it can still be approved. `placed`: once approved, who filled which
    stage (index) at that moment.
    """

    id: str
    digest: str
    display: str
    requirement: Requirement
    opened_ms: int
    expires_ms: int
    initiator: str | None = None
    initiator_uid: int | None = None
    owner: str | None = None
    authors: tuple[str, ...] = ()
    reason_required: bool = False
    assurance: str = "click"
    approvals: tuple[Approval, ...] = ()
    state: Status = "waiting"
    ended_ms: int | None = None
    ended_by: str | None = None
    ended_why: str = ""
    placed: tuple[tuple[str, int], ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether people can still decide."""
        return self.state == "waiting"

    @property
    def initiator_known(self) -> bool:
        """Whether it is known who asked, by person or by account."""
        return self.initiator is not None or self.initiator_uid is not None


def open_request(
    *,
    id: str,
    digest: str,
    display: str,
    requirement: Requirement,
    opened_ms: int,
    expires_ms: int,
    initiator: str | None,
    initiator_uid: int | None = None,
    owner: str | None = None,
    authors: tuple[str, ...] = (),
    reason_required: bool = False,
    assurance: str = "click",
) -> RequestState:
    """A waiting request.

    When nobody knows who asked, every stage needs one more person: see `requirement.one_more`.
    """
    known = initiator is not None or initiator_uid is not None
    return RequestState(
        id=id,
        digest=digest,
        display=display,
        requirement=requirement if known else one_more(requirement),
        opened_ms=opened_ms,
        expires_ms=expires_ms,
        initiator=initiator,
        initiator_uid=initiator_uid,
        owner=owner,
        authors=authors,
        reason_required=reason_required,
        assurance=assurance,
    )
