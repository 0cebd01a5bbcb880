"""Projection rows in memory: what the hot path reads instead of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from keyturn.ledger import values
from keyturn.ledger.entries import Put
from keyturn.ledger.errors import DraftMalformed

Body = dict[str, Any]
Place = tuple[str, str]
RowReader = Callable[[str, str], Body | None]

CACHED_ROWS = 20_000
"""How many rows are kept, about: the older half of them goes at once, but for those that were read since."""
_ABSENT: Any = object()


class RowCache:
    """Committed rows (and absences), written through by the writer, filled by any thread's reads.

    A read that began before a commit never replaces what that commit wrote: it is kept only when no commit
    happened meanwhile. Bodies are shared: nobody changes them.

    Two generations instead of a linked list: what is in the newer is read without a lock, which is what nearly every read does.
    """

    def __init__(self, read: RowReader, capacity: int = CACHED_ROWS) -> None:
        self._read = read
        self._half = max(1, capacity // 2)
        self._new: dict[Place, Body | None] = {}
        self._old: dict[Place, Body | None] = {}
        self._commits = 0
        self._moves: dict[tuple[str, ...], int] = {}
        self._lock = Lock()

    def row(self, kind: str, key: str) -> Body | None:
        """The committed row's body, or None."""
        return self.at((kind, key))

    def at(self, place: Place) -> Body | None:
        """`row` of a kind and key."""
        body = self._new.get(place, _ABSENT)
        return self._further(place) if body is _ABSENT else body

    def moved(self, kinds: tuple[str, ...]) -> int:
        """A number that grows with every commit that changes a row of *kinds*. What is read after it is as new as it says."""
        moved = self._moves.get(kinds)
        return self._watched(kinds) if moved is None else moved

    def _watched(self, kinds: tuple[str, ...]) -> int:
        with self._lock:  # from here on it is counted
            return self._moves.setdefault(kinds, 0)

    def known(self) -> dict[Place, Body | None]:
        """Everything that is kept."""
        with self._lock:
            return {**self._old, **self._new}

    def _further(self, place: Place) -> Body | None:
        with self._lock:
            body = self._new.get(place, _ABSENT)
            if body is _ABSENT:
                body = self._old.get(place, _ABSENT)
            if body is not _ABSENT:
                self._keep(place, body)
                return body  # type: ignore[no-any-return]
            commits = self._commits
        found = self._read(*place)
        with self._lock:
            if commits == self._commits:
                self._keep(place, found)
        return found

    def commit(self, puts: Iterable[Put]) -> None:
        """Take over what the store just made durable."""
        with self._lock:
            self._commits += 1
            changed = set()
            for put in puts:
                self._keep((put.kind, put.key), put.body)
                changed.add(put.kind)
            for (
                kinds
            ) in self._moves:  # after the rows: who reads a number reads rows that are at least as new
                if not changed.isdisjoint(kinds):
                    self._moves[kinds] += 1

    def forget(self) -> None:
        """Drop everything: the store was changed otherwise (a rebuild)."""
        with self._lock:
            self._commits += 1
            self._new, self._old = {}, {}
            for kinds in self._moves:
                self._moves[kinds] += 1

    def _keep(self, place: Place, body: Body | None) -> None:
        if len(self._new) >= self._half:
            self._old, self._new = self._new, {}
        self._new[place] = body


class Overlay:
    """Rows as of everything sequenced so far: changes not yet committed lie over the committed rows.

    `mark` and `undo` take back the changes of one plan.
    """

    def __init__(self, below: RowCache | None = None) -> None:
        self._below = below if below is not None else RowCache(lambda kind, key: None)
        self._committed = self._below.at
        self.puts: dict[Place, Put] = {}
        self._changed: set[str] = set()
        self._journal: list[tuple[Place, Put | None]] = []

    def row(self, kind: str, key: str) -> Body | None:
        """The row's body, or None. It is shared: build a new one, don't change it."""
        place = (kind, key)
        put = self.puts.get(place)
        return put.body if put is not None else self._committed(place)

    def moved(self, kinds: tuple[str, ...]) -> int:
        """As `RowCache.moved`; with changes that lie over it, those that were taken back too, it is larger than any number before."""
        moved = self._below.moved(kinds)
        return moved if self._changed.isdisjoint(kinds) else moved + 1

    def put(self, put: Put) -> None:
        """Lay *put* over. Raises `NotCanonical`, `DraftMalformed`."""
        place = (put.kind, put.key)
        new = settled(put)
        self._journal.append((place, self.puts.get(place)))
        self.puts[place] = new
        self._changed.add(put.kind)

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
    if put.body is None:
        return put
    body, data = values.normal(put.body)
    return Put(put.kind, put.key, body, put.state, put.at, data)
