"""The log that evidence is made of: a store's, or one that was exported to a folder. Read, never written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from keyturn.ledger import leaf, tiles
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.merkle import HASH_BYTES
from keyturn.ledger.sources import BLOBS, FolderSource
from keyturn.ledger.storage import StoredEntry
from keyturn.ledger.tiles import WIDTH, tile_path


class Log(Protocol):
    """What is read of a log. Every `keyturn.ledger.storage.Store` is one."""

    def head(self) -> str | None:
        """The newest checkpoint note."""
        ...

    def entry(self, index: int) -> StoredEntry | None:
        """One entry."""
        ...

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[StoredEntry]:
        """Entries with start ≤ index < end, in order, streaming."""
        ...

    def tile(self, level: int, index: int) -> bytes | None:
        """The stored hashes of a tile, full or partial."""
        ...

    def blob(self, digest: str) -> bytes | None:
        """Content-addressed bytes."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class Folder:
    """A log that `keyturn ledger export` wrote. Raises `LedgerDamaged` for what is missing or malformed."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._source = FolderSource(folder)
        self._size = size

    def head(self) -> str | None:
        """The file `checkpoint`."""
        return self._source.head()

    def vkey(self) -> str:
        """The file `log.vkey`."""
        return self._source.vkey() or ""

    def entry(self, index: int) -> StoredEntry | None:
        """One entry."""
        return next(self.entries(index, index + 1), None)

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[StoredEntry]:
        """Entries with start ≤ index < end, in order."""
        last = self._size if end is None else min(end, self._size)
        for number in range(start // WIDTH, -(-last // WIDTH)):
            first = number * WIDTH
            for at, stored in enumerate(self._bundle(number)):
                if start <= first + at < last:
                    yield stored

    def _bundle(self, number: int) -> list[StoredEntry]:
        width = min(WIDTH, self._size - number * WIDTH)
        leaves = tiles.unbundle(self._file(tile_path("entries", number, width)))
        lines = self._file(tile_path("disclosures", number, width)).split(b"\n")
        if len(leaves) != width or len(lines) != width + 1 or lines[-1]:
            raise LedgerDamaged(f"The bundle {number} does not hold {width} entries.")
        found = []
        for at, (data, disclosures) in enumerate(zip(leaves, lines[:-1], strict=True)):
            place = leaf.read_place(data)
            index = number * WIDTH + at
            found.append(
                StoredEntry(index, place.time, place.type, data, disclosures, place.session, place.n)
            )
        return found

    def tile(self, level: int, index: int) -> bytes | None:
        """The tile's hashes, as wide as the log is."""
        width = min(WIDTH, (self._size >> tiles.HEIGHT * level) - index * WIDTH)
        found = self._source.tile(level, index, width) if width > 0 else None
        return found if found is None or len(found) == width * HASH_BYTES else None

    def blob(self, digest: str) -> bytes | None:
        """Content-addressed bytes."""
        path = self._folder / BLOBS / digest.removeprefix("sha256:")
        return path.read_bytes() if path.is_file() else None

    def close(self) -> None:
        """Nothing is held open."""

    def _file(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise LedgerDamaged(f"{name}: {error.strerror}.") from error


__all__ = ["Folder", "Log"]
