"""The store on SQLite: one file in a home, write-ahead log, every commit synced (`synchronous=FULL`).

One connection writes, used by the ledger's writer thread; every thread that reads has a connection of its own.
`<home>/ledger.lock` is locked (flock) for as long as the store is open for writing, so a second server on the same
home is refused, whatever the file system's own locks do; a killed process loses the lock with its life.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from keyturn.ledger import values
from keyturn.ledger.entries import Put
from keyturn.ledger.storage import Batch, StoredEntry
from keyturn.store.errors import StoreInUse, StoreMissing, StoreUnreadable, StoreUnwritable, StoreVersion
from keyturn.store.statements import statements

APPLICATION_ID = 0x4B54524E
"""`KTRN`, so that `file` and we know our files."""
VERSION = 1
BUSY_MS = 5_000
PAGE = 512
"""Rows fetched at once by the streaming reads."""
GROUP = 64
"""Most rows inserted by one statement."""
KEPT = 512
"""Rows collected before they are inserted, so that a rebuild of millions needs no memory for all."""
WAL_PAGES = 2_000
"""Pages (4 KiB) in the write-ahead log before it is copied back: fewer, larger pauses."""
_AFTER = "\U0010ffff"
_LAST = sys.maxsize
_SQL = statements("sqlite")


class SqliteStore:
    """Keeps `keyturn.ledger.storage.Store`. Made by `open_store`."""

    def __init__(self, path: Path, *, writer: bool) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._lock: int | None = None
        self._immutable = False
        self._writer: sqlite3.Connection | None = None
        if writer:
            self._lock = _lock(path)
            try:
                self._writer = self._open_writer()
            except BaseException:
                self.close()
                raise
        else:
            self._open_reader()

    # Opening

    def _open_writer(self) -> sqlite3.Connection:
        try:
            fresh = not self.path.exists() or self.path.stat().st_size == 0
            if fresh:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            elif not os.access(self.path, os.W_OK):
                raise StoreUnwritable(f"{self.path} can't be written by this user.")
            connection = self._connect(f"file:{quote(str(self.path))}?mode=rw")
        except OSError as error:
            raise StoreUnwritable(f"{self.path}: {error.strerror}.") from error
        try:
            if not fresh:
                self._check_version(connection)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            connection.execute(f"pragma wal_autocheckpoint = {WAL_PAGES}")
            connection.execute("pragma cache_size = -16384")
            connection.execute("begin immediate")
            if connection.execute("pragma user_version").fetchone()[0] == 0:
                for statement in _SQL["schema"].split(";\n"):
                    connection.execute(statement)
                connection.execute(f"pragma application_id = {APPLICATION_ID}")
                connection.execute(f"pragma user_version = {VERSION}")
            connection.execute("commit")
        except sqlite3.DatabaseError as error:
            raise self._trouble(error, writing=True) from error
        return connection

    def _open_reader(self) -> None:
        try:
            present = self.path.is_file()
        except OSError as error:
            raise StoreUnreadable(f"{self.path}: {error.strerror}.") from error
        if not present:
            raise StoreMissing(f"There is no ledger at {self.path}.")
        try:
            self._check_version(self._reader())
        except StoreUnreadable:
            wal = self.path.with_name(self.path.name + "-wal")
            if os.access(self.path.parent, os.W_OK) or (wal.exists() and wal.stat().st_size):
                raise
            # a stopped home on a read-only medium: no other process can write, and nothing waits in the WAL
            self._immutable = True
            self._local = threading.local()
            self._check_version(self._reader())

    def _check_version(self, connection: sqlite3.Connection) -> None:
        try:
            application = connection.execute("pragma application_id").fetchone()[0]
            version = connection.execute("pragma user_version").fetchone()[0]
            tables = connection.execute("select count(*) from sqlite_schema").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise self._trouble(error, writing=False) from error
        if not tables and not version and self._lock is not None:
            return
        if application != APPLICATION_ID:
            raise StoreUnreadable(f"{self.path} is an SQLite database, but not a Keyturn ledger.")
        if version != VERSION:
            raise StoreVersion(
                f"{self.path} has tables of version {version}; this program knows version {VERSION}."
            )

    def _connect(self, uri: str) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                uri,
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_MS / 1000,
                cached_statements=256,
            )
        except sqlite3.Error as error:
            raise self._trouble(error, writing=False) from error
        with self._guard:
            self._connections.append(connection)
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            mode = "mode=ro&immutable=1" if self._immutable else "mode=ro"
            connection = self._connect(f"file:{quote(str(self.path))}?{mode}")
            self._local.connection = connection
        return connection

    # Writing

    def write(self, batch: Batch) -> None:
        """Make *batch* durable or raise `StoreUnwritable` having changed nothing."""
        connection = self._writable()
        try:
            connection.execute("begin immediate")
            _insert(connection, "add_entry", [_entry_values(entry) for entry in batch.entries])
            connection.executemany(_SQL["put_tile"], ((*at, hashes) for at, hashes in batch.tiles.items()))
            if batch.blobs:
                connection.executemany(_SQL["add_blob"], batch.blobs.items())
            self._put_rows(connection, batch.rows)
            connection.execute(_SQL["put_checkpoint"], (batch.checkpoint,))
            connection.execute("commit")
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            self._roll_back(connection)
            raise self._trouble(error, writing=True) from error
        except BaseException:
            self._roll_back(connection)
            raise

    def replace_rows(self, rows: Iterable[Put]) -> None:
        """Drop all projection rows and write *rows*, in one transaction."""
        connection = self._writable()
        try:
            connection.execute("begin immediate")
            connection.execute(_SQL["delete_rows"])
            self._put_rows(connection, rows)
            connection.execute("commit")
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            self._roll_back(connection)
            raise self._trouble(error, writing=True) from error
        except BaseException:
            self._roll_back(connection)
            raise

    def erase(self, disclosures: Mapping[int, bytes], blobs: Sequence[str]) -> None:
        """See `Store.erase`."""
        connection = self._writable()
        try:
            connection.execute("begin immediate")
            connection.executemany(
                _SQL["put_disclosures"], ((data, index) for index, data in disclosures.items())
            )
            connection.executemany(_SQL["delete_blob"], ((digest,) for digest in blobs))
            connection.execute("commit")
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            self._roll_back(connection)
            raise self._trouble(error, writing=True) from error
        except BaseException:
            self._roll_back(connection)
            raise

    def scrub(self) -> None:
        """See `Store.scrub`. Replaced content stays in free pages: the file is written anew, and the write-ahead log emptied."""
        connection = self._writable()
        try:
            connection.execute("vacuum")
            busy = connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
        except sqlite3.Error as error:
            raise self._trouble(error, writing=True) from error
        if busy:
            raise StoreUnwritable(
                f"{self.path}-wal could not be emptied: something reads the log all the time."
            )

    def _put_rows(self, connection: sqlite3.Connection, rows: Iterable[Put]) -> None:
        encode = values.encode
        gone = []
        kept: list[tuple[Any, ...]] = []
        for put in rows:
            if put.body is None:
                gone.append((put.kind, put.key))
            else:
                kept.append((put.kind, put.key, put.state, put.at, put.data or encode(put.body)))
                if len(kept) == KEPT:
                    _insert(connection, "put_row", kept)
                    kept.clear()
        _insert(connection, "put_row", kept)
        if gone:
            connection.executemany(_SQL["delete_row"], gone)

    def _writable(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreUnwritable(f"{self.path} was opened for reading.")
        return self._writer

    @staticmethod
    def _roll_back(connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            try:
                connection.execute("rollback")
            except sqlite3.Error:  # SQLite has rolled back by itself (full disk, I/O error)
                return

    # Reading

    def _one(self, name: str, *values_: Any) -> Any:
        try:
            return self._reader().execute(_SQL[name], values_).fetchone()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise self._trouble(error, writing=False) from error

    def _all(self, name: str, *values_: Any) -> list[Any]:
        try:
            return self._reader().execute(_SQL[name], values_).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise self._trouble(error, writing=False) from error

    def head(self) -> str | None:
        """The newest checkpoint note."""
        found = self._one("head")
        return found[0] if found else None

    def entry(self, index: int) -> StoredEntry | None:
        """One entry."""
        found = self._one("entry", index)
        return StoredEntry(*found) if found else None

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[StoredEntry]:
        """Entries with start ≤ index < end, in order, streaming."""
        last = _LAST if end is None else end
        while start < last:
            page = self._all("entries", start, last, PAGE)
            for found in page:
                yield StoredEntry(*found)
            if len(page) < PAGE:
                return
            start = page[-1][0] + 1

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(index, leaf) of entries with start ≤ index < end, in order, streaming: without reading their disclosures."""
        last = _LAST if end is None else end
        while start < last:
            page = self._all("leaves", start, last, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            start = page[-1][0] + 1

    def once(self, keys: Sequence[str]) -> dict[str, int]:
        """Which of *keys* are in the log, with the entry's index."""
        return dict(self._all("once", values.encode(list(keys)).decode()))

    def tile(self, level: int, index: int) -> bytes | None:
        """The stored hashes of a tile, full or partial."""
        found = self._one("tile", level, index)
        return found[0] if found else None

    def blob(self, digest: str) -> bytes | None:
        """Content-addressed bytes."""
        found = self._one("blob", digest)
        return found[0] if found else None

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """All blobs as (digest, data), ordered by digest, streaming."""
        after = ""
        while page := self._all("blobs", after, 16):
            yield from page
            after = page[-1][0]

    def row(self, kind: str, key: str) -> dict[str, Any] | None:
        """One projection row's body."""
        found = self._one("row", kind, key)
        return values.decode(found[0]) if found else None

    def rows(
        self,
        kind: str,
        *,
        state: str | None = None,
        newest_first: bool = True,
        limit: int = 1000,
        before: tuple[int, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Bodies of rows of *kind*, ordered by (`at`, key); `before` continues after a page's last (`at`, key)."""
        name = "rows_newest" if newest_first else "rows_oldest"
        place = before or ((_LAST, _AFTER) if newest_first else (-_LAST, ""))
        chosen = (kind,) if state is None else (kind, state)
        found = self._all(name if state is None else f"{name}_state", *chosen, *place, limit)
        return [values.decode(body) for (body,) in found]

    def count(self, kind: str, *, state: str | None = None) -> int:
        """How many rows."""
        found = self._one("count", kind) if state is None else self._one("count_state", kind, state)
        return int(found[0])

    def dump_rows(self) -> Iterator[tuple[str, str, str, int, bytes]]:
        """All projection rows as (kind, key, state, at, canonical JSON body), ordered by (kind, key) as UTF-8."""
        place = ("", "")
        while page := self._all("dump_rows", *place, PAGE):
            yield from page
            place = page[-1][:2]

    def session_counts(self) -> dict[str, int]:
        """Last `n` of each session that is not closed."""
        return dict(self._all("session_counts"))

    def session_last(self, session: str) -> int:
        """The last `n` of one session, closed or not; 0 when it has no entries."""
        return self._one("session_last", session)[0] or 0

    def close(self) -> None:
        """Close all connections, then give the lock back."""
        with self._guard:
            connections, self._connections = self._connections, []
        self._writer = None
        self._local = threading.local()
        for connection in reversed(connections):
            connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _trouble(self, error: Exception, *, writing: bool) -> StoreUnwritable | StoreUnreadable:
        name = getattr(error, "sqlite_errorname", "") or type(error).__name__
        if name == "SQLITE_FULL":
            return StoreUnwritable(f"The disk of {self.path} is full.", sqlite=name)
        if name.startswith("SQLITE_READONLY") or (writing and name.startswith("SQLITE_CANTOPEN")):
            return StoreUnwritable(f"{self.path} or its folder is read-only.", sqlite=name)
        if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT") or name.startswith("SQLITE_CORRUPT_"):
            return StoreUnreadable(f"{self.path} is not an intact SQLite database: {error}.", sqlite=name)
        kind = StoreUnwritable if writing else StoreUnreadable
        return kind(f"{self.path}: {error}.", sqlite=name)


def _insert(connection: sqlite3.Connection, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run the named insert for all *rows*, many to a statement: 64, 32, 16 … so that few statements have to be prepared.

    Every statement gives up the interpreter, and with a busy server getting it back costs more than the insert.
    """
    at = 0
    while at < len(rows):
        size = min(GROUP, 1 << ((len(rows) - at).bit_length() - 1))
        connection.execute(_grouped(name, size), tuple(chain.from_iterable(rows[at : at + size])))
        at += size


@cache
def _grouped(name: str, size: int) -> str:
    """The named insert with *size* tuples of values instead of one."""
    head, values_, rest = re.split(r"(?<= values )(\([?, ]+\))", _SQL[name], maxsplit=1)
    return head + ", ".join([values_] * size) + rest


def _entry_values(entry: StoredEntry) -> tuple[Any, ...]:
    return (
        entry.index,
        entry.time,
        entry.type,
        entry.session,
        entry.n,
        entry.once,
        entry.leaf,
        entry.disclosures,
    )


def _lock(path: Path) -> int:
    """An exclusive lock on `ledger.lock` beside *path*; raises `StoreInUse` naming the pid that holds it."""
    place = path.parent / "ledger.lock"
    try:
        handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnwritable(f"{place}: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
        os.close(handle)
        raise StoreInUse(
            f"{path} is open for writing in process {pid or 'unknown'}.",
            pid=int(pid) if pid.isdigit() else None,
        ) from error
    except OSError as error:  # a full disk can't even take the pid
        os.close(handle)
        raise StoreUnwritable(f"{place}: {error.strerror}.") from error
    return handle
