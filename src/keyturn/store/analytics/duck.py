"""DuckDB, held to its limits: a connection that takes a bounded part of the machine and reads no file it was not given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from keyturn.store.analytics.tables import TABLES, types

MEMORY = "500MB"
THREADS = 2


@contextmanager
def connection(
    folder: Path, *, memory: str = MEMORY, threads: int = THREADS
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills into *folder*, fetches nothing from anywhere and loads no extension."""
    made = duckdb.connect(
        config={
            "memory_limit": memory,
            "threads": str(threads),
            "temp_directory": str(folder / ".spilled"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        }
    )
    try:
        made.execute("set enable_progress_bar = false")
        yield made
    finally:
        made.close()


def write(folder: Path) -> dict[str, int]:
    """Turn every `TABLE.jsonl` in *folder* into `TABLE.parquet`, in order, and remove it; gives the rows of each."""
    rows = {}
    with connection(folder, threads=1) as made:
        for table in TABLES:
            source, target = folder / f"{table}.jsonl", folder / f"{table}.parquet"
            names = ", ".join(f"'{name}': '{kind}'" for name, kind in types(table).items())
            lines = f"read_json({quoted(source)}, format = 'newline_delimited', columns = {{{names}}})"
            copied = made.execute(
                f"copy (select * from {lines}) to {quoted(target)} (format parquet, compression zstd)"
            )
            found = copied.fetchone()
            rows[table] = int(found[0]) if found else 0
            source.unlink()
    return rows


def unlike(one: Path, other: Path) -> str:
    """The first table whose rows in *one* and *other* differ; empty when there is none."""
    with connection(one) as made:
        for table in TABLES:
            both = [
                f"select * from read_parquet({quoted(folder / f'{table}.parquet')})"
                for folder in (one, other)
            ]
            sides = f"({both[0]} except all {both[1]}) union all ({both[1]} except all {both[0]})"
            found = made.execute(f"select count(*) from ({sides})").fetchone()
            if found is None or found[0]:
                return table
    return ""


def writer() -> str:
    """Which program wrote the files."""
    return f"duckdb {duckdb.__version__}"


def quoted(path: Path) -> str:
    """A file's name in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def files(paths: list[Path]) -> str:
    """A list of files in SQL."""
    return "[" + ", ".join(quoted(path) for path in paths) + "]"


__all__ = ["MEMORY", "THREADS", "connection", "files", "quoted", "write", "writer"]
