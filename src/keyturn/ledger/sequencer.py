"""Giving drafts their place: the state machine of the one writer. No threads, no clock; I/O only through the store.

Rules kept here:

- Plans run in the order they came, each against the state that includes all earlier ones of the same batch.
- A plan's drafts are recorded all or none, without a gap between them; a plan that raises is rejected alone.
- A `once` key occurs at most once in the log. The store is asked once for a whole batch; when it knows a key, the
  batch is run again without the plan that used it (plans are pure, so running them twice is running them once).
- Times never decrease. A wall clock more than a second behind the log is recorded (`clock.jumped`), once per jump.
- Sessions number their entries from 1; `session.closed` carries the count of them, itself included.
- Every draft goes through `capture` first, where there is one: so no use case can record what it takes out.
- Nothing of a batch is kept until the store has it: `commit` is the only thing that changes the sequencer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from keyturn.ledger import checkpoint, leaf
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.entries import Draft, Entry, Fold, Plan
from keyturn.ledger.errors import AlreadyDone, DraftMalformed, LedgerDamaged, NoteInvalid, WrongKey
from keyturn.ledger.leaf import Made
from keyturn.ledger.merkle import HASH_BYTES, leaf_hash
from keyturn.ledger.rows import Overlay, RowCache
from keyturn.ledger.storage import Batch, Store
from keyturn.ledger.tiles import WIDTH, Tree, load_tree

CLOCK_TOLERANCE = 1_000
"""How far (ms) the wall clock may be behind the log without a word: clock discipline, not a jump."""
SESSIONS_REMEMBERED = 50_000

Result = tuple[Entry, ...] | Exception


class Sequenced(Struct, frozen=True):
    """What a batch of plans came to. `batch` is None when there is nothing to write. Nothing is committed yet."""

    results: list[Result]
    entries: list[Entry]
    batch: Batch | None
    tree: Tree
    time: int
    behind: bool
    sessions: dict[str, int]


class _Work:
    """One run over a batch's plans."""

    def __init__(self, overlay: Overlay, time: int) -> None:
        self.overlay = overlay
        self.time = time
        self.made: list[Made] = []
        self.sessions: dict[str, int] = {}
        self.once: dict[str, int] = {}


class Sequencer:
    """The log's end: tree, time, sessions and rows, as of the last commit."""

    def __init__(self, store: Store, signer: Signer, fold: Fold, rows: RowCache) -> None:
        self._store = store
        self._signer = signer
        self._fold = fold
        self._rows = rows
        self._sessions: OrderedDict[str, int] = OrderedDict()
        self.capture: Callable[[Draft], Draft] | None = None
        self.load()

    def load(self) -> None:
        """Take the end of the log from the store, cross-checked with its checkpoint.

        Raises `LedgerDamaged` when tiles, newest entry and checkpoint don't agree, `WrongKey` when another key signed.
        """
        head = self._store.head()
        tree, time = Tree(), 0
        if head is not None:
            tree, time = self._loaded(head)
        elif self._store.entry(0) is not None:
            raise LedgerDamaged("The log has entries but no checkpoint.")
        self._sessions.clear()
        self._rows.forget()
        self.tree, self.time, self.behind = tree, time, False
        self.head = head or self._signer.sign(0, tree.root)

    def _loaded(self, note: str) -> tuple[Tree, int]:
        try:
            stated = checkpoint.read_unverified(note)
        except NoteInvalid as error:
            raise LedgerDamaged(f"The stored checkpoint is malformed: {error.happened}") from error
        if stated.origin != self._signer.origin:
            raise WrongKey(f"The log's origin is {stated.origin!r}, not {self._signer.origin!r}.")
        try:
            checkpoint.open_checkpoint(note, self._signer.key)
        except NoteInvalid as error:
            raise WrongKey(f"The checkpoint of size {stated.size} was not signed by this key.") from error
        tree = load_tree(stated.size, self._store.tile)
        if tree.root != stated.root:
            raise LedgerDamaged(
                f"The stored tiles give another root than the checkpoint of size {stated.size} states.",
                expected=stated.root.hex(),
                found=tree.root.hex(),
            )
        return tree, self._newest_time(stated.size)

    def _newest_time(self, size: int) -> int:
        if self._store.entry(size) is not None:
            raise LedgerDamaged(f"There is an entry {size}, but the checkpoint covers only {size} entries.")
        if not size:
            return 0
        newest = self._store.entry(size - 1)
        if newest is None:
            raise LedgerDamaged(f"Entry {size - 1} is missing; the checkpoint covers {size} entries.")
        tile = self._store.tile(0, (size - 1) // WIDTH) or b""
        at = (size - 1) % WIDTH * HASH_BYTES
        if tile[at : at + HASH_BYTES] != leaf_hash(newest.leaf):
            raise LedgerDamaged(f"Entry {size - 1} is not the one the tree commits to.")
        return leaf.read(newest).time

    def sequence(self, plans: Sequence[Plan], now: int) -> Sequenced:
        """Run *plans* at *now* (ms since 1970). Raises only what the store's reads raise."""
        known: dict[str, int] = {}
        while True:
            behind = now < self.time - CLOCK_TOLERANCE
            work = _Work(Overlay(self._rows), max(now, self.time))
            if behind and not self.behind:
                jump = Draft("clock.jumped", {"clock": now, "log": self.time})
                self._run(work, [jump], known)
            results = [self._attempt(work, plan, known) for plan in plans]
            found = self._store.once(list(work.once)) if work.once else {}
            if not found:
                break
            known.update(found)
        return self._close_batch(work, results, behind)

    def _close_batch(self, work: _Work, results: list[Result], behind: bool) -> Sequenced:
        entries = [made.entry for made in work.made]
        if not any(isinstance(result, tuple) and result for result in results):
            return Sequenced(results, [], None, self.tree, self.time, self.behind, {})
        stored = [made.stored for made in work.made]
        tree, tiles = self.tree.grow([leaf_hash(entry.leaf) for entry in stored])
        blobs: dict[str, bytes] = {}
        for made in work.made:
            if made.blobs:
                blobs.update(made.blobs)
        note = self._signer.sign(tree.size, tree.root)
        batch = Batch(stored, tiles, note, blobs, list(work.overlay.puts.values()))
        return Sequenced(results, entries, batch, tree, work.time, behind, work.sessions)

    def commit(self, done: Sequenced) -> None:
        """The store has it: this is the log's end now."""
        if done.batch is None:
            return
        self._rows.commit(done.batch.rows)
        self.tree, self.time, self.behind = done.tree, done.time, done.behind
        self.head = done.batch.checkpoint
        sessions = self._sessions
        for session, n in done.sessions.items():
            sessions[session] = n
            sessions.move_to_end(session)
        while len(sessions) > SESSIONS_REMEMBERED:
            sessions.popitem(last=False)

    def _attempt(self, work: _Work, plan: Plan, known: dict[str, int]) -> Result:
        try:
            drafts = plan(work.overlay) if callable(plan) else plan
            return self._run(work, drafts, known)
        except StopIteration as error:  # no future takes one
            return RuntimeError(f"the plan raised {error!r}")
        except Exception as error:  # a plan's own errors are its caller's answer
            return error

    def _run(self, work: _Work, drafts: Sequence[Draft], known: dict[str, int]) -> tuple[Entry, ...]:
        """All of *drafts* in their places, or none. Raises what makes them impossible."""
        first, keys = len(work.made), []
        numbers: dict[str, int | None] = {}
        work.overlay.mark()
        try:
            for draft in drafts:
                if draft.once is not None:
                    self._claim(work, draft.once, known)
                    keys.append(draft.once)
                made = self._place(work, draft, numbers)
                work.made.append(made)
                for put in self._fold(made.entry, work.overlay):
                    work.overlay.put(put)
        except BaseException:
            work.overlay.undo()
            del work.made[first:]
            for key in keys:
                del work.once[key]
            for session, n in numbers.items():
                if n is None:
                    del work.sessions[session]
                else:
                    work.sessions[session] = n
            raise
        return tuple(made.entry for made in work.made[first:])

    def _claim(self, work: _Work, key: str, known: dict[str, int]) -> None:
        index = known.get(key, work.once.get(key))
        if index is not None:
            raise AlreadyDone(f"{key!r} is in the log already.", once=key, index=index)
        if "\0" in key or not key.isprintable() or len(key) > 512:
            raise DraftMalformed("A once key is at most 512 printable characters.")
        work.once[key] = self.tree.size + len(work.made)

    def _place(self, work: _Work, draft: Draft, numbers: dict[str, int | None]) -> Made:
        n = None
        session = draft.session
        if session is not None:
            before = work.sessions.get(session)
            if session not in numbers:
                numbers[session] = before
            n = (before if before is not None else self._last(session)) + 1
            work.sessions[session] = n
        if draft.type == "session.closed":
            if n is None:
                raise DraftMalformed("session.closed belongs to a session.")
            fields: dict[str, Any] = {**draft.fields, "count": n}
            draft = Draft(draft.type, fields, session, draft.once, draft.blobs)
        if self.capture is not None:
            draft = self.capture(draft)
        return leaf.make(draft, self.tree.size + len(work.made), work.time, n)

    def _last(self, session: str) -> int:
        n = self._sessions.get(session)
        if n is None:
            leaf.check_session(session)
            n = self._sessions[session] = self._store.session_last(session)
        return n
