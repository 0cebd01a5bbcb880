"""Rows as one Parquet file, for other people's tools."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from keyturn.store.analytics import duck

COLUMNS = {
    "origin": "VARCHAR",
    "index": "BIGINT",
    "time_ms": "BIGINT",
    "type": "VARCHAR",
    "session": "VARCHAR",
    "n": "BIGINT",
    "leaf": "VARCHAR",
    "ocsf": "VARCHAR",
}


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """*rows* with `COLUMNS` as *path*, which appears whole, on disk, readable by its owner alone. Raises `OSError`."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
        lines, made = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        lines.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        names = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
        with duck.connection(Path(folder), threads=1) as database:
            database.execute(
                f"copy (select * from read_json({duck.quoted(lines)}, format = 'newline_delimited', columns = {{{names}}}, "
                f"maximum_object_size = 67108864)) to {duck.quoted(made)} (format parquet, compression zstd)"
            )
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.chmod(0o600)
        made.replace(path)
