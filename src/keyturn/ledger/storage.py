"""What the ledger needs of a store: the port. `keyturn.store` implements it over SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from keyturn.ledger.entries import Put


class StoredEntry(Struct, frozen=True, gc=False):
    """One entry as it lies in the store. `disclosures` is a JSON array of disclosure strings."""

    index: int
    time: int
    type: str
    leaf: bytes
    disclosures: bytes
    session: str | None = None
    n: int | None = None
    once: str | None = None


class Batch(Struct, frozen=True):
    """Everything one group commit makes durable, in one transaction."""

    entries: Sequence[StoredEntry]
    tiles: Mapping[tuple[int, int], bytes]
    """(level, index) → concatenated 32-byte hashes, replacing the tile; level 0 are leaf hashes."""
    checkpoint: str
    """Signed note over the tree head after this batch."""
    blobs: Mapping[str, bytes] = {}
    rows: Sequence[Put] = ()


class Store(Protocol):
    """Durable storage of one log and its projections. One process writes; reading is safe from any thread."""

    def write(self, batch: Batch) -> None:
        """Make *batch* durable (fsync) or raise `StoreUnwritable` having changed nothing."""
        ...

    def erase(self, disclosures: Mapping[int, bytes], blobs: Sequence[str]) -> None:
        """Replace the disclosures of entries and remove *blobs*, in one transaction. `scrub` comes after. Raises `StoreUnwritable`."""
        ...

    def scrub(self) -> None:
        """Leave no copy of what was replaced or removed in the store's own files. Raises `StoreUnwritable`."""
        ...

    def head(self) -> str | None:
        """The newest checkpoint note."""
        ...

    def entry(self, index: int) -> StoredEntry | None:
        """One entry."""
        ...

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[StoredEntry]:
        """Entries with start ≤ index < end, in order, streaming."""
        ...

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(index, leaf) of entries with start ≤ index < end, in order, streaming: without reading their disclosures."""
        ...

    def once(self, keys: Sequence[str]) -> dict[str, int]:
        """Which of *keys* are in the log, with the entry's index."""
        ...

    def tile(self, level: int, index: int) -> bytes | None:
        """The stored hashes of a tile, full or partial."""
        ...

    def blob(self, digest: str) -> bytes | None:
        """Content-addressed bytes."""
        ...

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """All blobs as (digest, data), ordered by digest, streaming."""
        ...

    def row(self, kind: str, key: str) -> dict[str, Any] | None:
        """One projection row's body."""
        ...

    def rows(
        self,
        kind: str,
        *,
        state: str | None = None,
        newest_first: bool = True,
        limit: int = 1000,
        before: tuple[int, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Bodies of rows of *kind*, ordered by (`at`, key); `before` continues after a page's last (`at`, key)."""
        ...

    def count(self, kind: str, *, state: str | None = None) -> int:
        """How many rows."""
        ...

    def dump_rows(self) -> Iterator[tuple[str, str, str, int, bytes]]:
        """All projection rows as (kind, key, state, at, canonical JSON body), ordered by (kind, key): what a rebuild is compared with.

        The order is that of the UTF-8 bytes.
        """
        ...

    def replace_rows(self, rows: Iterable[Put]) -> None:
        """Drop all projection rows and write *rows*, in one transaction."""
        ...

    def session_counts(self) -> dict[str, int]:
        """Last `n` of each session that is not closed (no `session.closed` entry)."""
        ...

    def session_last(self, session: str) -> int:
        """The last `n` of one session, closed or not; 0 when it has no entries."""
        ...

    def close(self) -> None:
        """Release the store and its lock."""
        ...
