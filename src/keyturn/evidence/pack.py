"""Making an evidence pack: one pass over the log, every test over the whole population, and all that an auditor takes home in one file.

Rules kept here:

- What is in the log and disclosed decides everything: the same log, order and version of Keyturn give the same bytes, however many
  processes read. No clock, no random number, no path of this machine goes in.
- Nothing is believed of the store: every disclosure is checked against its leaf, the tree is computed from the leaves, and it has to
  be a beginning of the one that the signed checkpoint states. A log that isn't gives no pack.
- The size is fixed at the start; what is recorded meanwhile is not in it.
- The file appears whole or not at all, readable by its owner alone, and never takes another one's place.
- A house's own controls are those of the policy that was in force at the end of the log that is packed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from msgspec import Struct

from keyturn.evidence import catalogue, pack_contents, pack_results, spans
from keyturn.evidence.errors import PeriodInvalid
from keyturn.evidence.log_reading import Log
from keyturn.evidence.order import Order
from keyturn.evidence.pack_errors import (
    HeadForeign,
    LogDamaged,
    NoData,
    PackDiskFull,
    PackRefused,
    PackTooLarge,
    WorkerLost,
)
from keyturn.evidence.pack_results import Verification
from keyturn.evidence.pack_tree import PackTree
from keyturn.evidence.pack_writing import Summed, Writing
from keyturn.evidence.program.tables import Tables
from keyturn.evidence.report.model import Frame, KeptHead
from keyturn.evidence.spans import Opener, Span
from keyturn.evidence.testing import Period, TestResult
from keyturn.evidence.workers import Workers
from keyturn.evidence.workplace import workplace
from keyturn.ledger import checkpoint, merkle
from keyturn.ledger.checkpoint import Checkpoint, Signer
from keyturn.ledger.errors import EntryMalformed, LedgerDamaged, NoteInvalid, UnknownType, UnknownVersion
from keyturn.ledger.note import VerifierKey
from keyturn.ledger.tiles import WIDTH, subtrees

PROCESSES = 2
STRETCH = 32
"""Bundles that a process reads at once: 8,192 entries, some twenty megabytes, which it keeps until there is room in the pack."""
AHEAD = 2
"""Stretches that are read before their turn to be written, for each process."""
FEW = 32
"""Bundles that one process reads alone: starting others would take longer."""

Progress = Callable[[int, int], None]
Place = Callable[[int, str, int], Future[None] | None]
"""Puts the records of a stretch, by its first bundle, into the pack's file at an offset: now, or once it is done."""


class Packed(Struct, frozen=True):
    """What was made. `controls`: (id, verdict) in the framework's order; `files`, `bytes`: of the pack; `manifest`: its SHA-256 in hex."""

    path: str
    pack: str
    framework: str
    origin: str
    size: int
    root: str
    files: int
    bytes: int
    manifest: str
    controls: tuple[tuple[str, str], ...]


def build(
    opener: Opener,
    key: VerifierKey,
    out: Path,
    order: Order,
    *,
    signer: Signer | None = None,
    processes: int = PROCESSES,
    progress: Progress | None = None,
) -> Packed:
    """Write the pack that *order* asks for to *out*, which must not exist.

    *opener* opens the log in any process; *key* signed it. Without *signer*, the log's, all of the log is packed and nobody signs.
    Raises `PackRefused`, `PackDiskFull`, `PackTooLarge`, `LogDamaged`, `NoData`, `PeriodInvalid`, `FrameworkUnknown`, `HeadForeign`,
    `CatalogueMalformed`, `WorkerLost`, and the store's errors: then there is no file.
    """
    if not 0 <= order.since < order.until:
        raise PeriodInvalid("The period ends before it begins.")
    target = out.absolute()
    if os.path.lexists(target):
        raise PackRefused(f"{out} exists already.")
    try:
        work, held = workplace(target)
    except OSError as error:
        raise PackRefused(f"{out}: {error.strerror}.") from error
    try:
        made = _Build(opener, key, order, signer, work, progress).run(processes)
        _appear(work / "pack", target)
        return made.packed(str(out))
    except OSError as error:
        raise _trouble(error, out) from error
    except sqlite3.Error as error:
        raise PackDiskFull(f"The tables could not be written beside {out}: {error}.") from error
    except (LedgerDamaged, EntryMalformed, UnknownType, UnknownVersion) as error:
        raise LogDamaged(error.happened) from error
    except BrokenProcessPool as error:
        raise WorkerLost("A process that read the log was ended from outside.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(held)


def _appear(made: Path, target: Path) -> None:
    """The finished file gets its name, unless something has it already."""
    try:
        os.link(made, target)
    except FileExistsError as error:
        raise PackRefused(f"{target} exists already.") from error


def _trouble(error: OSError, out: Path) -> PackDiskFull | PackRefused:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return PackDiskFull(f"{out}: {error.strerror}.")
    return PackRefused(f"{out}: {error.strerror}.")


class _Build:
    def __init__(
        self,
        opener: Opener,
        key: VerifierKey,
        order: Order,
        signer: Signer | None,
        work: Path,
        progress: Progress | None,
    ) -> None:
        self.opener = opener
        self.key = key
        self.order = order
        self.signer = signer
        self.work = work
        self.progress = progress
        self.tree = PackTree()
        self.apart: set[str] = set()
        self.named: set[str] = set()
        self.closed: set[str] = set()
        self.policy: dict[str, str] = {}
        self.time = 0
        self.bases: list[str] = []

    def run(self, processes: int) -> _Build:
        log = self.opener()
        try:
            self.signed = log.head() or ""
            self.head = self._head()
            with (self.work / "pack").open("xb") as out:
                os.fchmod(out.fileno(), 0o600)
                self.writing = Writing(out, str(self.work / "pack"))
                try:
                    self._make(log, processes)
                    self.bytes, self.digest = self.writing.finish(self.frame, self.signer)
                except ValueError as error:
                    raise PackTooLarge(f"{error}.") from error
                out.flush()
                os.fsync(out.fileno())
        finally:
            log.close()
        return self

    def packed(self, path: str) -> Packed:
        frame = self.frame
        return Packed(
            path,
            frame.pack,
            frame.framework,
            frame.origin,
            frame.size,
            frame.root,
            self.writing.count,
            self.bytes,
            self.digest,
            tuple((one.control, one.verdict) for one in self.controls),
        )

    def _head(self) -> Checkpoint:
        """The signed head of the log that is packed, or a later one of the same log."""
        try:
            head = checkpoint.open_checkpoint(self.signed, self.key)
        except NoteInvalid as error:
            raise LogDamaged(error.happened) from error
        if not 0 < self.order.size <= head.size or (self.signer is None and self.order.size != head.size):
            raise LogDamaged(f"The log has {head.size} entries, not {self.order.size}.")
        return head

    # --- the log -------------------------------------------------------------------------------------------------

    def _make(self, log: Log, processes: int) -> None:
        path = str(self.work / "tables")
        tables = Tables(path)
        try:
            with self._pool(processes) as pool:
                self._log(log, pool, tables)
                # Those who read the log index the tables and sum them up meanwhile.
                indexed = pool.submit(pack_results.indexed, path) if pool is not None else None
                summed = pack_contents.summed(pool, self.bases)
                pack_contents.ready(pool)
                self._tree(log)
                if indexed is None:
                    tables.index()
                else:
                    indexed.result()
                self._results(log, pool, tables, path, summed)
        finally:
            tables.close()

    @contextlib.contextmanager
    def _pool(self, processes: int) -> Iterator[Workers | None]:
        if processes < 2 or self.order.size <= FEW * WIDTH:
            yield None
            return
        with Workers(processes, spans.begin, self._begin()) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _begin(self) -> tuple[Opener, int, bool, str]:
        return self.opener, self.order.size, self.order.disclosure == "content", str(self.work)

    def _log(self, log: Log, pool: Workers | None, tables: Tables) -> None:
        """One pass over the log: into the pack, and into the tables."""
        placing: deque[Future[None]] = deque()
        for span, place in self._spans(log, pool):
            placed = place(span.first, *self.writing.span(span))
            if placed is not None:
                placing.append(placed)
            for hashes, root in span.hashes:
                self.tree.add(hashes, root)
            tables.join(span.tables)
            span.tables.unlink()
            self.bases.append(span.base)
            self.apart |= span.apart
            self.named |= span.named
            self.closed |= span.closed
            self.policy = span.policy if span.policy is not None else self.policy
            self.time = span.time
            while placing and placing[0].done():
                placing.popleft().result()
            if self.progress:
                self.progress(min(self.tree.bundles * WIDTH, self.order.size), self.order.size)
        for placed in placing:
            placed.result()

    def _spans(self, log: Log, pool: Workers | None) -> Iterator[tuple[Span, Place]]:
        """Every stretch of the log, in order, and what puts its records into the pack."""
        count = -(-self.order.size // WIDTH)
        stretches = [(first, min(first + STRETCH, count)) for first in range(0, count, STRETCH)]
        if pool is None:
            reader = spans.Reader(log, *self._begin()[1:])
            yield from ((reader.read(*one), reader.place) for one in stretches)
            return
        waiting: deque[tuple[Future[Span], Place]] = deque()
        for turn, one in enumerate(stretches):
            number = turn % pool.count
            waiting.append((pool.on(number, spans.read, *one), partial(pool.on, number, spans.place)))
            if len(waiting) >= AHEAD * pool.count:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)

    def _tree(self, log: Log) -> None:
        """The computed tree is the signed one, or its beginning."""
        size, head = self.order.size, self.head
        self.tree.finish(size)
        root = self.tree.root
        proof = (
            merkle.consistency_proof(size, head.size, subtrees(head.size, log.tile))
            if size < head.size
            else []
        )
        if not merkle.extends(size, root, head.size, head.root, proof):
            raise LogDamaged(
                f"The first {size} entries are not those of the signed checkpoint of size {head.size}."
            )
        if size < head.size and self.signer is not None:
            self.signed = self.signer.sign(size, root)
        self.writing.tiles(self.tree, self.signed, str(self.key))
        named = sorted(self.apart | (self.named - self.closed))
        self.writing.blobs(log, named)

    # --- what follows from it ------------------------------------------------------------------------------------

    def _results(
        self, log: Log, pool: Workers | None, tables: Tables, path: str, summed: Iterator[Summed]
    ) -> None:
        order, root = self.order, self.tree.root.hex()
        if order.until > self.time + 1:
            raise PeriodInvalid("The period ends after the log does.")
        files = {
            name: log.blob(digest) or b""
            for name, digest in self.policy.items()
            if name.startswith(catalogue.FOLDER)
        }
        found = catalogue.load(files)
        framework = found.framework(order.framework)
        period = Period(order.since, order.until, order.size)
        tables.db.execute("INSERT INTO temp.period VALUES (?, ?, ?)", (order.since, order.until, order.size))
        within = "SELECT 1 FROM event WHERE ts_ms >= ? AND ts_ms < ? AND type <> 'evidence.exported' LIMIT 1"
        if not tables.db.execute(within, (order.since, order.until)).fetchone():
            raise NoData("The log has no entry in that period.")
        self.frame = Frame(
            order.pack,
            framework.id,
            framework.title,
            framework.edition,
            order.since,
            order.until,
            self.head.origin,
            str(self.key),
            order.size,
            root,
            self.time,
            order.by,
            order.auditor,
            order.disclosure,
            bool(order.pack),
        )
        verification = Verification(self.tree.bundles, self._heads())
        tests = pack_results.asked(found, framework, period)
        running = pack_results.run(pool, path, tests, root)
        told = pack_results.told(tables, order.until)
        results: list[TestResult] = list(running)
        results += pack_results.verified(framework, verification, period, root)
        results.sort(key=lambda one: one.test)
        self.controls = pack_results.judged(framework, results)
        report = pack_results.report(
            self.frame, framework, found.tests, results, self.controls, verification, told
        )
        contents = pack_contents.Contents(
            self.frame,
            framework,
            tuple(one.test for one in tests),
            tuple(results),
            tuple(self.controls),
            report,
        )
        by_the_log = self.signer is not None
        pack_contents.write(self.writing, contents, self.tree, self.signed, by_the_log, pool, summed)

    def _heads(self) -> tuple[KeptHead, ...]:
        """The checkpoints that others kept: is each the head of a beginning of this log?"""
        found = []
        for number, (whose, note) in enumerate(self.order.heads, 1):
            try:
                head = checkpoint.open_checkpoint(note, self.key)
            except NoteInvalid as error:
                raise HeadForeign(f"{whose}: {error.happened}") from error
            begins = head.size <= self.order.size and (
                head.size == 0 or self.tree.root_at(head.size) == head.root
            )
            found.append(KeptHead(whose, head.size, begins))
            self.writing.add(f"heads/{number}.checkpoint", note.encode())
        return tuple(found)


def _next(waiting: deque[tuple[Future[Span], Place]]) -> tuple[Span, Place]:
    span, place = waiting.popleft()
    return span.result(), place


__all__ = ["Order", "Packed", "build"]
