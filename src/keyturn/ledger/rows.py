"""Projection rows in memory: what the hot path reads instead of the store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from keyturn.ledger import values
from keyturn.ledger.entries import Put
from keyturn.ledger.errors import DraftMalformed

Body = dict[str, Any]
RowReader = Callable[[str, str], Body | None]

CACHED_ROWS = 20_000
"""How many rows are kept; the least recently used one goes first."""
_ABSENT = object()


class RowCache:
    """Committed rows (and absences), written through by the writer, filled by any thread's reads.

    A read that began before a commit never replaces what that commit wrote: it is kept only when no commit
    happened meanwhile. Bodies are shared: nobody changes them.
    """

    def __init__(self, read: RowReader, capacity: int = CACHED_ROWS) -> None:
        self._read = read
        self._capacity = capacity
        self._rows: OrderedDict[tuple[str, str], Body | None] = OrderedDict()
        self._commits = 0
        self._lock = Lock()

    def row(self, kind: str, key: str) -> Body | None:
        """The committed row's body, or None."""
        place = (kind, key)
        with self._lock:
            body: Any = self._rows.get(place, _ABSENT)
            if body is not _ABSENT:
                self._rows.move_to_end(place)
                return body  # type: ignore[no-any-return]
            commits = self._commits
        found = self._read(kind, key)
        with self._lock:
            if commits == self._commits:
                self._rows[place] = found
                self._shrink()
        return found

    def commit(self, puts: Iterable[Put]) -> None:
        """Take over what the store just made durable."""
        with self._lock:
            self._commits += 1
            for put in puts:
                place = (put.kind, put.key)
                self._rows[place] = put.body
                self._rows.move_to_end(place)
            self._shrink()

    def forget(self) -> None:
        """Drop everything: the store was changed otherwise (a rebuild)."""
        with self._lock:
            self._commits += 1
            self._rows.clear()

    def _shrink(self) -> None:
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)


class Overlay:
    """Rows as of everything sequenced so far: changes not yet committed lie over the committed rows.

    `mark` and `undo` take back the changes of one plan.
    """

    def __init__(self, below: RowReader) -> None:
        self._below = below
        self.puts: dict[tuple[str, str], Put] = {}
        self._journal: list[tuple[tuple[str, str], Put | None]] = []

    def row(self, kind: str, key: str) -> Body | None:
        """The row's body, or None. It is shared: build a new one, don't change it."""
        put = self.puts.get((kind, key))
        return put.body if put is not None else self._below(kind, key)

    def put(self, put: Put) -> None:
        """Lay *put* over. Raises `NotCanonical`, `DraftMalformed`."""
        place = (put.kind, put.key)
        new = settled(put)
        self._journal.append((place, self.puts.get(place)))
        self.puts[place] = new

    def mark(self) -> None:
        """From here on changes can be taken back."""
        self._journal.clear()

    def undo(self) -> None:
        """Take back the changes since the last mark."""
        for place, before in reversed(self._journal):
            if before is None:
                del self.puts[place]
            else:
                self.puts[place] = before
        self._journal.clear()


def settled(put: Put) -> Put:
    """*put* with its body as JSON gives it back, so that live and rebuilt rows are the same. Raises `NotCanonical`."""
    if put.kind.find("\0") >= 0 or put.key.find("\0") >= 0 or put.state.find("\0") >= 0:
        raise DraftMalformed(f"A row of kind {put.kind[:80]!r} has a NUL in its kind, key or state.")
    if not put.key.isascii() or not put.kind.isascii() or not put.state.isascii():
        values.encode([put.kind, put.key, put.state])  # refuses lone surrogates
    body = put.body
    return Put(put.kind, put.key, None if body is None else values.normal(body)[0], put.state, put.at)
