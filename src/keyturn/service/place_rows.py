"""Rows of where people were seen. Pure, part of the fold: `person-place` (by person), kind → place → when last."""

from __future__ import annotations

from collections.abc import Iterable

from keyturn.drift import same_place
from keyturn.ledger.entries import Entry, Put, Rows

ROW = "person-place"


def seen(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A person signed in or decided: from where."""
    person, where = entry.fields.get("person"), entry.fields.get("from")
    if isinstance(person, str) and isinstance(where, dict):
        before = rows.row(ROW, person) or {}
        yield Put(ROW, person, same_place.seen(before, where, entry.time), "", entry.time)


__all__ = ["ROW", "seen"]
