"""A request as the state machine sees it: what is asked, of whom, until when, and what people have said so far."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from keyturn.requirement import Requirement, Stage, any_of, one_more

Choice = Literal["approve", "deny"]
Status = Literal["waiting", "approved", "denied", "expired", "withdrawn", "superseded"]

CHOICES: tuple[str, ...] = ("approve", "deny")


class Approval(Struct, frozen=True):
    """One person's accepted decision. `at_ms` is milliseconds since 1970.

    `chain` are the ids of those they stood in for, the holder of the place first: see `delegation`. Empty: for themselves.
    """

    person: str
    choice: Choice
    reason: str
    assurance: str
    at_ms: int
    chain: tuple[str, ...] = ()


class Escalated(Struct, frozen=True):
    """From `at_ms` on, people of the group `to` may fill the places of the layer `order`, too."""

    to: str
    order: int
    at_ms: int


class RequestState(Struct, frozen=True):
    """A request at one moment. Made by `open_request`, changed only by `machine.apply`.

    `digest` and `display` are what is approved and what is shown (promise 4). `initiator` is the human who asked
    (id, None when unknown), `initiator_uid` the operating-system account they asked from; `owner` the agent's owner;
    `authors` whoever wrote the rule, definition or policy under approval. It expires at the instant
    `expires_ms`: the millisecond before, it can still be approved. `placed`: once approved, who filled which
    stage (index) at that moment. `parties` (ids) and `party_uids` (operating-system accounts) are further people on whose
    behalf it was asked, or who own an agent up its chain of sessions.
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
    parties: tuple[str, ...] = ()
    party_uids: tuple[int, ...] = ()
    escalated: tuple[Escalated, ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The requirement's stages, each with the groups that it was escalated to among those that may fill it."""
        if not self.escalated:
            return self.requirement.stages
        return tuple(
            replace(
                stage,
                group=any_of((*stage.groups, *(e.to for e in self.escalated if e.order == stage.order))),
            )
            for stage in self.requirement.stages
        )

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
    parties: tuple[str, ...] = (),
    party_uids: tuple[int, ...] = (),
) -> RequestState:
    """A waiting request.

    When nobody knows who asked, every stage needs one more person: see `keyturn.requirement.one_more`.
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
        parties=parties,
        party_uids=party_uids,
    )
