"""Projections from the log alone (promise 7): fold every entry again, compare or replace."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from keyturn.errors import KeyturnError
from keyturn.ledger import checkpoint, leaf, values
from keyturn.ledger.entries import Fold, Put
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.rows import Overlay
from keyturn.ledger.storage import Store

NAMED_DIFFERENCES = 20
"""How many differing rows are named; all are counted."""

ATTEMPTS = 10
"""How often the comparison is begun again when the log grew under it."""

_Row = tuple[str, str, str, int, bytes]


class Difference(Struct, frozen=True):
    """A row that is not what the log says. `found` or `expected` is None where there is no such row."""

    kind: str
    key: str
    expected: str | None
    found: str | None


class Rebuilt(Struct, frozen=True):
    """Outcome of a rebuild: how many entries were folded, how many rows they give, how many stored rows differed."""

    entries: int
    rows: int
    differing: int
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Whether the stored rows are exactly what the log gives."""
        return not self.differing


class Folding:
    """The rows of a log, made beside its writer: entry after entry, until the writer stands still."""

    def __init__(self, store: Store, fold: Fold) -> None:
        self._store, self._fold = store, fold
        self._overlay = Overlay()
        self._size = 0

    def until(self, size: int) -> None:
        """Fold the entries up to *size*. Raises what `rebuild` raises."""
        self._size = _fold_until(self._store, self._fold, self._overlay, self._size, size)

    def puts(self) -> Iterator[Put]:
        """All rows."""
        return iter(self._overlay.puts.values())


class LogGrowing(KeyturnError):
    """A running server kept writing while its rows were being compared from outside."""

    code = "ledger.growing"
    status = 503
    not_done = "The rows were not compared to the end and nothing was changed."
    next_step = "Try again when fewer agents are at work, or stop the server first."


def rebuild(store: Store, fold: Fold, *, check: bool) -> Rebuilt:
    """Fold the whole log again and compare with the stored rows; without *check*, replace them if they differ.

    Checking works beside a writer: rows that differ count only if the log stood still while they were read.
    Raises `LogGrowing`, `LedgerDamaged` for an entry whose fields don't suffice (disclosures that were taken away), and
    what reading an entry raises (`UnknownVersion`, `UnknownType`, `EntryMalformed`).
    """
    overlay = Overlay()
    size = 0
    for _ in range(ATTEMPTS):
        head = store.head()
        size = _fold_until(store, fold, overlay, size, checkpoint.read_unverified(head).size if head else 0)
        puts = sorted(overlay.puts.values(), key=lambda put: (put.kind.encode(), put.key.encode()))
        differences = list(_differences(puts, store.dump_rows()))
        if store.head() == head:
            break
    else:
        raise LogGrowing("The log grew each time its rows were compared.")
    if differences and not check:
        store.replace_rows(iter(puts))
    return Rebuilt(size, len(puts), len(differences), tuple(differences[:NAMED_DIFFERENCES]))


def _fold_until(store: Store, fold: Fold, overlay: Overlay, start: int, end: int) -> int:
    """Fold entries start ≤ index < end; gives *end*."""
    for stored in store.entries(start, end):
        entry = leaf.read(stored)
        overlay.mark()
        try:
            puts = list(fold(entry, overlay))
        except (LookupError, TypeError, AttributeError) as error:
            raise LedgerDamaged(
                f"Entry {entry.index} ({entry.type}) can't be folded: a field is missing or of another form ({error})."
            ) from error
        for put in puts:
            overlay.put(put)
            if put.body is None:
                del overlay.puts[put.kind, put.key]
    return end


def _differences(puts: list[Put], stored: Iterator[_Row]) -> Iterator[Difference]:
    """Merge two lists that are both ordered by (kind, key) as UTF-8."""
    expected = ((p.kind, p.key, p.state, p.at, values.encode(p.body)) for p in puts)
    left, right = next(expected, None), next(stored, None)
    while left is not None or right is not None:
        if right is None or (left is not None and _place(left) < _place(right)):
            assert left is not None
            yield Difference(left[0], left[1], _shown(left), None)
            left = next(expected, None)
        elif left is None or _place(right) < _place(left):
            yield Difference(right[0], right[1], None, _shown(right))
            right = next(stored, None)
        else:
            if left != right:
                yield Difference(left[0], left[1], _shown(left), _shown(right))
            left, right = next(expected, None), next(stored, None)


def _place(row: _Row) -> tuple[bytes, bytes]:
    return row[0].encode(), row[1].encode()


def _shown(row: _Row) -> str:
    return f"state={row[2]!r} at={row[3]} {row[4].decode()[:400]}"
