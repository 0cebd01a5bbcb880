"""The rows of `source.reconciled`: what is covered, how well, and until when; and each reconciliation by its id.

Row kinds: `coverage` (key source and target; `at` is the watermark), `reconciliation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

HISTORY = 120
"""Points that a coverage row keeps of its past, for the chart."""


def coverage_key(source: str, target: str) -> str:
    """Under which a target is found again."""
    return f"{source}\x1f{target}"


def reconciled(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The rows that a reconciliation changes. One of an earlier time (`--since`) leaves the watermark where it is."""
    f = entry.fields
    key = coverage_key(f["source"], f["target"])
    known: dict[str, Any] = rows.row("coverage", key) or {"history": [], "watermark": 0, "used": None}
    counts = f["counts"]
    point = [entry.time, f["until"], counts["events"], counts["accounted"], counts["bypasses"]]
    newer = f["until"] >= known["watermark"]
    body = {
        "source": f["source"], "target": f["target"], "last": f["id"], "time": entry.time, "entry": entry.index,
        "watermark": max(f["until"], known["watermark"]), "used": f["used"] if newer else known["used"],
        "counts": counts, "skew": f["skew"], "tagging": f["tagging"],
        "history": [*known["history"], point][-HISTORY:],
    }  # fmt: skip
    yield Put("coverage", key, body, f["source"], body["watermark"])
    said = {name: value for name, value in f.items() if name != "seen"}  # the events are for segments
    yield Put(
        "reconciliation", f["id"], {**said, "time": entry.time, "entry": entry.index}, f["source"], entry.time
    )


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {"source.reconciled": reconciled}
