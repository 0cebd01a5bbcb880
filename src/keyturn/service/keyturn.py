"""`Keyturn`: all use cases behind one object. This is what gates, pages, API and command line talk to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from keyturn.actions import Action, Agent, Gate, Human, Text
from keyturn.identity import Person
from keyturn.ledger.entries import Draft
from keyturn.resources import Surroundings
from keyturn.service import authorization, people, publication, requests, sessions, starting
from keyturn.service.core import Core
from keyturn.service.model import Begun, Choice, Confinement, Outcome, Peer, Receipt, RequestView, SessionView


class Keyturn:
    """Implements `service.interface.Service`, and the administrative use cases beside it."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.logins = people.Logins(core)

    # --- gates -------------------------------------------------------------------------------------------------

    def human_of(self, peer: Peer) -> Human | None:
        """See `Service.human_of`."""
        person = self.core.roster.by_os_uid(peer.uid) if peer.uid >= 0 else None
        return Human(person.id, "os-uid", peer.uid) if person else None

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
        """See `Service.open_session`."""
        return await sessions.open_session(
            self.core,
            agent=agent,
            human=human,
            gate=gate,
            cwd=cwd,
            client_session=client_session,
            parents=parents,
            definition=definition,
            pid=pid,
        )

    async def close_session(
        self, session: str, why: str = "", recording: dict[str, Any] | None = None
    ) -> SessionView:
        """See `Service.close_session`."""
        return await sessions.close_session(self.core, session, why, recording)

    async def stop_session(self, session: str, person: Person, why: str) -> SessionView:
        """See `Service.stop_session`."""
        return await sessions.stop_session(self.core, session, person.id, why)

    async def stopped(self, session: str, timeout: float) -> SessionView:
        """See `Service.stopped`."""
        return await sessions.stopped(self.core, session, timeout)

    async def instruct(self, session: str, instruction: Text) -> None:
        """See `Service.instruct`."""
        await sessions.instruct(self.core, session, instruction)

    def standing(self, session: str, workspace: str) -> str:
        """See `Service.standing`."""
        return authorization.standing(self.core, session, workspace)

    def watch(self, session: str, tell: Callable[[], None]) -> Callable[[], None]:
        """See `Service.watch`."""
        return self.core.watches.add(session, tell)

    def confinement(self, profile: str) -> Confinement | None:
        """See `Service.confinement`."""
        return authorization.confinement(self.core, profile)

    async def authorize(
        self, action: Action, around: Surroundings, *, consume: bool = False, within: str | None = None
    ) -> Outcome:
        """See `Service.authorize`."""
        began = time.perf_counter()
        outcome = await authorization.authorize(self.core, action, around, consume=consume, within=within)
        if self.core.observe is not None:
            self.core.observe(action.kind, time.perf_counter() - began)
        return outcome

    async def wait(self, request: str, timeout: float) -> RequestView:
        """See `Service.wait`."""
        return await requests.wait(self.core, request, timeout)

    async def claim(self, request: str, digest: str, gate: str, *, consume: bool = False) -> Outcome:
        """See `Service.claim`."""
        return await authorization.claim(self.core, request, digest, gate, consume=consume)

    async def consume(self, token: str, digest: str, gate: str) -> str:
        """See `Service.consume`."""
        return await authorization.consume(self.core, token, digest, gate)

    async def report(self, receipt: Receipt) -> None:
        """See `Service.report`."""
        await authorization.report(self.core, receipt)

    async def begin(self, action: str, session: str, gate: str, human: str | None) -> Begun:
        """See `Service.begin`."""
        return await starting.begin(self.core, action, session, gate, human)

    async def probe(self, gate: str, client: str, stopped: bool, how: str) -> None:
        """Record a guard-liveness deny probe: did the client stop when it was told to?"""
        fields = {"gate": gate, "client": client, "stopped": stopped, "how": how}
        await self.core.ledger.append([Draft("probe.result", fields)])

    # --- people ------------------------------------------------------------------------------------------------

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
        """See `Service.decide`."""
        row = requests.required(self.core, request)
        return await requests.decide(
            self.core,
            request,
            person,
            choice,
            reason=reason,
            digest=digest,
            display=display,
            channel=channel,
            effects=publication.effect(self.core, row) if choice == "approve" else (),
        )

    async def withdraw(self, request: str, why: str, by: str) -> RequestView:
        """See `Service.withdraw`."""
        return await requests.withdraw(self.core, request, why, by)

    async def request(self, request: str, viewer: Person | None = None) -> RequestView:
        """See `Service.request`."""
        return requests.view(self.core, request, viewer)

    async def requests(
        self,
        state: str | None = "waiting",
        viewer: Person | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[RequestView]:
        """See `Service.requests`."""
        return requests.views(self.core, state, viewer, limit, before)

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """See `Service.changes`."""
        async for change in requests.changes(self.core):
            yield change

    # --- administration ----------------------------------------------------------------------------------------

    async def enrol(
        self,
        person: str,
        *,
        name: str,
        groups: Sequence[str],
        roles: Sequence[str],
        os_uids: Sequence[int],
        by: str,
    ) -> str:
        """Enrol a person; gives their token once."""
        return await people.enrol(
            self.core, person, name=name, groups=groups, roles=roles, os_uids=os_uids, by=by
        )

    async def propose_policy(self, files: Mapping[str, bytes], person: Person, note: str) -> RequestView:
        """Propose a policy version: tests must be green; somebody else must approve."""
        return await publication.propose(self.core, files, person, note)

    async def expire(self) -> int | None:
        """End every request whose time is up; gives the next deadline (ms)."""
        return await requests.expire(self.core)
