"""Detectors read every entry as it lands, and what they find is recorded (design §5.6).

Rules kept here:

- A follower is told every entry in order, from `BACK_MS` before the log's end at the start (or the oldest open session, if that
  is older): what was found before is known by its key, so reading again finds nothing twice, and opens nothing that people closed since.
- What it gives is recorded before the next entry is read. What it raises is logged and counted; the others go on.
- Nobody waits for a follower: what has to stop an action is a fact at decision time (`service.facts`), not a follower.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial

from keyturn.drift.finding import Drift
from keyturn.ledger import Lagged
from keyturn.ledger.entries import Draft, Entry, Rows
from keyturn.ledger.errors import AlreadyDone
from keyturn.service import findings, searching
from keyturn.service.core import Core
from keyturn.service.instants import first_since

log = logging.getLogger("keyturn.drift")

BACK_MS = 25 * 3600 * 1000
"""How far back is read at the start: the longest sliding window, and an hour."""
TICK_SECONDS = 30.0
"""Between looks at what only time brings."""

Noted = Drift | Draft | Callable[[Rows], Sequence[Draft]]
"""A finding, an entry of the follower's own, or a plan for some; an entry has a `once` key where it may be given twice."""


class Follower:
    """Reads entries; gives what they show. Lives on the event loop; keeps no more than it needs for windows that are open."""

    name = ""
    apart = False
    """Whether looking takes long: then it is done in a thread, and the event loop goes on with what gates ask."""
    reads: frozenset[str] | None = None
    """Types of entries that it is told of; None: all."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """*entry* is in the log."""
        return ()

    def tick(self, now: int) -> Sequence[Noted]:
        """What is there at *now* (milliseconds since 1970) without a new entry: something is overdue, or too quiet."""
        return ()

    def close(self) -> None:
        """The server stops: nothing that the follower started goes on."""


class Following:
    """Runs the followers over the ledger's entries, for as long as the server lives."""

    def __init__(self, core: Core, makers: Sequence[Callable[[Core], Follower]]) -> None:
        self._core = core
        self.followers = [make(core) for make in makers]
        self.failed = 0
        self._next = 0
        self._old = core.ledger.size
        self._busy = False
        self._moved = asyncio.Event()
        self._readers: dict[str, list[Follower]] = {}

    async def run(self) -> None:
        """Read from `start()` on, for ever."""
        self._next = self.start()
        ticking = asyncio.create_task(self._tick())
        try:
            while True:
                with contextlib.suppress(Lagged):
                    async with self._core.ledger.subscribe() as entries:
                        await self.catch_up()  # after subscribing, so that nothing falls between
                        async for entry in entries:
                            await self._read(entry)
                    return
        finally:
            ticking.cancel()
            for follower in self.followers:
                follower.close()

    async def settled(self) -> None:
        """Until every entry that is in the log now was read, and what it showed is recorded."""
        while self._next < self._core.ledger.size or self._busy:
            self._moved.clear()
            await self._moved.wait()

    def start(self) -> int:
        """The first entry to read."""
        ledger = self._core.ledger
        oldest = [
            int(row["entry"]) for row in ledger.rows("session", state="open", newest_first=False, limit=1)
        ]
        return min([first_since(ledger, ledger.time - BACK_MS), *oldest])

    async def catch_up(self) -> None:
        """Read everything that is in the log now."""
        for number, entry in enumerate(self._core.ledger.entries(self._next)):
            await self._read(entry)
            if number % 200 == 0:
                await asyncio.sleep(0)

    async def _read(self, entry: Entry) -> None:
        if entry.index < self._next:
            return
        self._busy = True
        self._next = entry.index + 1
        # Only what may have been read by the server before: what lands while somebody closes a finding was not there for them.
        seen = entry.index if entry.index < self._old else None
        readers = self._readers.get(entry.type)
        for follower in self._readers_of(entry.type) if readers is None else readers:
            if follower.apart:
                await self._record(follower, partial(follower.landed, entry), seen)
                continue
            try:  # as `_record` does, without a coroutine for each of those that nearly always say nothing
                found = follower.landed(entry)
                for noted in found:
                    await self._kept(follower, noted, seen)
            except Exception:
                self._failed(follower)
        self._busy = False
        self._moved.set()

    def _readers_of(self, type_: str) -> list[Follower]:
        found = [one for one in self.followers if one.reads is None or type_ in one.reads]
        self._readers[type_] = found
        return found

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await self.tick(self._core.now())

    async def tick(self, now: int) -> None:
        """Ask every follower what time has brought."""
        for follower in self.followers:
            await self._record(follower, partial(follower.tick, now))

    async def _record(
        self, follower: Follower, ask: Callable[[], Sequence[Noted]], seen: int | None = None
    ) -> None:
        try:
            for noted in await asyncio.to_thread(ask) if follower.apart else ask():
                await self._kept(follower, noted, seen)
        except Exception:  # one that fails must not keep the others from looking
            self._failed(follower)

    async def _kept(self, follower: Follower, noted: Noted, seen: int | None) -> None:
        """Record it. What can't be (too large for an entry) must not keep what was found beside it out of the log."""
        try:
            await self._append(noted, seen)
        except Exception:
            self._failed(follower)

    def _failed(self, follower: Follower) -> None:
        self.failed += 1
        log.exception("the detector %s failed", follower.name)

    async def _append(self, noted: Noted, seen: int | None) -> None:
        if isinstance(noted, Drift):
            await findings.record(self._core, searching.explained(self._core, noted), seen=seen)
            return
        with contextlib.suppress(AlreadyDone):
            await self._core.ledger.append([noted] if isinstance(noted, Draft) else noted)


__all__ = ["Follower", "Following", "Noted"]
