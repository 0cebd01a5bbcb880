"""Logs to test with: small ones built through the real ledger, on real SQLite files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.ledger import Ledger
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.store import open_store

ORIGIN = "ledger.example/test"


def fold(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A projection with every kind of dependence: on fields, on earlier rows, on removal."""
    yield Put(
        "entry", f"{entry.index:08d}", {"type": entry.type, "fields": entry.fields}, entry.type, entry.time
    )
    if entry.session is not None:
        before = rows.row("session", entry.session) or {"entries": 0}
        if entry.type == "session.closed":
            yield Put("session", entry.session, None)
        else:
            yield Put(
                "session", entry.session, {"entries": before["entries"] + 1, "n": entry.n}, "open", entry.time
            )
    total = rows.row("total", "all") or {"count": 0}
    yield Put("total", "all", {"count": total["count"] + 1})


class Home:
    """A folder with a ledger, its key, and a clock that stands where it is put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "ledger.db"
        self.key = Ed25519PrivateKey.generate()
        self.now = 1_763_671_234.0
        self.opened: list[Ledger] = []

    def open(self) -> Ledger:
        """The ledger, open for writing."""
        ledger = Ledger.open(open_store(self.path), self.key, ORIGIN, fold, lambda: self.now)
        self.opened.append(ledger)
        return ledger

    def close(self) -> None:
        """Close whatever is open."""
        for ledger in self.opened:
            ledger.close()


def draft(i: int, session: str | None = None, **more: object) -> Draft:
    """A probe result with a few fields."""
    return Draft(
        "probe.result",
        {"i": i, "text": f"probe ünicode {i}", "list": [i, None, {"a": True}], **more},
        session,
    )


def grow(ledger: Ledger, count: int, *, per_commit: int = 1) -> None:
    """Append *count* entries in three sessions, *per_commit* at a time."""
    for start in range(0, count, per_commit):
        ledger.append_sync([draft(i, f"s{i % 3}") for i in range(start, min(count, start + per_commit))])
