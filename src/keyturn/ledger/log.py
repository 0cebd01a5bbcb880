"""`Ledger`: the one writer of a log, and reading what it wrote.

Appending is a natural group commit: one thread takes every plan that is waiting, sequences them, signs one
checkpoint, writes one batch (one fsync) and then answers all of them. No answer leaves before its entry is durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future as ThreadFuture
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.ledger import erasing, leaf, merkle, proof, rebuild
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.entries import Draft, Entry, Fold, Plan
from keyturn.ledger.errors import LedgerClosed
from keyturn.ledger.rebuild import Folding
from keyturn.ledger.rows import CACHED_ROWS, RowCache
from keyturn.ledger.sequencer import Sequencer
from keyturn.ledger.storage import Store
from keyturn.ledger.subscription import QUEUED_ENTRIES, Subscription
from keyturn.ledger.tiles import subtrees
from keyturn.ledger.writer import Ask, Job, Writer

T = TypeVar("T")


class Ledger:
    """One log, open for writing. Owns its store: `close` closes it.

    `append` and `append_sync` take drafts, or a pure function that makes them from the rows as of that moment.
    They give the entries in their places once these are durable. They raise

    - what the plan raised, alone;
    - `AlreadyDone` when a `once` key was used before;
    - `LedgerUnwritable` when the store could not make the batch durable: nothing of it is recorded;
    - `LedgerClosed`.

    Row bodies are shared with the cache: build new ones, never change them.
    """

    def __init__(
        self,
        store: Store,
        signer: Signer,
        sequencer: Sequencer,
        rows: RowCache,
        fold: Fold,
        clock: Callable[[], float],
    ):
        self._store = store
        self._signer = signer
        self._sequencer = sequencer
        self._rows = rows
        self._fold = fold
        self._queue: SimpleQueue[Ask | Job | None] = SimpleQueue()
        self._gate = Lock()
        self._closed = False
        self._writer = Writer(store, sequencer, self._queue, clock)
        self._thread = Thread(target=self._writer.work, name="keyturn-ledger", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        store: Store,
        signing_key: Ed25519PrivateKey,
        origin: str,
        fold: Fold,
        clock: Callable[[], float] = time.time,
        *,
        rows_cached: int = CACHED_ROWS,
    ) -> Ledger:
        """Open the log in *store*; an empty store is an empty log. *clock* gives seconds since 1970.

        The newest checkpoint, the tiles' root and the newest entry must agree. Raises `LedgerDamaged`, `WrongKey`,
        `UnknownVersion`, `UnknownType`, `EntryMalformed`, and the store's errors.
        """
        signer = Signer(origin, signing_key)
        rows = RowCache(store.row, rows_cached)
        return cls(store, signer, Sequencer(store, signer, fold, rows), rows, fold, clock)

    async def append(self, plan: Plan) -> tuple[Entry, ...]:
        """Record what *plan* gives; returns when it is durable. See the class for what it raises.

        A caller cancelled before its plan was taken records nothing; afterwards the entry stands.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Entry, ...]] = loop.create_future()
        self._enqueue(Ask(plan, future, loop))
        return await future

    def append_sync(self, plan: Plan) -> tuple[Entry, ...]:
        """`append` for code without an event loop. Not for use on the event loop's thread."""
        future: ThreadFuture[tuple[Entry, ...]] = ThreadFuture()
        self._enqueue(Ask(plan, future, None))
        return future.result()

    def row(self, kind: str, key: str) -> dict[str, Any] | None:
        """The committed row's body, or None."""
        return self._rows.at((kind, key))

    def moved(self, kinds: tuple[str, ...]) -> int:
        """A number that grows with every commit that changes a row of *kinds*: what is read after it is at least as new."""
        return self._rows.moved(kinds)

    def rows(
        self,
        kind: str,
        *,
        state: str | None = None,
        newest_first: bool = True,
        limit: int = 1000,
        before: tuple[int, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Bodies of committed rows of *kind*, ordered by (`at`, key); `before` continues after a page's last (`at`, key)."""
        return self._store.rows(kind, state=state, newest_first=newest_first, limit=limit, before=before)

    def count(self, kind: str, *, state: str | None = None) -> int:
        """How many committed rows."""
        return self._store.count(kind, state=state)

    def session_last(self, session: str) -> int:
        """How many entries a session has: the number of its last one."""
        return self._store.session_last(session)

    def entry(self, index: int) -> Entry | None:
        """One entry, opened and checked against itself, or None when there is none of that index."""
        stored = self._store.entry(index)
        return leaf.read(stored) if stored is not None else None

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Entries with start ≤ index < end, in order, streaming."""
        return (leaf.read(stored) for stored in self._store.entries(start, end))

    def blob(self, digest: str) -> bytes | None:
        """Content-addressed bytes."""
        return self._store.blob(digest)

    def head(self) -> str:
        """The newest checkpoint note. Of an empty log: one over the empty tree."""
        return self._sequencer.head

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._sequencer.tree.size

    @property
    def time(self) -> int:
        """When the newest entry was recorded, in milliseconds since 1970; entry times never go back. 0 for an empty log."""
        return self._sequencer.time

    @property
    def origin(self) -> str:
        """The log's name: first line of its checkpoints."""
        return self._signer.origin

    @property
    def vkey(self) -> str:
        """The log's public key as a signed-note verifier key."""
        return str(self._signer.key)

    @property
    def broken(self) -> str:
        """Why the last batch could not be written; empty when it could."""
        return self._writer.broken

    def subscribe(
        self, capacity: int = QUEUED_ENTRIES, *, types: Iterable[str] | None = None
    ) -> Subscription:
        """Entries (of *types*) committed from now on, for the running event loop.

        A reader that lags by *capacity* is dropped with `Lagged`.
        """
        wanted = None if types is None else frozenset(types)
        subscription = Subscription(asyncio.get_running_loop(), capacity, self._writer.leave, wanted)
        self._writer.join(subscription)
        return subscription

    def tell_first(self, who: Callable[[Sequence[Entry] | None], None]) -> None:
        """Call *who* with the entries of each commit: in the writer's thread, once they are visible and before anybody is answered.

        With None, when more became visible than is known. It must be quick and must not raise: all recording waits for it.
        """
        self._writer.told_first = who

    def capture_with(self, capture: Callable[[Draft], Draft]) -> None:
        """Record every draft as *capture* gives it back. It is pure and must not raise."""
        self._sequencer.capture = capture

    def inclusion(self, index: int) -> str:
        """A c2sp.org/tlog-proof@v1 text for entry *index* under the newest checkpoint. Raises `NotFound` outside of the log."""
        return proof.prove(index, self.head(), self._store.tile)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Hashes that prove that the tree of *new* entries begins with the tree of *old* entries. Raises `ValueError`."""
        if new > self.size:
            raise ValueError(f"the log has {self.size} entries, not {new}")
        return tuple(merkle.consistency_proof(old, new, subtrees(new, self._store.tile)))

    def rebuild(self, check: bool = True) -> rebuild.Rebuilt:
        """Fold the whole log again and compare with the rows; without *check* replace differing ones. Appends wait meanwhile."""

        def job() -> rebuild.Rebuilt:
            rebuilt = rebuild.rebuild(self._store, self._fold, check=check)
            self._rows.forget()
            return rebuilt

        return self._exclusively(job)

    def close(self) -> None:
        """Write what is waiting, then stop and close the store. Closing twice is closing once."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._store.close()

    def erase(self, targets: erasing.Targets, size: int) -> int:
        """Erase fields of the first *size* entries; gives how many. Its caller has recorded that before (`keyturn.ledger.erasing`).

        Reads the log and makes its rows anew, both beside the running writer, which stands still only to change places and while the
        store's files are written anew. Not for the event loop's thread. Raises `StoreUnwritable`, `LedgerClosed`.
        """
        made = erasing.edits(self._store, targets, size)
        if made.entries:
            self._exclusively(lambda: self._take_out(made))
        folding = Folding(self._store, self._fold)
        folding.until(self.size)
        self._exclusively(lambda: self._change_rows(folding))
        return made.fields

    def _take_out(self, made: erasing.Edits) -> None:
        named = erasing.still_named(self._store, made, self.size)
        self._store.erase(made.entries, sorted(made.blobs - named))

    def _change_rows(self, folding: Folding) -> None:
        folding.until(self.size)
        self._store.replace_rows(put for put in folding.puts() if put.body is not None)
        self._store.scrub()
        self._sequencer.load()
        if self._writer.told_first is not None:
            self._writer.told_first(None)

    def _exclusively(self, job: Callable[[], T]) -> T:
        future: ThreadFuture[T] = ThreadFuture()
        self._enqueue(Job(job, future))
        return future.result()

    def _enqueue(self, item: Ask | Job) -> None:
        if current_thread() is self._thread:
            raise RuntimeError("a plan or fold may not append: it is pure")
        with self._gate:
            if self._closed:
                raise LedgerClosed("The ledger is closed.")
            self._queue.put(item)
