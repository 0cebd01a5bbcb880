"""The loop around a driver's core: messages in, events out, each question answered by its own task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from keyturn.gates.drivers.model import (
    Ask,
    Driver,
    Ended,
    Event,
    Finished,
    Observed,
    Opened,
    Said,
    Send,
    Verdict,
)
from keyturn.gates.drivers.session import DrivenSession
from keyturn.gates.drivers.transport import Transport
from keyturn.gates.hooks import speech

log = logging.getLogger(__name__)

ANNOUNCE_SECONDS = 10.0
"""How long a client may ask without saying what about, before the question is refused."""

RECORD_SECONDS = 10.0
"""How long the end of a run waits for receipts to be recorded."""


class Drive:
    """One driven run. `heard` gets what the agent says; `decided` each question with its verdict.

    `gone` tells that the client closed its end.
    """

    def __init__(
        self,
        core: Driver,
        transport: Transport,
        session: DrivenSession,
        *,
        heard: Callable[[Said], None] = lambda said: None,
        decided: Callable[[Ask | Observed, Verdict], None] = lambda ask, verdict: None,
    ) -> None:
        self._core = core
        self._transport = transport
        self._session = session
        self._heard = heard
        self._decided = decided
        self._answers: set[asyncio.Task[None]] = set()
        self._records: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self._end: asyncio.Future[Ended] | None = None
        self._unsafe: Ended | None = None
        self.gone = False

    async def run(self) -> Ended:
        """Drive until the turn is over or the client is gone. Nothing that is unanswered then has run."""
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        reading = loop.create_task(self._read())
        watching = loop.create_task(self._watch())
        try:
            await self._out(self._core.start())
            ended = await self._end
            await self._recorded()
            return self._unsafe or ended
        except asyncio.CancelledError:
            await self._out(self._core.interrupt())
            raise
        finally:
            tasks = (reading, watching, *self._answers, *self._records)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _recorded(self) -> None:
        """Give what was already reported the time to be recorded."""
        if self._records:
            await asyncio.wait([*self._records], timeout=RECORD_SECONDS)

    async def _read(self) -> None:
        try:
            async for message in self._transport.messages():
                await self._out(self._core.receive(message))
        except Exception:
            log.exception("a driven client's message could not be handled")
            self._over(Ended(False, "Keyturn failed inside on a message of the client."))
        self.gone = True
        self._over(Ended(False, "The client went away."))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(ANNOUNCE_SECONDS)
            before = getattr(self._core, "waiting_for_arguments", False)
            if before:
                await asyncio.sleep(ANNOUNCE_SECONDS)
                await self._out(self._core.unclear())

    async def _out(self, events: Iterable[Event]) -> None:
        """Carry the core's events out, in order."""
        for event in events:
            match event:
                case Send():
                    await self._transport.send(event)
                case Opened():
                    self._session.opened(event)
                case Said():
                    self._heard(event)
                case Ended():
                    self._over(event)
                case Ask():
                    _keep(self._answers, asyncio.create_task(self._answer(event)))
                case Observed():
                    _keep(self._records, asyncio.create_task(self._record(event)))
                case Finished():
                    _keep(self._records, asyncio.create_task(self._report(event)))

    async def _answer(self, ask: Ask) -> None:
        try:
            verdict = await self._session.verdict(ask)
        except Exception:
            log.exception("a driven client's question could not be decided")
            verdict = Verdict(False, speech.broken())
        await self._out(self._core.answer(ask.key, verdict))
        self._decided(ask, verdict)

    async def _record(self, seen: Observed) -> None:
        async with self._order:
            try:
                verdict = await self._session.observe(seen)
            except Exception:
                log.exception("what a driven client did could not be recorded")
                verdict = Verdict(False, speech.broken())
        self._decided(seen, verdict)
        if not verdict.allow:
            await self._out(self._core.interrupt())
            why = f"The client acted without asking, and it would not have been allowed. {verdict.words}"
            self._unsafe = Ended(False, why)
            self._over(self._unsafe)

    async def _report(self, event: Finished) -> None:
        async with self._order:
            await self._session.finished(event)

    def _over(self, ended: Ended) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_result(ended)


def _keep(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    tasks.add(task)
    task.add_done_callback(tasks.discard)
