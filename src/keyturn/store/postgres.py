"""The store on PostgreSQL. One connection writes and holds an advisory lock, so that a log has one writer;
every thread that reads has a connection of its own.

A lost connection fails the batch that was under way; the next write opens a new one and takes the lock again. Whether
the lost batch was committed is then read from the head, by the ledger. A second writer that slipped in between
is caught by the primary key of `entry`: two batches can't hold the same index.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import psycopg
from psycopg import Connection

from keyturn.ledger import values
from keyturn.ledger.entries import Put
from keyturn.ledger.storage import Batch, StoredEntry
from keyturn.store.errors import StoreInUse, StoreMissing, StoreUnreadable, StoreUnwritable, StoreVersion
from keyturn.store.statements import statements

VERSION = 1
PAGE = 512
CONNECT_SECONDS = 10
_LAST = sys.maxsize
_AFTER = "\U0010ffff"
_SQL = statements("postgres")


class PostgresStore:
    """Keeps `keyturn.ledger.storage.Store`. Made by `open_store`."""

    def __init__(self, url: str, *, writer: bool) -> None:
        self._url = url
        self._local = threading.local()
        self._connections: list[Connection[Any]] = []
        self._guard = threading.Lock()
        self._is_writer = writer
        self._writer: Connection[Any] | None = None
        self._closed = False
        try:
            if writer:
                self._writer = self._open_writer()
            else:
                self._check_version(self._reader())
        except BaseException:
            self.close()
            raise

    # Opening

    def _connect(self) -> Connection[Any]:
        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                fallback_application_name="keyturn",
                options=None,
            )
        except (psycopg.Error, UnicodeError) as error:
            raise StoreUnreadable(f"PostgreSQL can't be reached: {_words(error)}") from error
        with self._guard:
            self._connections.append(connection)
        return connection

    def _open_writer(self) -> Connection[Any]:
        connection = self._connect()
        try:
            connection.execute("set synchronous_commit = on")
            locked = connection.execute(_SQL["try_lock"]).fetchone()
            if not (locked and locked[0]):
                holder = connection.execute(_SQL["lock_holder"]).fetchone()
                pid = holder[0] if holder else None
                raise StoreInUse(
                    f"The database is open for writing by another process (PostgreSQL backend {pid or 'unknown'}).",
                    pid=pid,
                )
            if self._has_tables(connection):
                self._check_version(connection)
            else:
                with connection.transaction():
                    for statement in _SQL["schema"].split(";\n"):
                        connection.execute(statement)
                    connection.execute(_SQL["set_version"], (VERSION,))
        except psycopg.Error as error:
            self._drop(connection)
            raise self._trouble(error, writing=True) from error
        except BaseException:
            self._drop(connection)
            raise
        return connection

    @staticmethod
    def _has_tables(connection: Connection[Any]) -> bool:
        versioned, entries = connection.execute(_SQL["has_tables"]).fetchone() or (False, False)
        if entries and not versioned:
            raise StoreUnreadable("The database has a table `entry`, but it is not a Keyturn ledger's.")
        return bool(versioned)

    def _check_version(self, connection: Connection[Any]) -> None:
        try:
            if not self._has_tables(connection):
                raise StoreMissing("The database holds no ledger.")
            found = connection.execute(_SQL["version"]).fetchone()
        except psycopg.Error as error:
            raise self._trouble(error, writing=False) from error
        if not found or found[0] != VERSION:
            version = found[0] if found else "none"
            raise StoreVersion(
                f"The database has tables of version {version}; this program knows version {VERSION}."
            )

    def _reader(self) -> Connection[Any]:
        connection: Connection[Any] | None = getattr(self._local, "connection", None)
        if connection is not None and not connection.closed:
            return connection
        if self._closed:
            raise StoreUnreadable("The store is closed.")
        connection = self._connect()
        connection.execute("set default_transaction_read_only = on")
        self._local.connection = connection
        return connection

    # Writing

    def write(self, batch: Batch) -> None:
        """Make *batch* durable or raise `StoreUnwritable` having changed nothing."""
        entries = batch.entries
        columns = (
            [entry.index for entry in entries],
            [entry.time for entry in entries],
            [entry.type for entry in entries],
            [entry.session for entry in entries],
            [entry.n for entry in entries],
            [entry.once for entry in entries],
            [entry.leaf for entry in entries],
            [entry.disclosures for entry in entries],
        )
        connection = self._writable()
        try:
            with connection.pipeline(), connection.transaction():
                connection.execute(_SQL["add_entries"], columns)
                if batch.tiles:
                    tiles = list(batch.tiles.items())
                    connection.execute(
                        _SQL["put_tiles"],
                        (
                            [at[0] for at, _ in tiles],
                            [at[1] for at, _ in tiles],
                            [hashes for _, hashes in tiles],
                        ),
                    )
                if batch.blobs:
                    connection.execute(_SQL["add_blobs"], (list(batch.blobs), list(batch.blobs.values())))
                self._put_rows(connection, batch.rows)
                connection.execute(_SQL["put_checkpoint"], (batch.checkpoint,))
        except (psycopg.Error, UnicodeError) as error:
            raise self._write_failed(connection, error) from error

    def replace_rows(self, rows: Iterable[Put]) -> None:
        """Drop all projection rows and write *rows*, in one transaction."""
        connection = self._writable()
        try:
            with connection.transaction():
                connection.execute(_SQL["delete_rows"])
                remaining = iter(rows)
                while page := list(islice(remaining, PAGE)):
                    self._put_rows(connection, page)
        except (psycopg.Error, UnicodeError) as error:
            raise self._write_failed(connection, error) from error

    def erase(self, disclosures: Mapping[int, bytes], blobs: Sequence[str]) -> None:
        """See `Store.erase`."""
        connection = self._writable()
        try:
            with connection.transaction():
                connection.execute(_SQL["put_disclosures"], (list(disclosures), list(disclosures.values())))
                connection.execute(_SQL["delete_blobs"], (list(blobs),))
        except (psycopg.Error, UnicodeError) as error:
            raise self._write_failed(connection, error) from error

    def scrub(self) -> None:
        """See `Store.scrub`. Tables are written anew (VACUUM FULL), since a row that was replaced stays in its page until then."""
        connection = self._writable()
        try:
            for table in ("entry", "blob", "row"):
                connection.execute(_SQL[f"scrub_{table}"])
        except psycopg.Error as error:
            raise self._write_failed(connection, error) from error

    @staticmethod
    def _put_rows(connection: Connection[Any], rows: Sequence[Put]) -> None:
        kept = [put for put in rows if put.body is not None]
        if kept:
            connection.execute(
                _SQL["put_rows"],
                (
                    [put.kind for put in kept],
                    [put.key for put in kept],
                    [put.state for put in kept],
                    [put.at for put in kept],
                    [put.data or values.encode(put.body) for put in kept],
                ),
            )
        gone = [put for put in rows if put.body is None]
        if gone:
            connection.execute(_SQL["remove_rows"], ([put.kind for put in gone], [put.key for put in gone]))

    def _writable(self) -> Connection[Any]:
        if not self._is_writer:
            raise StoreUnwritable("The store was opened for reading.")
        if self._closed:
            raise StoreUnwritable("The store is closed.")
        if self._writer is None or self._writer.closed:
            try:
                self._writer = self._open_writer()
            except StoreUnreadable as error:
                raise StoreUnwritable(error.happened) from error
        return self._writer

    def _write_failed(
        self, connection: Connection[Any], error: Exception
    ) -> StoreUnwritable | StoreUnreadable:
        if connection.broken or connection.closed:
            self._drop(connection)
            self._writer = None
        return self._trouble(error, writing=True)

    # Reading

    def _fetch(self, name: str, *values_: Any) -> list[Any]:
        """All rows of a statement; a connection that was lost while idle is opened anew, once."""
        for attempt in (1, 2):
            connection = self._reader()
            try:
                return connection.execute(_SQL[name], values_).fetchall()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                lost = connection.closed or connection.broken
                if lost:
                    self._drop(connection)
                if not lost or attempt == 2:
                    raise self._trouble(error, writing=False) from error
            except (psycopg.Error, UnicodeError) as error:
                raise self._trouble(error, writing=False) from error
        raise AssertionError("unreachable")

    def _one(self, name: str, *values_: Any) -> Any:
        found = self._fetch(name, *values_)
        return found[0] if found else None

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
            page = self._fetch("entries", start, last, PAGE)
            for found in page:
                yield StoredEntry(*found)
            if len(page) < PAGE:
                return
            start = page[-1][0] + 1

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(index, leaf) of entries with start ≤ index < end, in order, streaming: without reading their disclosures."""
        last = _LAST if end is None else end
        while start < last:
            page = self._fetch("leaves", start, last, PAGE)
            yield from page
            if len(page) < PAGE:
                return
            start = page[-1][0] + 1

    def once(self, keys: Sequence[str]) -> dict[str, int]:
        """Which of *keys* are in the log, with the entry's index."""
        return dict(self._fetch("once", list(keys)))

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
        while page := self._fetch("blobs", after, 16):
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
        found = self._fetch(name if state is None else f"{name}_state", *chosen, *place, limit)
        return [values.decode(body) for (body,) in found]

    def count(self, kind: str, *, state: str | None = None) -> int:
        """How many rows."""
        found = self._one("count", kind) if state is None else self._one("count_state", kind, state)
        return int(found[0])

    def dump_rows(self) -> Iterator[tuple[str, str, str, int, bytes]]:
        """All projection rows as (kind, key, state, at, canonical JSON body), ordered by (kind, key) as UTF-8."""
        place = ("", "")
        while page := self._fetch("dump_rows", *place, PAGE):
            yield from page
            place = page[-1][:2]

    def session_counts(self) -> dict[str, int]:
        """Last `n` of each session that is not closed."""
        return dict(self._fetch("session_counts"))

    def session_last(self, session: str) -> int:
        """The last `n` of one session, closed or not; 0 when it has no entries."""
        return self._one("session_last", session)[0] or 0

    def close(self) -> None:
        """Close all connections; the lock goes with the writer's."""
        self._closed = True
        with self._guard:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()
        self._writer = None

    def _drop(self, connection: Connection[Any]) -> None:
        connection.close()
        with self._guard:
            if connection in self._connections:
                self._connections.remove(connection)

    @staticmethod
    def _trouble(error: Exception, *, writing: bool) -> StoreUnwritable | StoreUnreadable:
        state = getattr(error, "sqlstate", None)
        kind = StoreUnwritable if writing else StoreUnreadable
        return kind(f"PostgreSQL: {_words(error)}", sqlstate=state)


def _words(error: Exception) -> str:
    """The server's own first line, without the connection's details (a URL may hold a password)."""
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".") + "."
