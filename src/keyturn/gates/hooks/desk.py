"""The hook desk: one hook call in, one answer out. It never says yes on doubt.

Rules kept here:

- Whatever is raised, at an event that is a gate, is a no in words.
- Sessions belong to one operating-system user, whatever a client says its session is called.
- What people approved is read again and digested again before it runs; a difference is refused (promise 4).
- A client that can wait no longer is told the request's id; the request itself goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from keyturn.actions import Agent, Gate, Human, Text
from keyturn.errors import KeyturnError
from keyturn.gates.hooks import places, speech, transcripts
from keyturn.gates.hooks.authorization import Asking, Authorization, wiring
from keyturn.gates.hooks.definition import captured, configured_servers
from keyturn.gates.hooks.dialects import Dialect, dialect_of
from keyturn.gates.hooks.model import HookAnswer, HookCall, HookEvent, HookVerdict
from keyturn.gates.hooks.receipts import receipts
from keyturn.gates.hooks.rendering import denial
from keyturn.gates.hooks.runs import MAX_RUNS, Bounded, Pairs, Run, pair_key, pair_keys
from keyturn.gates.hooks.settings import DeskSettings
from keyturn.gates.hooks.starts import Starts
from keyturn.gates.mcp_listing import Approved, Listed, kept_silent, listed, plain_environment, with_tools
from keyturn.resources import Surroundings
from keyturn.service.errors import SessionClosed, UnknownSession
from keyturn.service.interface import Service
from keyturn.service.model import Opener, Peer

__all__ = ["DeskSettings", "HookDesk"]

log = logging.getLogger(__name__)

SILENT_SECONDS = 3600.0
"""A run of which nothing was heard for so long, and whose client's process is not known, is taken for over."""
LOOK_SECONDS = 15.0
"""Between looks at which lists are too old."""


class HookDesk:
    """Answers hook calls through the service."""

    def __init__(self, service: Service, settings: DeskSettings) -> None:
        self._service = service
        self._settings = settings
        self._authorization = Authorization(service)
        self._runs: Bounded[Run] = Bounded(MAX_RUNS)
        self._pairs = Pairs()
        self.starts = Starts(service)

    async def handle(self, call: HookCall, peer: Peer) -> HookAnswer:
        """The answer for *call* from *peer*. Raises nothing but cancellation."""
        try:
            dialect = dialect_of(call.client)
        except KeyturnError as error:
            return denial(speech.failed(error))
        event = HookEvent("proposal" if dialect.is_gate(call.event) else "result", "", event=call.event)
        try:
            parsed = dialect.parse(call)
            if parsed.event and parsed.event != call.event:
                # Whether silence means no is known of the event that was hooked, not of the one that is spoken of.
                verdict = HookVerdict(False, speech.mismatched(call.event))
            else:
                event = parsed
                verdict = await self._verdict(dialect, event, peer)
        except KeyturnError as error:
            verdict = HookVerdict(False, speech.failed(error))
        except Exception:
            log.exception("hook call failed: client=%s event=%s", call.client, call.event)
            verdict = HookVerdict(False, speech.broken())
        return dialect.render(event, verdict)

    async def _verdict(self, dialect: Dialect, event: HookEvent, peer: Peer) -> HookVerdict:
        run = await self._run(dialect, event, peer)
        try:
            return await self._act(dialect, run, event, peer)
        except (SessionClosed, UnknownSession):
            # A client that resumes a run comes back under the old name of a session that was closed.
            async with run.lock:
                await self._open(dialect, run, event, peer)
            return await self._act(dialect, run, event, peer)

    async def _act(self, dialect: Dialect, run: Run, event: HookEvent, peer: Peer) -> HookVerdict:
        if event.moment == "session-end":
            await self._close(run, event)
        elif event.moment == "instruction":
            await self._instruct(dialect, run, event, peer)
        elif event.moment == "result":
            await self._result(run, event, peer)
        elif event.moment != "session-start":
            return await self._propose(dialect, run, event, peer)
        return HookVerdict(True)

    # --- sessions ---------------------------------------------------------------------------------

    async def _run(self, dialect: Dialect, event: HookEvent, peer: Peer) -> Run:
        """The run that *event* belongs to, with its session open."""
        key = f"{dialect.name}/{peer.uid}/{event.client_session}"
        run = self._runs.get(key)
        if run is None:
            run = Run(key)
            self._runs.put(key, run)
        run.model = event.model or run.model
        run.heard_at = asyncio.get_running_loop().time()
        async with run.lock:
            if run.session is None:
                await self._open(dialect, run, event, peer)
        return run

    async def _open(self, dialect: Dialect, run: Run, event: HookEvent, peer: Peer) -> None:
        run.place = await asyncio.to_thread(places.place, peer.pid, peer.uid, event.cwd, dialect.in_process)
        run.around = Surroundings(
            workspace=run.place.workspace,
            home=run.place.home,
            protected=wiring(run.place),
            fresh=dialect.fresh_shell,
        )
        run.parents = self._settings.parents_of_pids(run.place.pids)
        person = self._settings.person_of_uid(peer.uid)
        run.human = Human(person, "os-uid", peer.uid) if person else None
        await self._define(dialect, run, peer)
        view = await self._service.open_session(
            agent=_agent(dialect, run, event),
            human=run.human,
            gate=self._gate(dialect),
            cwd=event.cwd,
            client_session=run.client_session,
            parents=run.parents,
            definition=run.definition,
            described=run.described,
            pid=run.place.pids[0] if run.place.pids else None,
            opener=Opener(f"hooks:{peer.uid}"),
        )
        run.session = view.id

    async def _define(self, dialect: Dialect, run: Run, peer: Peer) -> None:
        where = run.place
        described = await asyncio.to_thread(
            captured, dialect, where.workspace, where.home, peer.uid, run.model
        )
        allowed = self._service.listable(dialect.name)
        run.client, run.uid = dialect.name, peer.uid
        if (
            allowed and run.listed is None and peer.uid == os.geteuid()
        ):  # starting a server is its user's to do
            run.listed = await _asked(run, allowed)
            run.listed_at = asyncio.get_running_loop().time()
        if run.listed is not None:
            described = with_tools(described, run.listed)
        run.described, run.definition = described, described.digest

    # --- tools, again -----------------------------------------------------------------------------

    async def keep_listing(self) -> None:
        """Ask servers again for as long as the desk lives (`list_every`)."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.list_again(asyncio.get_running_loop().time())

    async def list_again(self, now: float) -> None:
        """Ask the servers of runs whose list is too old at *now* (loop time): a tool may change while a session lives.

        Runs in the same place share one answer. What a run is told to be is recorded when it is another one; the run goes on, and its
        next action is decided under what it is now.
        """
        every = self._settings.list_every()
        old = [run for run in self._runs.values() if run.listed is not None and now - run.listed_at >= every]
        due = [run for run in old if _lives(run, now)]
        asked: dict[tuple[str, str, str], Listed] = {}
        for run in due if every else ():
            run.listed_at = now
            try:
                await self._list_again(run, asked)
            except (SessionClosed, UnknownSession):
                self._runs.pop(run.client_session)
            except Exception:  # one run's trouble keeps no other from being looked at
                log.exception("tools could not be listed again: session=%s", run.session)

    async def _list_again(self, run: Run, asked: dict[tuple[str, str, str], Listed]) -> None:
        allowed = self._service.listable(run.client)
        place = (run.client, run.place.workspace, run.place.home)
        if not allowed or run.session is None or run.listed is None:
            return
        if place not in asked:
            asked[place] = await _asked(run, allowed)
        run.listed = kept_silent(run.listed, asked[place])
        before, where = run.definition, run.place
        dialect = dialect_of(run.client)
        described = await asyncio.to_thread(
            captured, dialect, where.workspace, where.home, run.uid, run.model
        )
        run.described = with_tools(described, run.listed)
        run.definition = run.described.digest
        if run.definition != before:
            await self._service.define(run.session, run.described)

    async def _close(self, run: Run, event: HookEvent) -> None:
        self._runs.pop(run.client_session)
        if run.session is not None:
            await self._service.close_session(run.session, f"The client said {event.event or 'session end'}.")

    async def _instruct(self, dialect: Dialect, run: Run, event: HookEvent, peer: Peer) -> None:
        if event.instruction is None or run.session is None:
            return
        run.instruction = Text(event.instruction, f"hook:{event.event}")
        before = run.definition
        await self._define(dialect, run, peer)
        if run.described is not None and run.definition != before:
            await self._service.define(run.session, run.described)
        await self._service.instruct(run.session, run.instruction)

    # --- proposals and results --------------------------------------------------------------------

    async def _propose(self, dialect: Dialect, run: Run, event: HookEvent, peer: Peer) -> HookVerdict:
        if event.instruction is not None:
            await self._instruct(dialect, run, event, peer)
        if event.again and run.confirmations.confirm(event.proposals):
            return HookVerdict(True)
        if not event.again:
            run.confirmations.asked(event.proposals)
        asking = Asking(
            dialect=dialect,
            event=event,
            run=run,
            session=run.session or "",
            agent=_agent(dialect, run, event),
            gate=self._gate(dialect),
            uid=peer.uid,
            reasoning=await transcripts.stated(dialect, event, peer.uid, run.place.home),
            until=asyncio.get_running_loop().time() + self._patience(dialect, event),
        )
        granted = await self._authorization.verdict(asking)
        if granted.allowed:
            keys = pair_keys(run.client_session, event.call, event.proposals, granted.verdict.canonical)
            self._pairs.put(keys, granted.allowed)
            self.starts.allowed(run.parents, asking.session, run.around.workspace, granted.allowed)
            if dialect.asks_again and not event.again:
                run.confirmations.allowed(tuple(one.action.content for one in granted.allowed))
        return granted.verdict

    async def _result(self, run: Run, event: HookEvent, peer: Peer) -> None:
        allowed = self._pairs.take(pair_key(run.client_session, event.call, event.proposals))
        for receipt in await asyncio.to_thread(receipts, event, allowed, peer.uid):
            await self._service.report(receipt)

    def _patience(self, dialect: Dialect, event: HookEvent) -> float:
        """Seconds that this event's hook can be made to wait, less a margin to say so."""
        hooked = [float(known.timeout) for known in dialect.events if known.event == event.event]
        limit = min([dialect.max_wait, *hooked])
        if self._settings.longest_wait is not None:
            limit = min(limit, self._settings.longest_wait)
        return max(0.0, limit - min(self._settings.margin, limit / 2))

    def _gate(self, dialect: Dialect) -> Gate:
        return Gate(f"hooks:{dialect.name}@{self._settings.host}", dialect.assurance)


def _lives(run: Run, now: float) -> bool:
    """Whether its client is still there: a client that died says no goodbye, and nothing is started for it for ever."""
    if run.place.pids:
        return Path(f"/proc/{run.place.pids[0]}").exists()
    return now - run.heard_at < SILENT_SECONDS


async def _asked(run: Run, allowed: Approved) -> Listed:
    """What the servers of the place where *run* works say."""
    where, dialect = run.place, dialect_of(run.client)
    servers = await asyncio.to_thread(configured_servers, dialect, where.workspace, where.home, run.uid)
    return await listed(servers, allowed, where.workspace, plain_environment(where.home))


def _agent(dialect: Dialect, run: Run, event: HookEvent) -> Agent:
    return Agent(dialect.name, dialect.name, event.agent_version, run.model)
