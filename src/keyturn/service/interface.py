"""The use cases, as gates and channels see them. `service.Keyturn` implements this; nothing else changes state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from keyturn.actions import Action, Agent, Gate, Human, Text
from keyturn.identity import Person
from keyturn.resources import Surroundings
from keyturn.service.model import Begun, Choice, Confinement, Outcome, Peer, Receipt, RequestView, SessionView


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
    ) -> SessionView:
        """Open a session, or give the open one with the same gate and `client_session`."""
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
    ) -> RequestView:
        """One person's approval or denial, bound to the digests they were shown."""
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
    ) -> list[RequestView]:
        """Requests, most urgent first when waiting, newest first otherwise; `before` is the last id of the previous page."""
        ...

    def changes(self) -> AsyncIterator[dict[str, Any]]:
        """Every entry as it lands: `{"index", "type", "session", "request"?, "state"?}` for pages and waiters."""
        ...
