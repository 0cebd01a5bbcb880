"""Entries of a store as the evidence tables take them: from what is really disclosed, never from what stands in for an erased field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from keyturn.evidence.program.tables import opened
from keyturn.ledger import leaf
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.storage import Store

Place = tuple[int, int, str, str | None, int | None, int]
"""(index, time, type, session, number in it, number of fields)."""


def entries(store: Store, start: int, end: int) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The entries [start, end), each checked against its leaf, with its disclosed fields.

    Raises `EntryMalformed`, `UnknownVersion`, `UnknownType`, and `LedgerDamaged` where one is missing.
    """
    look = kept_apart(store)
    at = start
    for stored in store.entries(start, end):
        header = leaf.read_strictly(stored.leaf)
        if header.index != at:
            raise LedgerDamaged(f"Entry {at} is missing.")
        fields = leaf.open_fields(header, leaf.disclosures_of(stored.disclosures))
        place = (header.index, header.time, header.type, header.session, header.n, len(header._sd))
        yield place, opened(fields, look)
        at += 1
    if at != end:
        raise LedgerDamaged(f"Entry {at} is missing.")


def kept_apart(store: Store) -> Callable[[str], Any]:
    """What gives the value of a field that lies in the blob store; None for one that is not there."""

    def look(digest: str) -> Any:
        data = store.blob(digest) if isinstance(digest, str) else None
        try:
            return None if data is None else msgspec.json.decode(data)
        except msgspec.DecodeError:
            return None

    return look


__all__ = ["Place", "entries", "kept_apart"]
