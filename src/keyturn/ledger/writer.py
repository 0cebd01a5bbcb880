"""The writer thread: takes what waits, sequences it, makes it durable, answers. One per ledger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future as ThreadFuture
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Entry, Plan
from keyturn.ledger.errors import LedgerDamaged, LedgerUnwritable, WrongKey
from keyturn.ledger.sequencer import Result, Sequenced, Sequencer
from keyturn.ledger.storage import Store
from keyturn.ledger.subscription import Subscription

MAX_BATCH = 512
"""Plans taken at once: bounds how long one commit, and its memory, can become."""

AnyFuture = asyncio.Future[tuple[Entry, ...]] | ThreadFuture[tuple[Entry, ...]]
_Answers = list[tuple[AnyFuture, Result]]


class Ask:
    """A plan and who waits for it: an asyncio future on *loop*, or a thread's future."""

    __slots__ = ("future", "loop", "plan")

    def __init__(self, plan: Plan, future: AnyFuture, loop: asyncio.AbstractEventLoop | None) -> None:
        self.plan = plan
        self.future = future
        self.loop = loop


class Job:
    """Work that needs the writer to stand still."""

    __slots__ = ("future", "run")

    def __init__(self, run: Callable[[], Any], future: ThreadFuture[Any]) -> None:
        self.run = run
        self.future = future


class Writer:
    """Runs `work` in its own thread until it takes None from the queue."""

    def __init__(
        self,
        store: Store,
        sequencer: Sequencer,
        queue: SimpleQueue[Ask | Job | None],
        clock: Callable[[], float],
    ) -> None:
        self.broken = ""
        self.told_first: Callable[[Sequence[Entry] | None], None] | None = None
        self._store = store
        self._sequencer = sequencer
        self._queue = queue
        self._clock = clock
        self._doubt = False
        self._subscriptions: dict[asyncio.AbstractEventLoop, list[Subscription]] = {}
        self._lock = Lock()

    def join(self, subscription: Subscription) -> None:
        """Deliver to *subscription* from the next commit on."""
        with self._lock:
            self._subscriptions.setdefault(subscription.loop, []).append(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Deliver no more to *subscription*."""
        with self._lock:
            on_loop = self._subscriptions.get(subscription.loop, [])
            if subscription in on_loop:
                on_loop.remove(subscription)
            if not on_loop:
                self._subscriptions.pop(subscription.loop, None)

    def work(self) -> None:
        """Take, sequence, write, answer, until told to stop."""
        running = True
        while running:
            asks: list[Ask] = []
            job: Job | None = None
            item = self._queue.get()
            while True:
                if item is None:
                    running = False
                    break
                if isinstance(item, Job):
                    job = item
                    break
                asks.append(item)
                if len(asks) >= MAX_BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
            if asks:
                self._commit([ask for ask in asks if not ask.future.cancelled()])
            if job is not None:
                self._do(job)
        self._end_subscriptions()

    def _commit(self, asks: list[Ask]) -> None:
        done: Sequenced | None = None
        try:
            if self._doubt:
                self._settle_doubt()
            done = self._sequencer.sequence([ask.plan for ask in asks], int(self._clock() * 1000))
            if done.batch is not None:
                self._doubt = True
                self._store.write(done.batch)
                self._doubt = False
                self.broken = ""
        except Exception as error:  # whatever the store raised: the batch is not durable
            self.broken = f"{type(error).__name__}: {error}"
            self._answer(asks, [_refusal(error) for _ in asks], [])
            return
        self._sequencer.commit(done)
        if self.told_first is not None and done.entries:
            self.told_first(done.entries)
        self._answer(asks, done.results, done.entries)

    def _settle_doubt(self) -> None:
        """After a failed write: did it happen all the same (an answer lost on the way)? Then the log goes on from there."""
        if self._store.head() != (self._sequencer.head if self._sequencer.tree.size else None):
            self._sequencer.load()
            if self.told_first is not None:
                self.told_first(None)
        self._doubt = False

    def _do(self, job: Job) -> None:
        try:
            job.future.set_result(job.run())
        except Exception as error:
            job.future.set_exception(error)

    def _answer(self, asks: list[Ask], results: list[Result], entries: list[Entry]) -> None:
        """Wake every waiter: each event loop once for the whole batch."""
        by_loop: dict[asyncio.AbstractEventLoop, _Answers] = {}
        for ask, result in zip(asks, results, strict=True):
            if ask.loop is None:
                _resolve(ask.future, result)
            else:
                by_loop.setdefault(ask.loop, []).append((ask.future, result))
        listeners: dict[asyncio.AbstractEventLoop, list[Subscription]] = {}
        if entries and self._subscriptions:
            with self._lock:
                listeners = {loop: list(on_loop) for loop, on_loop in self._subscriptions.items()}
        for loop in by_loop.keys() | listeners.keys():
            _post(loop, _deliver, by_loop.get(loop, []), listeners.get(loop, []), entries)

    def _end_subscriptions(self) -> None:
        with self._lock:
            everyone = [subscription for on_loop in self._subscriptions.values() for subscription in on_loop]
            self._subscriptions.clear()
        for subscription in everyone:
            _post(subscription.loop, subscription.end)


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
        loop.call_soon_threadsafe(callback, *args)


def _deliver(answers: _Answers, listeners: list[Subscription], entries: list[Entry]) -> None:
    for future, result in answers:
        _resolve(future, result)
    for subscription in listeners:
        subscription.deliver(entries)


def _resolve(future: AnyFuture, result: Result) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _refusal(error: Exception) -> Exception:
    """What every caller of a failed batch is told; one exception each, since each gets its own traceback."""
    if isinstance(error, LedgerDamaged | WrongKey):
        return type(error)(error.happened, next_step=error.do_next, **error.details)
    why = error.happened if isinstance(error, KeyturnError) else f"{type(error).__name__}."
    refusal = LedgerUnwritable(f"The ledger could not be written: {why}")
    refusal.__cause__ = error
    return refusal
