"""Rows of the powers that agents use. Pure, part of the fold.

`powers` (by agent): the original ones, those that one session alone used, and the steps away (`keyturn.drift.powers.Powers`).
"""

from __future__ import annotations

from collections.abc import Iterable

from keyturn.drift import powers
from keyturn.ledger.entries import Entry, Put, Rows

ROW = "powers"


def measured(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A session was measured: part of the fold."""
    f = entry.fields
    if "powers" in f:
        before = powers.of_row(rows.row(ROW, f["agent"]))
        made = powers.after(before, f["powers"], f["session"], entry.index, f["ended"])
        yield Put(ROW, f["agent"], powers.as_row(made), "", f["ended"])


def pinned(entry: Entry, rows: Rows) -> Iterable[Put]:
    """People pinned a baseline: part of the fold."""
    agent = entry.fields["agent"]
    made = powers.pinned(powers.of_row(rows.row(ROW, agent)), entry.time)
    yield Put(ROW, agent, powers.as_row(made), "", entry.time)


__all__ = ["ROW", "measured", "pinned"]
