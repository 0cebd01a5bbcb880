"""How what is let go becomes counts (promise 7). Pure, like the rest of `projections`.

Row kinds: `limit`, one for each counter; its `cells` are the window (`drift.windows`), or `values` for different ones. Which counters
an action adds to stands in its own entry, so that counts can be folded without knowing any policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keyturn.drift import windows
from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]
LAST = 20
"""Newest entries that a counter of different ones remembers."""


def counts_in(entry: Entry) -> list[Body]:
    """The counts that an `action.decided` names."""
    limits = entry.fields.get("limits")
    return limits.get("counts", []) if isinstance(limits, dict) else []


def decided(entry: Entry, rows: Rows) -> Iterable[Put]:
    """An action that is let go at once counts."""
    if entry.fields["verdict"] == "run":
        yield from _count(counts_in(entry), entry, rows)


def permitted(entry: Entry, action: Body | None, rows: Rows) -> Iterable[Put]:
    """One that people let go counts when its permit leaves."""
    if action is not None:
        yield from _count(action.get("counts", []), entry, rows)


def _count(counts: Iterable[Body], entry: Entry, rows: Rows) -> Iterable[Put]:
    for count in counts:
        row = rows.row("limit", count["id"]) or {}
        yield Put("limit", count["id"], _counted(row, count, entry), count["limit"], entry.time)


def _counted(row: Body, count: Body, entry: Entry) -> Body:
    window = count["window"]
    body = {"limit": count["limit"], "key": count["key"], "window": window, "of": count["of"]}
    if count["of"] in ("target", "program"):
        values = row.get("values", [])
        for value in count["values"]:
            values = windows.noted(values, value, entry.time, window)
        return {**body, "values": values, "last": [*row.get("last", []), entry.index][-LAST:]}
    cells = windows.added(row.get("cells", []), entry.time, window, count["amount"], 1, entry.index)
    return {**body, "cells": cells}


def received(entry: Entry, action: Body, rows: Rows) -> Iterable[Put]:
    """A receipt says how much it was: that takes the place of what was reserved. Without a word on it the reserve stays."""
    for count in action.get("counts", []):
        amount = entry.fields.get(_REPORTED.get(count["of"], ""))
        row = rows.row("limit", count["id"])
        if row is None or not isinstance(amount, int):
            continue
        # It counts from the receipt on: what came then leaves the window last.
        let = int(action["counted"] if "counted" in action else action["time"])
        cells = windows.added(row["cells"], let, count["window"], -count["amount"], 0)
        cells = windows.added(cells, entry.time, count["window"], amount, 0, entry.index)
        yield Put("limit", count["id"], {**row, "cells": cells}, count["limit"], entry.time)


_REPORTED = {"rows": "rows", "bytes": "output_bytes"}
"""The field of a receipt that says how much of what it was."""
