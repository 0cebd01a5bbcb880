"""Entries as they land, for an asyncio reader that may be slower than the writer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Entry

QUEUED_ENTRIES = 10_000
"""How many committed entries may wait for one subscriber before it is dropped."""


class Lagged(KeyturnError):
    """A subscriber was too slow and was dropped. `details["next"]` is the first entry it did not get."""

    code = "ledger.lagged"
    status = 503
    not_done = "Later entries were recorded but not delivered to this subscriber."
    next_step = "Read the entries from the index in the details on, then subscribe again."


class Subscription:
    """Iterates over entries committed after it was made. Lives on the event loop it was made on.

    When its queue overflows it delivers what it has and then raises `Lagged`; `lagged` is then the first
    index it did not get. `close` (or leaving the `async with`) ends it. With *types* it gives entries of these only.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        capacity: int,
        leave: Callable[[Subscription], None],
        types: frozenset[str] | None = None,
    ) -> None:
        self.loop = loop
        self._types = types
        self.lagged: int | None = None
        self._capacity = capacity
        self._leave = leave
        self._queue: deque[Entry] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._ended = False

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Called on the event loop with what one commit wrote."""
        if self._ended or self.lagged is not None:
            return
        if self._types is not None:
            entries = [entry for entry in entries if entry.type in self._types]
            if not entries:
                return
        room = self._capacity - len(self._queue)
        self._queue.extend(entries[:room])
        if len(entries) > room:
            self.lagged = entries[room].index
            self._leave(self)
        self._wake()

    def end(self) -> None:
        """Called on the event loop when the ledger closes: deliver what is queued, then stop."""
        self._ended = True
        self._wake()

    def close(self) -> None:
        """Want no more entries."""
        self._queue.clear()
        self._leave(self)
        self.end()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Entry:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            if self.lagged is not None:
                raise Lagged(f"The subscriber had {self._capacity} entries waiting.", next=self.lagged)
            self._waiting = self.loop.create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return self._queue.popleft()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
