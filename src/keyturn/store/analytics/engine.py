"""Answers queries over segments and tail with DuckDB, in bounded memory, from exactly the files that were checked."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from msgspec import Struct

from keyturn.store.analytics import duck
from keyturn.store.analytics.errors import QueryMalformed, QueryTooLarge, SegmentsUnusable
from keyturn.store.analytics.queries import Value, query
from keyturn.store.analytics.segments import Progress, Refreshed, Segments
from keyturn.store.analytics.tables import TABLES

FOREVER = 253_402_300_799
"""The end of the year 9999, in seconds."""

DEFAULTS: dict[str, dict[str, Value]] = {"volume": {"least_actions": 200, "least_rows": 100_000}}
"""What a query takes where nothing else is said."""


class Answer(Struct, frozen=True):
    """A query's answer. `digest` is that of the query's text; `size` how many entries the log had."""

    query: str
    digest: str
    values: dict[str, Value]
    size: int
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    seconds: float

    def records(self) -> list[dict[str, Any]]:
        """Rows by their columns' names."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Analytics:
    """A database over Parquet files, one view a table. Made by `over` or `of_segments`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, size: int) -> None:
        self._connection, self.size = connection, size

    def ask(self, name: str, **values: Value) -> Answer:
        """Answer the query *name*. Raises `QueryUnknown`, `QueryMalformed`, `QueryTooLarge`."""
        asked = query(name)
        given = {"since": 0, "until": FOREVER, **DEFAULTS.get(name, {}), **values}
        unknown = sorted(values.keys() - {*asked.takes, "since", "until"})
        if unknown:
            raise QueryMalformed(f"The query {name} takes no {', '.join(unknown)}.")
        started = time.perf_counter()
        columns, rows = self._fetch(asked.sql(given))
        return Answer(name, asked.digest, given, self.size, columns, rows, time.perf_counter() - started)

    def select(self, sql: str) -> Answer:
        """Answer a statement of the store's own. Raises `QueryMalformed`, `QueryTooLarge`."""
        started = time.perf_counter()
        columns, rows = self._fetch(sql)
        return Answer("", "", {}, self.size, columns, rows, time.perf_counter() - started)

    def _fetch(self, sql: str) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
        try:
            found = self._connection.execute(sql)
            return tuple(column[0] for column in found.description or ()), tuple(found.fetchall())
        except duckdb.OutOfMemoryException as error:
            raise QueryTooLarge("The query needs more memory than it may take.") from error
        except duckdb.IOException as error:
            raise SegmentsUnusable(f"A segment can't be read: {str(error).splitlines()[0]}.") from error
        except duckdb.Error as error:
            raise QueryMalformed(f"The query could not be run: {str(error).splitlines()[0]}.") from error


@contextmanager
def over(
    folders: Sequence[Path], size: int, work: Path, *, memory: str = duck.MEMORY, threads: int = duck.THREADS
) -> Iterator[Analytics]:
    """A database over the Parquet files of *folders*; it may spill into *work*, and reads no other file."""
    with duck.connection(work, memory=memory, threads=threads) as connection:
        for table in TABLES:
            paths = duck.files([folder / f"{table}.parquet" for folder in folders])
            connection.execute(f"create view {table} as select * from read_parquet({paths})")
        allowed = duck.files([*folders, work])
        connection.execute(f"set allowed_directories = {allowed}")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield Analytics(connection, size)


@contextmanager
def of_segments(
    segments: Segments,
    *,
    memory: str = duck.MEMORY,
    threads: int = duck.THREADS,
    progress: Progress = lambda done, of: None,
) -> Iterator[tuple[Analytics, Refreshed]]:
    """A database over the whole log: *segments*, refreshed, and the tail. Raises `SegmentsBusy`, `SegmentsUnusable`."""
    try:
        segments.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tail = Path(tempfile.mkdtemp(prefix=".tail-", dir=segments.folder))
    except OSError as error:
        raise SegmentsUnusable(f"{segments.folder}: {error.strerror}.") from error
    try:
        done = segments.refresh(tail, progress)
        folders = [*(segments.folder / name for name in segments.names()), tail]
        with over(folders, done.size, tail, memory=memory, threads=threads) as database:
            yield database, done
    finally:
        shutil.rmtree(tail, ignore_errors=True)


__all__ = ["FOREVER", "Analytics", "Answer", "of_segments", "over"]
