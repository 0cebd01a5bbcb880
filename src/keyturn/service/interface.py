"""The use cases, as gates and channels see them. `service.Keyturn` implements this; nothing else changes state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal, Protocol

from keyturn.actions import Action, Agent, Gate, Human, Text
from keyturn.approvals.gesture import NONE, Gesture
from keyturn.approvals.proof import Proof
from keyturn.approvals.vigilance import Vigilance
from keyturn.drift.definition import Definition
from keyturn.identity import Person
from keyturn.resources import Surroundings
from keyturn.service.batches import Item, Result
from keyturn.service.delegations import DelegationView, StandIns
from keyturn.service.key_views import KeyView
from keyturn.service.keys import Offer, Options
from keyturn.service.model import (
    AlwaysAllow,
    Begun,
    BreakGlassView,
    Choice,
    Confinement,
    GrantView,
    Opener,
    Outcome,
    Peer,
    PlanAnswer,
    PlanView,
    Proposed,
    Receipt,
    RequestView,
    Revoked,
    SessionView,
    UnusedRule,
    Waiting,
)
from keyturn.service.signing import StatementView


class Service(Protocol):
    """Raises `KeyturnError` subclasses; whatever it raises, nothing ran and nothing was half recorded."""

    async def open_session(
        self,
        *,
        agent: Agent,
        human: Human | None,
        gate: Gate,
        cwd: str,
        client_session: str = "",
        parents: tuple[str, ...] = (),
        definition: str | None = None,
        pid: int | None = None,
        opener: Opener | None = None,
        chain: tuple[str, ...] = (),
        described: Definition | None = None,
    ) -> SessionView:
        """Open a session, or give *opener* the open one with the same gate and `client_session`.

        *chain*: the people behind it besides *human*; none of them may approve what is asked in it. *described*: what the agent
        is, of which *definition* is the digest; it is recorded before anything of the session is decided.
        """
        ...

    def listable(self, agent: str) -> tuple[frozenset[tuple[str, str]], ...]:
        """Name and digest of every part of each approved definition of *agent*, if policy wants servers asked for their tools."""
        ...

    async def define(self, session: str, described: Definition) -> None:
        """What the session's agent is from here on; its actions carry that digest. The same again is no entry."""
        ...

    def check_opener(self, session: str, speaker: Opener | None, alive: Callable[[int, int], bool]) -> None:
        """Raises `UnknownSession` unless *speaker* opened it, or its opener's process (pid, start) is not *alive* any more."""
        ...

    def session_of(self, *, request: str = "", action: str = "") -> tuple[str, ...]:
        """The session of that request, or in which that action was asked for or began; empty when there is none of it."""
        ...

    async def close_session(
        self, session: str, why: str = "", recording: dict[str, Any] | None = None
    ) -> SessionView:
        """Close it with its closing count; waiting requests of it are withdrawn. Closing twice is the first closing.

        *recording*: `digest`, `size` and `trouble` of its finished recording.
        """
        ...

    async def stop_session(self, session: str, person: Person, why: str) -> SessionView:
        """The kill switch: nothing more is allowed in it, and its gate ends the tree. Any person may; the first stop stands."""
        ...

    async def stopped(self, session: str, timeout: float) -> SessionView:
        """The session once it was stopped or closed, or as it is after *timeout* seconds."""
        ...

    def human_of(self, peer: Peer) -> Human | None:
        """The enrolled person who owns the operating-system account at the other end; None is recorded as missing."""
        ...

    def standing(self, session: str, workspace: str) -> str:
        """The digest of the policy that decides now in *workspace*. Raises `SessionClosed` and its kin for one that isn't open."""
        ...

    def watch(self, session: str, tell: Callable[[], None]) -> Callable[[], None]:
        """Call *tell* once, from any thread, before a change is confirmed that makes answers in *session* stale; gives what ends it."""
        ...

    def confinement(self, profile: str) -> Confinement | None:
        """The profile of that name, the policy's default for an empty one (None: there is none). Raises `NoProfile`."""
        ...

    async def revoked(self, session: str, known: int, timeout: float) -> tuple[Revoked, ...]:
        """The revoked grants that were used in *session*, once they are more than *known*, or after *timeout* seconds."""
        ...

    async def instruct(self, session: str, instruction: Text) -> None:
        """Record an instruction; actions of the session carry the latest one."""
        ...

    async def authorize(
        self, action: Action, around: Surroundings, *, consume: bool = False, within: str | None = None
    ) -> Outcome:
        """Read, decide, record, answer. With `consume` a `run` is recorded as consumed in the same commit.

        The same bytes asked again while a request for them waits give the same request; once that was approved, a permit.
        `within` is an action of the same session and gate that was allowed, used, and runs code: what policy would merely
        hold is part of running that code, so it runs. What policy refuses is refused all the same.
        """
        ...

    async def propose_plan(self, steps: Sequence[Proposed], why: str, seconds: int) -> PlanAnswer:
        """Ask for a list of actions as a whole. Refused by policy in one step is refused as a whole.

        `seconds`: how long it lasts once people approved it. Its steps are asked for one after another with `authorize`.
        """
        ...

    async def wait(self, request: str, timeout: float) -> RequestView:
        """The request once it has ended, or as it is after *timeout* seconds."""
        ...

    async def claim(self, request: str, digest: str, gate: str, *, consume: bool = False) -> Outcome:
        """Turn an approved request into its one permit. Refuses other bytes, another gate, or an ended request in words."""
        ...

    async def consume(self, token: str, digest: str, gate: str) -> str:
        """Use a permit: the action's id. Replay, other bytes, another gate and expiry are refused and recorded."""
        ...

    async def report(self, receipt: Receipt) -> None:
        """Record a receipt."""
        ...

    async def begin(self, action: str, session: str, gate: str, human: str | None) -> Begun:
        """Record that *action*, which another gate allowed in a session started from *session*, begins at *gate*: once.

        From here on it counts there as what `authorize` calls *within*. Raises `NotStartable`.
        """
        ...

    async def decide(
        self,
        request: str,
        person: Person,
        choice: Choice,
        *,
        reason: str,
        digest: str,
        display: str,
        channel: str,
        on_behalf_of: str = "",
        grant: str = "",
        proof: Proof | None = None,
        statement_nonce: str | None = None,
        ticket: str = "",
        gesture: Gesture = NONE,
    ) -> RequestView:
        """One person's approval or denial, bound to the digests they were shown. *grant*: how far it goes, empty for once.

        *on_behalf_of*: the id of a person for whom they stand in; empty to decide for themselves if they can.
        *proof* is over the statement with *statement_nonce*; the recorded level is what it shows. Without one it is a click.
        *gesture* is what they did beside it: a high or critical risk asks for more than a click.
        """
        ...

    async def statement(
        self,
        request: str,
        person: Person,
        choice: Choice,
        *,
        reason: str,
        digest: str,
        display: str,
        grant: str = "",
        ticket: str = "",
        on_behalf_of: str = "",
    ) -> StatementView:
        """A fresh statement to sign, with everything that it covers. Nothing is recorded and nothing is kept."""
        ...

    async def grants(self, only: str, limit: int) -> list[GrantView]:
        """What may run again, newest first: `open` ones, or `all`."""
        ...

    async def plans(self, only: str, limit: int) -> list[PlanView]:
        """Lists of actions that people approved as a whole, newest first: `open` ones, or `all`."""
        ...

    async def revoke_plan(self, plan: str, person: Person, why: str) -> PlanView:
        """End a plan now, and what runs as a step of it."""
        ...

    async def revoke_grant(self, grant: str, person: Person, why: str) -> GrantView:
        """End a grant now, and what runs under it."""
        ...

    async def glasses(self, only: str, limit: int) -> list[BreakGlassView]:
        """Who broke the glass: `unreviewed` ones, most urgent first, or `all`."""
        ...

    async def glass_statement(
        self, request: str, person: Person, *, reason: str, digest: str, display: str
    ) -> StatementView:
        """The statement that *person* signs who breaks the glass."""
        ...

    async def break_glass(
        self,
        request: str,
        person: Person,
        *,
        reason: str,
        digest: str,
        display: str,
        channel: str,
        proof: Proof | None = None,
        statement_nonce: str | None = None,
    ) -> RequestView:
        """Release a held request alone, where policy names that person for emergencies."""
        ...

    async def review_break_glass(
        self, glass: str, person: Person, verdict: Literal["justified", "unjustified"], note: str
    ) -> BreakGlassView:
        """Say as somebody else whether it was justified."""
        ...

    async def stand_ins(self, person: str) -> StandIns:
        """Who stands in for *person*, for whom they do, and who else could."""
        ...

    async def hand_over(
        self,
        person: Person,
        to: str,
        *,
        groups: Sequence[str],
        until: int,
        since: int | None = None,
        why: str = "",
    ) -> DelegationView:
        """*person* hands their places in *groups* (all when empty) over to *to*, from *since* (now) until *until*."""
        ...

    async def end_delegation(self, person: Person, delegation: str) -> DelegationView:
        """Its giver takes it back, or whom it was given declines it."""
        ...

    async def keys(self, person: str | None = None) -> list[KeyView]:
        """Everybody's keys, or those of one person, revoked ones too, oldest first."""
        ...

    async def begin_key(self, person: Person, origin: str) -> Options:
        """What a page of *origin* needs to make a passkey for *person*. Nothing is recorded and nothing is kept."""
        ...

    async def enrol_key(self, person: Person, offer: Offer) -> RequestView:
        """Ask another administrator for a key of *person*'s, which the offer shows that they hold."""
        ...

    async def revoke_key(self, key: str, person: Person, why: str) -> KeyView:
        """At once: the key signs nothing more, and waiting requests no longer count what it signed."""
        ...

    def served(self, request: str, person: Person) -> None:
        """The whole request goes out to *person*: from now on it counts how long they look before they decide."""
        ...

    async def withdraw(self, request: str, why: str, by: str) -> RequestView:
        """The asking side gives up."""
        ...

    async def request(self, request: str, viewer: Person | None = None) -> RequestView:
        """One request."""
        ...

    async def requests(
        self,
        state: str | None = "waiting",
        viewer: Person | None = None,
        limit: int = 100,
        before: str | None = None,
        rank: str | None = None,
    ) -> list[RequestView]:
        """Requests, most urgent first when waiting (of one `queueing.RANKS` only, if given), newest first otherwise.

        `before` is the last id of the previous page.
        """
        ...

    async def always_allow(self, request: str, days: int = 30) -> AlwaysAllow:
        """The narrowest rule that would have let the action of *request* run, for *days*. Raises `NoRule`."""
        ...

    async def propose_always(
        self, request: str, person: Person, *, days: int, digest: str, note: str = ""
    ) -> RequestView:
        """Ask somebody else of `policy` for that rule; *digest* is that of the proposal as shown."""
        ...

    async def unused_rules(self, days: int = 30) -> list[UnusedRule]:
        """Rules that let run, and let nothing run in the last *days*."""
        ...

    def vigilance(self, viewer: Person, person: str) -> Vigilance:
        """How *person* reviewed, for *viewer*: their own, or as an administrator or auditor. Raises `Forbidden`."""
        ...

    def vigilance_of_all(self, viewer: Person) -> list[Vigilance]:
        """How everybody reviewed, for administrators and auditors. Raises `Forbidden`."""
        ...

    def waiting_counts(self) -> dict[str, int]:
        """How many wait, by `queueing.RANKS`."""
        ...

    async def together(self, request: str, viewer: Person) -> list[RequestView]:
        """The waiting requests that *viewer* may approve together with *request*, itself included, oldest first."""
        ...

    async def decide_together(
        self,
        items: Sequence[Item],
        person: Person,
        choice: Choice,
        *,
        reason: str,
        channel: str,
        gesture: Gesture = NONE,
    ) -> list[Result]:
        """Decide each of *items*, which differ in words only. One that is refused does not stop the others."""
        ...

    async def waiting(self, limit: int = 1000) -> list[Waiting]:
        """What waits, by deadline: only where it stands."""
        ...

    def changes(self) -> AsyncIterator[dict[str, Any]]:
        """Every entry as it lands: `{"index", "type", "session", "request"?, "state"?}` for pages and waiters."""
        ...
