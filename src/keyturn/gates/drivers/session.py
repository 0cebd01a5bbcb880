"""Keyturn's side of a driven run: one session, its instruction, and a verdict for each thing that the client asks for.

It asks through the same `Authorization` as the hook desk: files are digested now and again after people decided, all
parts of a call must be allowed, and permits are used last. What the client asks a second time about one call (a folder
first, then the command) is one action: the first verdict stands. Every allowed call gets a receipt: of one that the client
had not said the end of when it was ended, what it came to is unknown.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

from msgspec.structs import replace

from keyturn.actions import Agent, Assurance, Gate, Human, Text
from keyturn.errors import KeyturnError
from keyturn.gates.connection import RemoteService
from keyturn.gates.drivers.model import Ask, Finished, Observed, Opened, Verdict
from keyturn.gates.hooks import places, speech
from keyturn.gates.hooks.authorization import Asking, Authorization, wiring
from keyturn.gates.hooks.definition import captured
from keyturn.gates.hooks.dialects import Dialect
from keyturn.gates.hooks.model import HookEvent, Proposal
from keyturn.gates.hooks.receipts import receipts
from keyturn.gates.hooks.runs import Allowed, Run, pair_key
from keyturn.resources import Surroundings
from keyturn.service.interface import Service
from keyturn.service.model import Receipt, SessionView

UNFINISHED = "the run was over before the client said how it ended"

FOR_EVER = 7 * 24 * 3600.0
"""Seconds to wait for people. The request's own deadline comes long before."""


class DrivenSession:
    """One run of *dialect*'s client, driven by protocol *protocol* in folder *cwd*."""

    def __init__(
        self,
        service: RemoteService,
        dialect: Dialect,
        *,
        protocol: str,
        host: str,
        cwd: str,
        home: str,
        parents: tuple[str, ...] = (),
        assurance: Assurance = "cooperative",
    ) -> None:
        self._service = service
        # The remote has every method that an authorization uses; people's verbs are not a gate's.
        self._authorization = Authorization(cast(Service, service))
        self._dialect = dialect
        self._gate = Gate(f"run:{dialect.name}@{host}", assurance, protocol)
        self._agent = Agent(dialect.name, dialect.name)
        self._uid = os.getuid()
        self._cwd = os.path.realpath(cwd)
        self._run = Run("")
        self._run.place = place = places.Place(home, places.workspace(cwd, home))
        self._run.around = Surroundings(
            workspace=place.workspace, home=home, protected=wiring(place), fresh=self._dialect.fresh_shell
        )
        self._run.parents = parents
        self._verdicts: dict[str, asyncio.Task[Verdict]] = {}
        self._allowed: dict[str, list[tuple[tuple[Proposal, ...], tuple[Allowed, ...]]]] = {}
        self.unfinished = 0
        """How many allowed calls the client never said the end of; known once the session was closed."""

    async def open(self, pid: int | None) -> SessionView:
        """Open the session. Raises `Unreachable`: then nothing may be started."""
        place = self._run.place
        described = await asyncio.to_thread(captured, self._dialect, place.workspace, place.home, self._uid)
        self._run.described, self._run.definition = described, described.digest
        view = await self._service.open_session(
            agent=self._agent,
            human=None,
            gate=self._gate,
            cwd=self._cwd,
            parents=self._run.parents,
            definition=self._run.definition,
            described=self._run.described,
            pid=pid,
        )
        self._run.session = view.id
        self._run.human = Human(view.human, "os-uid", self._uid) if view.human else None
        return view

    async def instruct(self, prompt: str) -> None:
        """Record the instruction that the client is about to get."""
        self._run.instruction = Text(prompt, "run:--prompt")
        if self._run.session is not None:
            await self._service.instruct(self._run.session, self._run.instruction)

    def opened(self, event: Opened) -> None:
        """What the client says of itself goes with every action from here on."""
        self._agent = replace(self._agent, version=event.version, model=event.model)

    async def verdict(self, ask: Ask) -> Verdict:
        """May the call run? Never raises: what fails is a no in words."""
        key = pair_key(ask.call, None, ask.proposals)
        known = self._verdicts.get(key)
        if known is None:
            known = asyncio.create_task(self._decide(ask))
            self._verdicts[key] = known
        return await asyncio.shield(known)

    async def _decide(self, ask: Ask) -> Verdict:
        try:
            granted = await self._authorization.verdict(self._asking(ask))
        except KeyturnError as error:
            return Verdict(False, speech.failed(error))
        except Exception:
            return Verdict(False, speech.broken())
        if granted.verdict.allow:
            self._allowed.setdefault(ask.call, []).append((ask.proposals, granted.allowed))
        return Verdict(granted.verdict.allow, granted.verdict.words)

    async def observe(self, seen: Observed) -> Verdict:
        """Record what the client did without asking, and say whether it would have been allowed. Nobody can be waited for."""
        asking = self._asking(Ask(seen.call, seen.call, seen.proposals, seen.cwd, seen.reasoning))
        unasked = replace(asking, gate=replace(self._gate, assurance="advisory"), until=0.0)
        try:
            granted = await self._authorization.verdict(unasked)
        except KeyturnError as error:
            return Verdict(False, speech.failed(error))
        if granted.verdict.allow:
            self._allowed.setdefault(seen.call, []).append((seen.proposals, granted.allowed))
        return Verdict(granted.verdict.allow, granted.verdict.words)

    async def finished(self, event: Finished) -> None:
        """Report receipts for what the call was allowed to do. A receipt that can't be delivered changes nothing."""
        for receipt in await self._receipts(event):
            if not await self._reported(receipt):
                return

    async def _receipts(self, event: Finished) -> list[Receipt]:
        found: list[Receipt] = []
        for proposals, allowed in self._allowed.pop(event.call, []):
            result = {"outcome": event.outcome, "output": event.output, "exit_code": event.exit_code}
            told = HookEvent("result", "", self._cwd, proposals=proposals, call=event.call, result=result)
            found += await asyncio.to_thread(receipts, told, allowed, self._uid)
        return found

    async def _reported(self, receipt: Receipt) -> bool:
        try:
            await self._service.report(receipt)
        except KeyturnError:
            return False
        return True

    async def close(self, why: str) -> SessionView | None:
        """Close the session with its count; None when there is none. Raises `KeyturnError` when it can't be closed.

        The client has ended by then: what it was allowed and never said the end of is reported as that.
        """
        for task in self._verdicts.values():
            task.cancel()
        if self._run.session is None:
            return None
        await self._unfinished()
        return await self._service.close_session(self._run.session, why)

    async def _unfinished(self) -> None:
        calls = [*self._allowed]
        self.unfinished = len(calls)
        for call in calls:
            for receipt in await self._receipts(Finished(call, "unknown")):
                note = f"{UNFINISHED}; {receipt.note}" if receipt.note else UNFINISHED
                if not await self._reported(replace(receipt, output=None, output_bytes=None, note=note)):
                    return

    def _asking(self, ask: Ask) -> Asking:
        event = HookEvent("proposal", "", ask.cwd, proposals=ask.proposals, call=ask.call)
        return Asking(
            dialect=replace(self._dialect, can_rewrite=False),
            event=event,
            run=self._run,
            session=self._run.session or "",
            agent=self._agent,
            gate=self._gate,
            uid=self._uid,
            reasoning=Text(ask.reasoning, f"run:{self._gate.version}") if ask.reasoning else None,
            until=asyncio.get_running_loop().time() + FOR_EVER,
        )
