"""Processes that make parts of a pack: one asks a certain one of them, which remembers what it did, or whoever is free.

Rules kept here:

- Each process has a queue of its own, first in, first out. What anyone may do waits in a common one and goes to the first that is free.
- They are started anew (`spawn`), and end with the block that began them. One that is ended from outside breaks what waits for it
  (`BrokenProcessPool`).
"""

from __future__ import annotations

import multiprocessing
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Workers(Executor):
    """*count* processes, in each of which *begin* was called with *args*. `submit` and `map` ask whoever is free."""

    def __init__(self, count: int, begin: Callable[..., object], args: tuple[Any, ...]) -> None:
        how = multiprocessing.get_context("spawn")
        self._each = [ProcessPoolExecutor(1, how, begin, args) for _ in range(count)]
        self._asked = [0] * count
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._lock = threading.RLock()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._each)

    def on(self, number: int, do: Callable[..., T], *args: Any) -> Future[T]:
        """Ask process *number*, after all that it was asked before."""
        with self._lock:
            made = self._each[number].submit(do, *args)
            self._asked[number] += 1
        made.add_done_callback(partial(self._ended, number))
        return made

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Ask the first that is free."""
        asked: Future[T] = Future()
        with self._lock:
            self._waiting.append((asked, partial(fn, *args, **kwargs)))
            self._give()
        return asked

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End them, once what each was asked for is done, or what it does now (*cancel_futures*). What nobody has begun is not done."""
        with self._lock:
            unbegun = [asked for asked, _ in self._waiting]
            self._waiting.clear()
        for asked in unbegun:
            asked.cancel()
        for one in self._each:
            one.shutdown(wait, cancel_futures=cancel_futures)

    def _give(self) -> None:
        """What waits goes to those that are free."""
        while self._waiting and 0 in self._asked:
            asked, do = self._waiting.popleft()
            if not asked.set_running_or_notify_cancel():
                continue
            number = self._asked.index(0)
            try:
                self.on(number, do).add_done_callback(partial(_tell, asked))
            except BaseException as error:
                asked.set_exception(error)

    def _ended(self, number: int, _: Future[Any]) -> None:
        with self._lock:
            self._asked[number] -= 1
            self._give()


def _tell(asked: Future[Any], done: Future[Any]) -> None:
    """*asked* comes to what *done* did."""
    if done.cancelled():
        asked.set_exception(CancelledError())
    elif (error := done.exception()) is not None:
        asked.set_exception(error)
    else:
        asked.set_result(done.result())


__all__ = ["Workers"]
