"""The queue: what needs most care first, then what ends first; and which of it differs in words only. Rows, and reading them.

A proposed change (a policy, a key, the roster) has no risk tier; it stands between high and medium.
"""

from __future__ import annotations

from typing import Any

from keyturn.ledger import Ledger
from keyturn.ledger.entries import Put, Rows

Row = dict[str, Any]

RANKS = ("critical", "high", "change", "medium", "low")
"""In the queue's order."""
REMEMBERED = 500
"""Waiting requests of one kind that are listed as alike."""


def rank_of(row: Row) -> str:
    """The rank of a request's row. A tier that this version does not know stands first."""
    tier = (row.get("risk") or {}).get("tier", "change")
    return tier if tier in RANKS else "critical"


def joined(row: Row, rows: Rows) -> list[Put]:
    """A request was opened: it stands in the queue, and among those that differ from it in words only."""
    body = {"request": row["id"], "expires": row["expires"]}
    return [
        Put("queue", row["id"], body, rank_of(row), row["expires"]),
        *_alike(row, [*_ids(row, rows), row["id"]][-REMEMBERED:]),
    ]


def left(row: Row, rows: Rows) -> list[Put]:
    """It ended."""
    return [
        Put("queue", row["id"], None),
        *_alike(row, [one for one in _ids(row, rows) if one != row["id"]]),
    ]


def _ids(row: Row, rows: Rows) -> list[str]:
    known = rows.row("alike", row["alike"]) if row.get("alike") else None
    return list((known or {"requests": []})["requests"])


def _alike(row: Row, ids: list[str]) -> list[Put]:
    if not row.get("alike"):
        return []
    return [Put("alike", row["alike"], {"requests": ids} if ids else None)]


def waiting(ledger: Ledger, limit: int, last: Row | None, only: str | None = None) -> list[Row]:
    """Rows of waiting requests in the queue's order, after *last*; of rank *only*, if given."""
    ranks = [only] if only else list(RANKS)
    place = None
    if last is not None and rank_of(last) in ranks:
        ranks = ranks[ranks.index(rank_of(last)) :]
        place = (last["expires"], last["id"])
    found: list[Row] = []
    for rank in ranks:
        if len(found) < limit:
            room = limit - len(found)
            found += ledger.rows("queue", state=rank, newest_first=False, limit=room, before=place)
        place = None
    return [row for one in found if (row := ledger.row("request", one["request"])) is not None]


def counts(ledger: Ledger) -> dict[str, int]:
    """How many wait, by rank."""
    return {rank: ledger.count("queue", state=rank) for rank in RANKS}


def alike(ledger: Ledger, row: Row) -> list[str]:
    """Ids of the waiting requests that differ from this one in words only, itself included, oldest first."""
    return _ids(row, ledger)


def alike_waiting(ledger: Ledger, row: Row) -> int:
    """How many those are; 0 when this one is decided alone."""
    return len(alike(ledger, row)) if row["state"] == "waiting" else 0


__all__ = ["RANKS", "alike", "alike_waiting", "counts", "joined", "left", "rank_of", "waiting"]
