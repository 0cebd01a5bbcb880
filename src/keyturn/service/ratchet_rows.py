"""How steps away from what an agent changed at first become its ladder (promise 7). Pure, like the rest of `projections`.

Row kind: `ladder`, one an agent and person (`drift.ratchet.Ladder`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keyturn.drift import ratchet
from keyturn.drift.surface import Reach
from keyturn.ledger.entries import Entry, Put, Rows

ROW = "ladder"
"""The kind of a ladder's row."""
Body = dict[str, Any]


def reach_in(entry: Entry) -> Body | None:
    """What an `action.decided` says of it."""
    found = entry.fields.get("reach")
    return found if isinstance(found, dict) and "key" in found else None


def decided(entry: Entry, rows: Rows) -> Iterable[Put]:
    """An action that is let go at once."""
    if entry.fields["verdict"] == "run":
        yield from _climbed(reach_in(entry), entry, rows)


def permitted(entry: Entry, action: Body | None, rows: Rows) -> Iterable[Put]:
    """One that people let go."""
    if action is not None:
        yield from _climbed(action.get("reach"), entry, rows)


def _climbed(found: Body | None, entry: Entry, rows: Rows) -> Iterable[Put]:
    if found is None:
        return
    before = ratchet.of_row(rows.row(ROW, found["key"]))
    after = ratchet.climbed(before, Reach(found["rank"], found["path"]), entry.index, entry.time)
    if after is not None:
        yield Put(ROW, found["key"], ratchet.as_row(after), "", entry.time)
