"""A small service for the hook desk's own tests: it decides by a rule given to it and remembers everything asked."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

from keyturn.actions import Action, Agent, FileEdit, Gate, Human, Reading, Shell, Text, action_digest
from keyturn.drift.definition import Definition
from keyturn.errors import KeyturnError
from keyturn.gates.hooks.model import HookCall
from keyturn.identity import Person
from keyturn.policy.decision import Decision, Obligations, Verdict
from keyturn.resources import Surroundings
from keyturn.service.errors import NotClaimable, SessionClosed
from keyturn.service.model import (
    ApprovalView,
    Choice,
    Opener,
    Outcome,
    Peer,
    Permit,
    Receipt,
    RequestState,
    RequestView,
    SessionView,
)

POLICY = "sha256:" + "0" * 64


class Recording:
    """Implements `Service`. `rule` decides; `ends` is what held requests end as, and why; `on_wait` runs meanwhile."""

    def __init__(self, rule: Callable[[Action], Verdict] = lambda action: "run") -> None:
        self.rule = rule
        self.ends: tuple[RequestState, str] = ("waiting", "")
        self.on_wait: Callable[[], None] = lambda: None
        self.canonical: str | None = None
        self.broken: Exception | None = None
        self.actions: list[Action] = []
        self.arounds: list[Surroundings] = []
        self.instructions: list[tuple[str, Text]] = []
        self.approved: tuple[frozenset[tuple[str, str]], ...] = ()
        self.defined: list[tuple[str, Definition]] = []
        self.opened: list[dict[str, Any]] = []
        self.closed: set[str] = set()
        self.consumed: list[str] = []
        self.receipts: list[Receipt] = []
        self._sessions: dict[str, str] = {}
        self._requests: dict[str, tuple[Action, str, str]] = {}
        self._numbers = itertools.count(1)

    def human_of(self, peer: Peer) -> Human | None:
        return Human("dana", "os-uid", peer.uid)

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
        described: Definition | None = None,
    ) -> SessionView:
        known = self._sessions.get(client_session)
        if known is None or known in self.closed:
            known = f"s_{next(self._numbers)}"
            self._sessions[client_session] = known
            self.opened.append(
                {
                    "id": known,
                    "agent": agent,
                    "human": human,
                    "gate": gate,
                    "cwd": cwd,
                    "definition": definition,
                    "described": described,
                }
                | {"client_session": client_session, "parents": parents}
            )
        return SessionView(known, agent.name, agent.client, human.person if human else None, gate.name, 0)

    async def close_session(
        self, session: str, why: str = "", recording: dict[str, Any] | None = None
    ) -> SessionView:
        self.closed.add(session)
        return SessionView(session, "", "", None, "", 0, closed=1)

    def listable(self, agent: str) -> tuple[frozenset[tuple[str, str]], ...]:
        return self.approved

    async def define(self, session: str, described: Definition) -> None:
        self.defined.append((session, described))

    async def instruct(self, session: str, instruction: Text) -> None:
        self.instructions.append((session, instruction))

    def check_opener(self, session: str, speaker: Opener | None, alive: Callable[[int, int], bool]) -> None:
        """Everybody here opened everything."""

    def session_of(self, *, request: str = "", action: str = "") -> tuple[str, ...]:
        """Of nothing that is asked here does it matter whose it is."""
        return ()

    def standing(self, session: str, workspace: str) -> str:
        return POLICY

    def watch(self, session: str, tell: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def confinement(self, profile: str) -> None:
        return None

    async def authorize(
        self, action: Action, around: Surroundings, *, consume: bool = False, within: str | None = None
    ) -> Outcome:
        if self.broken:
            raise self.broken
        if action.session in self.closed:
            raise SessionClosed(f"The session {action.session} was closed.")
        self.actions.append(action)
        self.arounds.append(around)
        digest, number = action_digest(action, POLICY), next(self._numbers)
        verdict = self.rule(action)
        decision = Decision(verdict, POLICY, obligations=Obligations(approve="1 of reviewers"))
        if verdict == "hold":
            self._requests[f"rq_{number}"] = (action, digest, f"a_{number}")
            return Outcome(f"a_{number}", digest, "hold", "held: waiting.", decision, request=f"rq_{number}")
        if verdict == "refuse":
            return Outcome(f"a_{number}", digest, "refuse", "refused by policy. Nothing ran.", decision)
        return self._run(action, digest, f"a_{number}", decision, consume)

    def _run(self, action: Action, digest: str, name: str, decision: Decision, consume: bool) -> Outcome:
        permit = Permit(f"p_{name}", f"token_{name}", digest, action.gate.name, 1)
        if consume:
            self.consumed.append(permit.id)
        canonical = self.canonical if isinstance(action.content, Shell) else None
        return Outcome(name, digest, "run", "allowed.", decision, permit=permit, canonical=canonical)

    async def wait(self, request: str, timeout: float) -> RequestView:
        self.on_wait()
        state, why = self.ends
        action, digest, _ = self._requests[request]
        choice: Choice = "deny" if state == "denied" else "approve"
        approvals = (
            (ApprovalView("erin", choice, why, 1, "test", 0, 1),) if state in ("denied", "approved") else ()
        )
        decision = Decision("hold", POLICY)
        return RequestView(
            request, state, "action", action.kind, digest, "", "", "", {}, Reading(action.kind, True), decision,
            Obligations(approve="1 of reviewers"), (), approvals, {}, action.session, action.gate.name, "cooperative",
            action.cwd, 0, 1, 1, ended_why=why,
        )  # fmt: skip

    async def claim(self, request: str, digest: str, gate: str, *, consume: bool = False) -> Outcome:
        action, approved, name = self._requests[request]
        if digest != approved:
            raise NotClaimable(f"Request {request} was approved for other bytes.")
        return self._run(action, digest, name, Decision("hold", POLICY), consume)

    async def consume(self, token: str, digest: str, gate: str) -> str:
        self.consumed.append(token.replace("token_", "p_"))
        return token

    async def report(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)

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
        raise KeyturnError("Nobody decides here.")

    async def withdraw(self, request: str, why: str, by: str) -> RequestView:
        raise KeyturnError("Nothing is withdrawn here.")

    async def request(self, request: str, viewer: Person | None = None) -> RequestView:
        return await self.wait(request, 0)

    async def requests(
        self,
        state: str | None = "waiting",
        viewer: Person | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[RequestView]:
        return []

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        for action in self.actions:
            yield {"type": action.kind}


def files_of(service: Recording) -> list[FileEdit]:
    """The file edits that were asked about."""
    return [action.content for action in service.actions if isinstance(action.content, FileEdit)]


def call(client: str, event: str, payload: bytes, cwd: str = "/srv") -> HookCall:
    """A hook call as the socket gives it."""
    return HookCall(client, event, cwd, 1, payload)
