"""The same rows in SQLite, as Keyturn and a pack's verifier have them, and in DuckDB, as an auditor may read a pack's tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
from world import World

from keyturn.evidence.program.rows import TABLES
from keyturn.evidence.program.sheets import table_head, table_lines
from keyturn.evidence.program.tables import Tables
from keyturn.evidence.testing import Test

Member = tuple[int, int, str, str]
Span = tuple[int, int, int]
"""Since, until, entries."""
KINDS = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}


def everything(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of an entry."""
    return dict(fields)


def sqlite(
    world: World,
    leave_out: int = 0,
    of: Callable[[str, Mapping[str, Any]], dict[str, Any]] = everything,
) -> Tables:
    """The rows of a world's entries, but for the first *leave_out*; *of* each the fields that are disclosed."""
    tables = Tables()
    entries = [
        ((h.index, h.time, h.type, h.session, h.n, len(h._sd)), of(h.type, fields))
        for h, fields in world.entries()
    ]
    tables.load(entries[leave_out:])
    tables.index()
    return tables


def csv(tables: Tables, table: str) -> bytes:
    """A table as a pack has it."""
    rows = tables.db.execute(f'SELECT * FROM "{table}" ORDER BY rowid').fetchall()
    text: str = table_head(table) + table_lines(table, rows)
    return text.encode()


def duck(tables: Tables) -> duckdb.DuckDBPyConnection:
    """The rows of *tables*, by way of their CSV."""
    found = duckdb.connect()
    found.execute("SET threads = 1")
    with tempfile.TemporaryDirectory() as folder:
        for table, columns in TABLES.items():
            named = ", ".join(f'"{name}" {KINDS[kind]}' for name, kind, _ in columns)
            found.execute(f'CREATE TABLE "{table}" ({named})')
            if not tables.count(table):
                continue
            path = Path(folder, f"{table}.csv")
            path.write_bytes(csv(tables, table))
            kinds = "{" + ", ".join(f"'{name}': '{KINDS[kind]}'" for name, kind, _ in columns) + "}"
            found.execute(
                f"INSERT INTO \"{table}\" SELECT * FROM read_csv('{path}', header = true, columns = {kinds}, delim = ',', "
                "quote = '\"', escape = '\"', allow_quoted_nulls = false)"
            )
    found.execute("CREATE TABLE period (since_ms BIGINT, until_ms BIGINT, size BIGINT)")
    found.execute("CREATE TABLE setting (name VARCHAR, value DOUBLE)")
    return found


def members(tables: Tables, test: Test, period: Span, settings: Mapping[str, float]) -> list[Member]:
    """Every row of *test*, from SQLite."""
    tables._set(period, test.values(settings))
    return tables.db.execute(test.text).fetchall()


def members_in_duck(
    found: duckdb.DuckDBPyConnection, test: Test, period: Span, settings: Mapping[str, float]
) -> list[Any]:
    """Every row of *test*, from DuckDB."""
    found.execute("DELETE FROM period")
    found.execute("DELETE FROM setting")
    found.execute("INSERT INTO period VALUES (?, ?, ?)", period)
    for name, value in test.values(settings).items():
        found.execute("INSERT INTO setting VALUES (?, ?)", [name, value])
    return found.execute(test.text).fetchall()
