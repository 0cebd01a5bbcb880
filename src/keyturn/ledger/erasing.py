"""Erasing fields of a log without touching a leaf: what to write, and in which order.

Rules kept here:

- First what is erased is in the log (its caller appends that), then disclosures and blobs go, then rows are made anew from what is left.
  Killed in between, the same call does the rest: erasing what is erased changes nothing.
- A blob goes only when nothing that is left names it.
- Rows are made anew beside the running writer, which stands still only to change places.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from keyturn.ledger import leaf, values
from keyturn.ledger.erasable import ERASABLE, MARK
from keyturn.ledger.errors import EntryMalformed
from keyturn.ledger.storage import Store, StoredEntry

Targets = Mapping[int, frozenset[str]]
"""Index of an entry → names of the fields to erase."""

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_STANDARD = bytes.maketrans(b"-_", b"+/")


class Edits(Struct, frozen=True):
    """What to write: entries' new disclosures, blobs to remove, and how many fields that erases. `size` entries were looked at."""

    entries: dict[int, bytes]
    blobs: frozenset[str]
    fields: int
    size: int


def edits(store: Store, targets: Targets, size: int) -> Edits:
    """What erasing *targets* among the first *size* entries comes to. Reads the log once, streaming."""
    changed: dict[int, bytes] = {}
    gone: set[str] = set()
    kept: set[str] = set()
    count = 0
    for stored in store.entries(0, size):
        wanted = targets.get(stored.index, frozenset()) & ERASABLE.get(stored.type, {}).keys()
        if not wanted:
            continue
        rest, erased, named = _without(stored, wanted)
        if erased:
            changed[stored.index] = rest
            count += len(erased)
            gone |= named
    if gone:
        for stored in store.entries(0, size):
            kept |= references(changed.get(stored.index, stored.disclosures))
    return Edits(changed, frozenset(gone - kept), count, size)


def still_named(store: Store, made: Edits, end: int) -> frozenset[str]:
    """Blobs of *made* that entries which came since (up to *end*) name: they stay."""
    named: set[str] = set()
    for stored in store.entries(made.size, end):
        named |= references(stored.disclosures)
    return made.blobs & named


def references(disclosures: bytes) -> set[str]:
    """Every digest that is named in *disclosures* (a stored JSON array)."""
    found: set[str] = set()
    for text in leaf.disclosures_of(disclosures):
        found |= {digest.decode() for digest in _DIGEST.findall(_opened(text))}
    return found


def _without(stored: StoredEntry, wanted: frozenset[str]) -> tuple[bytes, list[str], set[str]]:
    """The entry's disclosures without the fields *wanted*, which of them there were, and the blobs that those name."""
    rest, erased, named = [], [], set()
    for text in leaf.disclosures_of(stored.disclosures):
        one = leaf.read_disclosure(text)
        if one.name not in wanted:
            rest.append(text)
            continue
        erased.append(one.name)
        named |= {digest.decode() for digest in _DIGEST.findall(_opened(text)) if _is_reference(one.value)}
    marks = [MARK + name for name in sorted({*leaf.erased_of(stored.disclosures), *erased})]
    return values.encode([*rest, *marks]), erased, named


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"blob", "size"}


def _opened(text: str) -> bytes:
    data = text.encode("ascii", "replace")
    try:
        return binascii.a2b_base64(data.translate(_STANDARD) + b"=" * (-len(data) % 4))
    except binascii.Error as error:
        raise EntryMalformed("A disclosure is not base64url of JSON.") from error


def stripped(disclosures: bytes) -> bytes:
    """A stored JSON array of disclosures without the marks of erased fields: what is handed out."""
    if f'"{MARK}'.encode() not in disclosures:
        return disclosures
    return values.encode(list(leaf.disclosures_of(disclosures)))


def chosen(pairs: Iterable[tuple[int, Iterable[str]]]) -> dict[int, frozenset[str]]:
    """Targets out of (index, names); names of one index are put together."""
    found: dict[int, frozenset[str]] = {}
    for index, names in pairs:
        found[index] = found.get(index, frozenset()) | frozenset(names)
    return found


def erased_entries(store: Store, size: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(index, names) of every entry of which something was erased."""
    for stored in store.entries(0, size):
        names = leaf.erased_of(stored.disclosures)
        if names:
            yield stored.index, names


__all__ = ["Edits", "Targets", "chosen", "edits", "erased_entries", "references", "still_named", "stripped"]
