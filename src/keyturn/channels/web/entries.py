"""Reading entries for pages: one that is damaged is shown as damaged, and hides none of the others."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from keyturn.channels.web.context import LedgerReader
from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Entry


class Damaged(Struct, frozen=True):
    """In place of an entry that can't be read: which one, and what is wrong with it."""

    index: int
    why: str


def each(ledger: LedgerReader, start: int, end: int) -> Iterator[Entry | Damaged]:
    """Entries with start ≤ index < end, in order."""
    at = start
    while at < end:
        try:
            for entry in ledger.entries(at, end):
                yield entry
                at += 1
            return
        except KeyturnError as error:
            yield Damaged(at, error.happened)
            at += 1


def sound(ledger: LedgerReader, start: int, end: int) -> Iterator[Entry]:
    """The same without the damaged ones."""
    return (entry for entry in each(ledger, start, end) if isinstance(entry, Entry))
