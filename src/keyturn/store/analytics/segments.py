"""Sealed segments: the ledger's events as Parquet files, one folder for a day (or for `MOST` entries of a busy one).

Rules kept here:

- A segment covers the entries `[start, end)`. Where it ends depends on the log alone: at the first entry of another day (UTC), or
  after `MOST` entries. What comes after the last segment is the *tail*, made anew for every reader.
- Rows lie in the order of the log, and are written by one thread: the same log, read as far, gives the same rows.
- The seal (`seal.json`, written last, the folder renamed into place when all is in it) names the range, how far the log was read,
  and of every file its rows and SHA-256. Files that don't match their seal are not read: the segment is made again.
- When something lands for an entry of a sealed segment (a receipt, an approval), that segment is made again. `checked` says up to which
  entry that was looked at; without it everything is. An erasure makes every segment again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from keyturn.ledger import checkpoint, leaf
from keyturn.ledger.storage import Store
from keyturn.store.analytics import duck
from keyturn.store.analytics.errors import SegmentsBusy, SegmentsUnusable
from keyturn.store.analytics.rows import Shaper, owner
from keyturn.store.analytics.tables import TABLES

MOST = 100_000
"""Entries in one segment at most."""
DAY = 86_400_000
SEAL = "seal.json"
CHECKED = "checked"
VERSION = 2
_CHUNK = 1 << 20

Progress = Callable[[int, int], None]
"""(entries read, entries to read)."""


class Sealed(Struct, frozen=True):
    """One file of a segment."""

    rows: int
    bytes: int
    sha256: str


class Seal(Struct, frozen=True):
    """What a segment says of itself. `as_of` is how many entries the log had when its rows were made."""

    v: int
    origin: str
    start: int
    end: int
    as_of: int
    writer: str
    tables: dict[str, Sealed]


class Refreshed(Struct, frozen=True):
    """What a refresh did: how far the log was read, the segments sealed now, made again, and their reasons."""

    size: int
    sealed: tuple[str, ...] = ()
    again: dict[str, str] = {}


class Segments:
    """The segments in *folder* of the log in *store*. One process at a time changes them; anybody reads."""

    def __init__(self, folder: Path, store: Store, *, most: int = MOST) -> None:
        self.folder, self.store, self.most = folder, store, most
        self._shaper = Shaper(store.row, store.blob)

    # --- reading ---------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """All segments that are in place, in the log's order."""
        return sorted(one.name for one in self.folder.glob("[0-9]*-[0-9]*") if (one / SEAL).is_file())

    def seal(self, name: str) -> Seal:
        """The seal of one. Raises `SegmentsUnusable`."""
        try:
            return msgspec.json.decode((self.folder / name / SEAL).read_bytes(), type=Seal)
        except (OSError, msgspec.MsgspecError) as error:
            raise SegmentsUnusable(f"The seal of {name} can't be read.") from error

    def wrong(self, name: str) -> str:
        """What does not match the seal of *name*; empty for a sound one."""
        try:
            seal = self.seal(name)
        except SegmentsUnusable:
            return "its seal can't be read"
        if seal.v != VERSION or set(seal.tables) != set(TABLES):
            return "it was made by another version"
        if seal.origin != self.origin or name != _name(seal.start, seal.end):
            return "its seal is of another one"
        for table, sealed in seal.tables.items():
            path = self.folder / name / f"{table}.parquet"
            try:
                if path.stat().st_size != sealed.bytes or file_digest(path) != sealed.sha256:
                    return f"{table} does not match its seal"
            except OSError:
                return f"{table} is missing"
        return ""

    @property
    def size(self) -> int:
        """How many entries the log has, by its newest checkpoint."""
        head = self.store.head()
        return checkpoint.read_unverified(head).size if head else 0

    @property
    def origin(self) -> str:
        """The log's origin."""
        return str((self.store.row("log", "log") or {}).get("origin", ""))

    # --- making ----------------------------------------------------------------------------------------------------

    def refresh(self, tail: Path, progress: Progress = lambda done, of: None) -> Refreshed:
        """Seal what is complete, make again what is damaged or behind, and write the rest into *tail*.

        Raises `SegmentsBusy`, `SegmentsUnusable`.
        """
        with self._locked():
            size = self.size
            again = self._unsound(size)
            for name, _ in again.items():
                start, end = _range(name)
                self._make(start, end, size, self._next_to(name))
            sealed = self._seal_on(size, tail, progress)
            (self.folder / CHECKED).write_text(str(size))
        return Refreshed(size, tuple(sealed), again)

    def differing(self) -> dict[str, str]:
        """Segments whose rows are not what the log gives, made as of the same entry: seals and files were altered together."""
        found = {}
        with self._locked():
            for name in self.names():
                why = self.wrong(name) or self._differs(name)
                if why:
                    found[name] = why
                    shutil.rmtree(self.folder / name)
        return found

    def _differs(self, name: str) -> str:
        """What of *name* is not as the log gives it; empty where all is, or where more was said of it since."""
        seal = self.seal(name)
        if self._behind([name], seal.as_of, self.size):
            return ""
        work = self._next_to(name)
        try:
            lines = _Lines(work)
            for stored in self.store.entries(seal.start, seal.end):
                for table, row in self._shaper.rows(leaf.read(stored)):
                    lines.add(table, row)
            lines.close()
            duck.write(work)
            unlike = duck.unlike(work, self.folder / name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return f"{unlike} is not what the log gives" if unlike else ""

    def drop(self) -> None:
        """Delete every segment: they are made again when somebody asks."""
        with self._locked():
            for path in self.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
            (self.folder / CHECKED).unlink(missing_ok=True)

    def _unsound(self, size: int) -> dict[str, str]:
        """Segments to make again, and why. Those after a gap, or beyond the log's end, are removed: they are sealed anew."""
        reasons: dict[str, str] = {}
        at, kept = 0, []
        for name in self.names():
            start, end = _range(name)
            if start != at or end > size:
                shutil.rmtree(self.folder / name)
                continue
            at = end
            kept.append(name)
            why = self.wrong(name)
            if why:
                reasons[name] = why
        behind = self._behind(kept, min(self._checked(), at), size) if kept else {}
        return reasons | {name: why for name, why in behind.items() if name not in reasons}

    def _behind(self, names: list[str], first: int, size: int) -> dict[str, str]:
        """Sealed segments for which something landed since they were made, looked for from entry *first* on."""
        found: dict[str, str] = {}
        for stored in self.store.entries(first, size):
            entry = leaf.read(stored)
            if entry.type.startswith("erasure."):
                return dict.fromkeys(names, "something was erased")
            for index in owner(entry, self.store.row):
                name = next((one for one in names if _range(one)[0] <= index < _range(one)[1]), None)
                if name is not None and self._as_of(name) <= entry.index:
                    found[name] = f"entry {entry.index} says more of it"
        return found

    def _as_of(self, name: str) -> int:
        try:
            return self.seal(name).as_of
        except SegmentsUnusable:
            return 0

    def _checked(self) -> int:
        try:
            return max(0, int((self.folder / CHECKED).read_text()))
        except (OSError, ValueError):
            return 0

    def _seal_on(self, size: int, tail: Path, progress: Progress) -> list[str]:
        """Go through the log after the last segment; seal each range that is complete, and leave the rest in *tail*."""
        names = self.names()
        start = _range(names[-1])[1] if names else 0
        first, sealed = start, []
        lines = _Lines(tail)
        day = -1
        for stored in self.store.entries(start, size):
            today = stored.time // DAY
            if stored.index > start and (today != day or stored.index - start >= self.most):
                lines.close()
                sealed.append(self._place(tail, start, stored.index, size))
                start, lines = stored.index, _Lines(tail)
            day = today
            for table, row in self._shaper.rows(leaf.read(stored)):
                lines.add(table, row)
            if stored.index % 1000 == 0:
                progress(stored.index - first, size - first)
        lines.close()
        duck.write(tail)
        progress(size - first, size - first)
        return sealed

    def _make(self, start: int, end: int, as_of: int, work: Path) -> None:
        lines = _Lines(work)
        for stored in self.store.entries(start, end):
            for table, row in self._shaper.rows(leaf.read(stored)):
                lines.add(table, row)
        lines.close()
        self._place(work, start, end, as_of)
        shutil.rmtree(work, ignore_errors=True)

    def _next_to(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f".making-{name}-", dir=self.folder))

    def _place(self, work: Path, start: int, end: int, as_of: int) -> str:
        """Turn the lines in *work* into the segment, sealed, in its place."""
        rows = duck.write(work)
        made = Path(tempfile.mkdtemp(prefix=".sealing-", dir=self.folder))
        for table in TABLES:
            shutil.move(work / f"{table}.parquet", made / f"{table}.parquet")
        return self.place(made, rows, start, end, as_of)

    def place(self, made: Path, rows: dict[str, int], start: int, end: int, as_of: int) -> str:
        """Seal the Parquet files in *made* (on the same disk) and put the folder into its place."""
        tables = {}
        for table in TABLES:
            path = made / f"{table}.parquet"
            tables[table] = Sealed(rows[table], path.stat().st_size, file_digest(path))
        seal = Seal(VERSION, self.origin, start, end, as_of, duck.writer(), tables)
        (made / SEAL).write_bytes(msgspec.json.format(msgspec.json.encode(seal)) + b"\n")
        name = _name(start, end)
        shutil.rmtree(self.folder / name, ignore_errors=True)
        made.rename(self.folder / name)
        return name

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Be the only one that changes segments; leftovers of a killed process are removed."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SegmentsUnusable(f"{self.folder}: {error.strerror}.") from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SegmentsBusy(f"Another process makes segments in {self.folder}.") from None
            for left in self.folder.glob(".[ms]*-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        except OSError as error:
            raise SegmentsUnusable(f"{error.filename or self.folder}: {error.strerror}.") from error
        finally:
            os.close(handle)


class _Lines:
    """Rows as JSON lines, one file a table, in *folder*."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files: dict[str, BinaryIO] = {table: (folder / f"{table}.jsonl").open("wb") for table in TABLES}
        self._encode = msgspec.json.Encoder().encode

    def add(self, table: str, row: dict[str, Any]) -> None:
        self._files[table].write(self._encode(row) + b"\n")

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def _name(start: int, end: int) -> str:
    return f"{start:012d}-{end:012d}"


def _range(name: str) -> tuple[int, int]:
    start, _, end = name.partition("-")
    return int(start), int(end)


def file_digest(path: Path) -> str:
    made = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
    return made.hexdigest()


__all__ = ["MOST", "Progress", "Refreshed", "Seal", "Sealed", "Segments"]
