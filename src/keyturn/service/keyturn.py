"""`Keyturn`: all use cases behind one object. This is what gates, pages, API and command line talk to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keyturn.actions import Action, Agent, Gate, Human, Text
from keyturn.approvals import passkey
from keyturn.approvals.gesture import NONE, Gesture
from keyturn.approvals.proof import Proof
from keyturn.approvals.vigilance import Vigilance
from keyturn.drift.definition import Definition
from keyturn.identity import Person, spiffe
from keyturn.ledger.entries import Draft
from keyturn.resources import Surroundings
from keyturn.service import (
    allowing,
    authorization,
    batches,
    breakglass,
    callers,
    capturing,
    control_views,
    definitions,
    delegations,
    drills,
    grants,
    key_views,
    keys,
    people,
    planning,
    plans,
    publication,
    queueing,
    requests,
    reviewing,
    sessions,
    starting,
    subjects,
)
from keyturn.service.attempts import Attempts
from keyturn.service.authority import Authority
from keyturn.service.batches import Item, Result
from keyturn.service.callers import Caller
from keyturn.service.conditions import due, moments
from keyturn.service.control_views import RunView
from keyturn.service.core import Core
from keyturn.service.delegations import DelegationView, StandIns
from keyturn.service.key_views import KeyView
from keyturn.service.keys import Offer, Options
from keyturn.service.machine_settings import SpiffeSettings
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
from keyturn.service.pack_building import PackBuilder
from keyturn.service.signing import StatementView
from keyturn.service.signing_in import SigningIn
from keyturn.service.testing_controls import RunFailed, TestingControls
from keyturn.service.viewing import Viewing
from keyturn.service.workloads import Workloads


class Keyturn:
    """Implements `service.interface.Service`, and the administrative use cases beside it."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.logins = people.Logins(core)
        self.signing_in = SigningIn(core)
        self.attempts = Attempts(time.monotonic)
        self.viewing = Viewing(core)
        self.workloads: Workloads | None = None
        self.testing: TestingControls | None = None
        self.authority: Callable[[], Authority] | None = None
        self.packs: PackBuilder | None = None

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
        opener: Opener | None = None,
        chain: tuple[str, ...] = (),
        described: Definition | None = None,
    ) -> SessionView:
        """See `Service.open_session`."""
        redaction = self.core.redaction
        return await sessions.open_session(
            self.core,
            agent=capturing.agent(redaction, agent),
            human=human,
            gate=gate,
            cwd=redaction.text(cwd),
            client_session=redaction.text(client_session),
            parents=tuple(map(redaction.text, parents)),
            definition=definition,
            pid=pid,
            opener=opener,
            chain=chain,
            described=described,
        )

    def listable(self, agent: str) -> tuple[frozenset[tuple[str, str]], ...]:
        """See `Service.listable`."""
        return definitions.listable(self.core, agent)

    async def define(self, session: str, described: Definition) -> None:
        """See `Service.define`."""
        await sessions.define(self.core, session, described)

    def check_opener(self, session: str, speaker: Opener | None, alive: Callable[[int, int], bool]) -> None:
        """See `Service.check_opener`."""
        sessions.check_opener(self.core.ledger, session, speaker, alive)

    def session_of(self, *, request: str = "", action: str = "") -> tuple[str, ...]:
        """See `Service.session_of`."""
        return sessions.session_of(self.core.ledger, request, action)

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

    async def propose_plan(self, steps: Sequence[Proposed], why: str, seconds: int) -> PlanAnswer:
        """See `Service.propose_plan`."""
        return await planning.propose(self.core, steps, why=why, seconds=seconds)

    async def plans(self, only: str, limit: int) -> list[PlanView]:
        """See `Service.plans`."""
        return plans.views(self.core, only, limit)

    async def revoke_plan(self, plan: str, person: Person, why: str) -> PlanView:
        """See `Service.revoke_plan`."""
        return await plans.revoke(self.core, plan, person, why)

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

    def identify(self, token: str, machine: str = "", certificate: str = "") -> Caller:
        """Who presents *token* from *machine*: by this log's own signature, or a SPIFFE SVID. Raises `CredentialRefused`."""
        if not spiffe.is_svid(token):
            return callers.by_token(self.core, token, certificate=certificate, machine=machine)
        workloads = self.workloads or Workloads(SpiffeSettings(), Path())
        svid = workloads.workload(token, self.core.origin, self.core.now())
        return callers.of_workload(self.core, svid, machine)

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
        on_behalf_of: str = "",
        grant: str = "",
        proof: Proof | None = None,
        statement_nonce: str | None = None,
        ticket: str = "",
        gesture: Gesture = NONE,
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
            on_behalf_of=on_behalf_of,
            grant=grant,
            ticket=ticket,
            gesture=gesture,
            effects=lambda rows: subjects.effects(self.core, rows, row),
            proof=proof,
            statement_nonce=statement_nonce,
        )

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
        """See `Service.statement`."""
        await asyncio.to_thread(passkey.load)
        return requests.statement(
            self.core,
            request,
            person,
            choice,
            reason=reason,
            digest=digest,
            display=display,
            grant=grant,
            ticket=ticket,
            on_behalf_of=on_behalf_of,
        )

    async def revoke_grant(self, grant: str, person: Person, why: str) -> GrantView:
        """End a grant now, and what runs under it."""
        return await grants.revoke(self.core, grant, person, why)

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
        """Release a held request alone, where policy names that person for emergencies; somebody else reviews it."""
        return await breakglass.use(
            self.core,
            request,
            person,
            reason=reason,
            digest=digest,
            display=display,
            channel=channel,
            proof=proof,
            statement_nonce=statement_nonce,
        )

    async def glass_statement(
        self, request: str, person: Person, *, reason: str, digest: str, display: str
    ) -> StatementView:
        """See `Service.glass_statement`."""
        return breakglass.statement(self.core, request, person, reason=reason, digest=digest, display=display)

    async def glasses(self, only: str, limit: int) -> list[BreakGlassView]:
        """See `Service.glasses`."""
        return breakglass.views(self.core, only, limit)

    async def grants(self, only: str, limit: int) -> list[GrantView]:
        """See `Service.grants`."""
        return grants.views(self.core, only, limit)

    async def review_break_glass(
        self, glass: str, person: Person, verdict: breakglass.Finding, note: str
    ) -> BreakGlassView:
        """Say as somebody else whether it was justified."""
        return await breakglass.review(self.core, glass, person, verdict, note)

    async def revoked(self, session: str, known: int, timeout: float) -> tuple[Revoked, ...]:
        """See `Service.revoked`."""
        return await grants.revoked(self.core, session, known, timeout)

    async def withdraw(self, request: str, why: str, by: str) -> RequestView:
        """See `Service.withdraw`."""
        return await requests.withdraw(self.core, request, why, by)

    def served(self, request: str, person: Person) -> None:
        """See `Service.served`."""
        self.core.looks.served(request, person.id, self.core.now())

    async def request(self, request: str, viewer: Person | None = None) -> RequestView:
        """See `Service.request`."""
        return requests.view(self.core, request, viewer)

    async def requests(
        self,
        state: str | None = "waiting",
        viewer: Person | None = None,
        limit: int = 100,
        before: str | None = None,
        rank: str | None = None,
    ) -> list[RequestView]:
        """See `Service.requests`."""
        return requests.views(self.core, state, viewer, limit, before, rank)

    async def always_allow(self, request: str, days: int = allowing.DAYS) -> AlwaysAllow:
        """See `Service.always_allow`."""
        return await asyncio.to_thread(allowing.propose, self.core, request, days=days)

    async def propose_always(
        self, request: str, person: Person, *, days: int, digest: str, note: str = ""
    ) -> RequestView:
        """See `Service.propose_always`."""
        return await allowing.publish(self.core, request, person, days=days, digest=digest, note=note)

    async def unused_rules(self, days: int = allowing.UNUSED_DAYS) -> list[UnusedRule]:
        """See `Service.unused_rules`."""
        return await asyncio.to_thread(allowing.unused, self.core, days)

    async def review_rules(self, person: Person, days: int = allowing.UNUSED_DAYS) -> list[UnusedRule]:
        """Record that the unused rules are up for review."""
        return await allowing.review(self.core, person, days)

    async def drill(self, admin: Person) -> None:
        """Open a drill now. Nobody is told which request it is."""
        await drills.now(self.core, admin)

    def vigilance(self, viewer: Person, person: str) -> Vigilance:
        """See `Service.vigilance`."""
        return reviewing.seen_by(self.core, viewer, person)

    def vigilance_of_all(self, viewer: Person) -> list[Vigilance]:
        """See `Service.vigilance_of_all`."""
        return reviewing.everybody(self.core, viewer)

    def waiting_counts(self) -> dict[str, int]:
        """See `Service.waiting_counts`."""
        return queueing.counts(self.core.ledger)

    async def together(self, request: str, viewer: Person) -> list[RequestView]:
        """See `Service.together`."""
        return batches.together(self.core, request, viewer)

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
        """See `Service.decide_together`."""
        return await batches.decide(
            self, items, person, choice, reason=reason, channel=channel, gesture=gesture
        )

    async def waiting(self, limit: int = 1000) -> list[Waiting]:
        """See `Service.waiting`."""
        return requests.waiting(self.core, limit)

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """See `Service.changes`."""
        async for change in requests.changes(self.core):
            yield change

    # --- keys of people ----------------------------------------------------------------------------------------

    async def stand_ins(self, person: str) -> StandIns:
        """See `Service.stand_ins`."""
        return delegations.stand_ins(self.core, person)

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
        """See `Service.hand_over`."""
        return await delegations.open_delegation(
            self.core, person, to, groups=groups, until=until, since=since, why=why
        )

    async def end_delegation(self, person: Person, delegation: str) -> DelegationView:
        """See `Service.end_delegation`."""
        return await delegations.end_delegation(self.core, person, delegation)

    async def keys(self, person: str | None = None) -> list[KeyView]:
        """See `Service.keys`."""
        return (
            key_views.all_keys(self.core)
            if person is None
            else key_views.keys_of(self.core, person, active=False)
        )

    async def begin_key(self, person: Person, origin: str) -> Options:
        """See `Service.begin_key`."""
        return keys.begin(self.core, person, origin)

    async def enrol_key(self, person: Person, offer: Offer) -> RequestView:
        """See `Service.enrol_key`."""
        found = self.signing_in.take_word(person.id, keys.committed(self.core, person, offer))
        word = keys.ProviderWord(found.token.raw, found.account, found.keys) if found else None
        return await keys.enrol(self.core, person, offer, word, provider=self.signing_in.settings.on)

    async def revoke_key(self, key: str, person: Person, why: str) -> KeyView:
        """See `Service.revoke_key`."""
        return await keys.revoke(self.core, key, person, why)

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

    async def test_controls(self, by: str) -> RunView:
        """Run all tests of controls because *by* asked; what the last run came to. Raises `RunFailed`."""
        if self.testing is None:
            raise RunFailed("This server has no home to test.")
        await self.testing.asked(by)
        return control_views.run(self.core)

    async def propose_policy(self, files: Mapping[str, bytes], person: Person, note: str) -> RequestView:
        """Propose a policy version: tests must be green; somebody else must approve."""
        return await publication.propose(self.core, files, person, note)

    async def expire(self) -> int | None:
        """End every request whose time is up, remind, escalate, and find what nobody reviewed; gives when the next thing is due (ms)."""
        times = (
            await requests.expire(self.core),
            await due.work(self.core),
            await breakglass.overdue(self.core),
            moments.turn(self.core),
        )
        return min((at for at in times if at is not None), default=None)
