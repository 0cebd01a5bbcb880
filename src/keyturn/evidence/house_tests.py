"""Whether a house's own tests can be run at all, and read no more than they say: looked at before two people decide on them.

Each is run once over empty tables, by the very code that runs it later and in `verify.py`: what only reads these tables, calls nothing
but what gives the same each time, and gives the four columns, is a test. Then once more by DuckDB, with which anybody does it again by
hand over a pack. All together get little time: over nothing, a test takes none.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from threading import Timer
from typing import Any

from keyturn.evidence.program.rows import NEEDED, SOURCES, TABLES
from keyturn.evidence.program.sheets import PERIOD, SETTING
from keyturn.evidence.program.tables import BadTest, Tables
from keyturn.evidence.testing import Test

SECONDS = 10.0
"""How long all tests together may take over nothing."""

_DUCK = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}


def problems_of(tests: Iterable[Test]) -> Iterator[tuple[Test, str]]:
    """What is wrong with *tests*, each with it in words."""
    end = time.monotonic() + SECONDS
    with closing(Tables()) as tables:
        for test in tests:
            for words in _problems(test, tables, end - time.monotonic()):
                yield test, words


def unportable(tests: Iterable[Test]) -> Iterator[tuple[Test, str]]:
    """Those that DuckDB doesn't take, each with why. Only for tests without another problem: what they may read was looked at before."""
    import duckdb  # a twentieth of a second, and memory, that only who publishes tests pays

    with closing(
        duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
    ) as db:
        for table, columns in (*TABLES.items(), ("period", PERIOD), ("setting", SETTING)):
            named = ", ".join(f'"{name}" {_DUCK[kind]}' for name, kind, _ in columns)
            db.execute(f'CREATE TABLE "{table}" ({named})')
        db.execute("INSERT INTO period VALUES (0, 1, 0)")
        timer = Timer(SECONDS, db.interrupt)
        timer.start()
        try:
            for test in tests:
                db.execute("DELETE FROM setting")
                for one in test.values().items():
                    db.execute("INSERT INTO setting VALUES (?, ?)", [*one])
                try:
                    db.execute(test.text).fetchall()
                except duckdb.Error as error:
                    yield test, f"DuckDB can't run it: {str(error).strip().splitlines()[0]}"
        finally:
            timer.cancel()


def _problems(test: Test, tables: Tables, seconds: float) -> Iterator[str]:
    for table in test.rests_on:
        if table not in TABLES:
            yield f"it says that it rests on {table[:80]!r}, and there is no such table"
    if seconds <= 0:
        yield f"it was not looked at: those before it took longer than {SECONDS:g} seconds over nothing"
        return
    try:
        tables.run(test.text, test.rests_on, (0, 1, 0), test.values(), seconds=seconds)
        read = _read(tables.db, test.text)
    except BadTest as error:
        yield f"it can't be run: {error}"
        return
    told = _kinds(test.rests_on)
    for table in sorted(read - {*test.rests_on}):
        if not _kinds((table,)) <= told:
            yield f"it reads {table} and doesn't say that it rests on it: what is withheld there would count as fine"


def _kinds(tables: Iterable[str]) -> set[str]:
    """The types of entries that make rows of *tables* and can be blind."""
    return {kind for table in tables for kind in SOURCES.get(table, ()) if kind in NEEDED}


def _read(db: sqlite3.Connection, text: str) -> set[str]:
    """The evidence tables that a test reads."""
    found: set[str] = set()

    def see(action: int, table: Any, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ and table in TABLES:
            found.add(table)
        return sqlite3.SQLITE_OK

    db.set_authorizer(see)
    try:
        db.execute("EXPLAIN " + text.rstrip().rstrip(";"))
    finally:
        db.set_authorizer(None)
    return found


__all__ = ["problems_of", "unportable"]
