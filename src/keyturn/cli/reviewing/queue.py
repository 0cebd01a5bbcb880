"""The queue as a reviewer walks through it. Pure: rows in, rows out.

Rules kept here:

- Most dangerous first: tier, then time left, then id. Never by arrival.
- What is selected stays selected when rows come and go; only its own end moves the selection on.
- A row leaves only because the server says that it no longer waits: nothing here believes a decision before its entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

TIERS = ("critical", "high", "medium", "low")
UNKNOWN = "unknown"

Row = dict[str, Any]


class Queue(Struct, frozen=True):
    """`rows` wait, in order of review; `selected` is the id of one of them, empty when there is none."""

    rows: tuple[Row, ...] = ()
    selected: str = ""

    @property
    def place(self) -> int:
        """The index of the selected row, -1 without one."""
        return next((i for i, row in enumerate(self.rows) if row["id"] == self.selected), -1)

    @property
    def current(self) -> Row | None:
        """The selected row."""
        return self.rows[self.place] if self.place >= 0 else None

    @property
    def counts(self) -> dict[str, int]:
        """How many wait, per tier that any of them has, most dangerous first."""
        found = [tier(row) for row in self.rows]
        return {name: found.count(name) for name in (*TIERS, UNKNOWN) if name in found}


def tier(row: Row) -> str:
    """The row's risk tier, `unknown` where the server gave none."""
    return str((row.get("risk") or {}).get("tier") or UNKNOWN)


def refreshed(queue: Queue, rows: Iterable[Row]) -> Queue:
    """*queue* with what waits now. A selection that ended goes to the row that took its place."""
    waiting = tuple(sorted((row for row in rows if row["state"] == "waiting"), key=_order))
    ids = [row["id"] for row in waiting]
    if not ids:
        return Queue()
    if queue.selected in ids:
        return Queue(waiting, queue.selected)
    after = [row["id"] for row in queue.rows[queue.place + 1 :] if row["id"] in ids] if queue.selected else []
    return Queue(waiting, after[0] if after else ids[min(max(queue.place, 0), len(ids) - 1)])


def moved(queue: Queue, step: int) -> Queue:
    """*queue* with the selection *step* rows further, stopping at the ends."""
    if not queue.rows:
        return queue
    at = min(max(queue.place + step, 0), len(queue.rows) - 1)
    return replace(queue, selected=queue.rows[at]["id"])


def chosen(queue: Queue, request: str) -> Queue:
    """*queue* with that request selected, if it waits."""
    return replace(queue, selected=request) if any(row["id"] == request for row in queue.rows) else queue


def _order(row: Row) -> tuple[int, int, str]:
    name = tier(row)
    # What has no tier was not rated: it stands before everything that was rated harmless.
    rank = TIERS.index(name) if name in TIERS else TIERS.index("medium")
    return rank, row["expires"], row["id"]
