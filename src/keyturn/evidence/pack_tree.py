"""The tree of the log in a pack, computed from its leaves alone: tiles, root and proofs. What the store says of them is not taken over."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from keyturn.ledger import merkle
from keyturn.ledger.merkle import HASH_BYTES
from keyturn.ledger.tiles import HEIGHT, WIDTH, load_tree, root_of_hashes, subtrees, tile_path, tiles_of


class PackTree:
    """Grows by bundles, in order."""

    def __init__(self) -> None:
        self._tiles: list[bytes] = []
        self._rows: list[bytes] = []

    @property
    def bundles(self) -> int:
        """How many there are so far."""
        return len(self._tiles)

    def add(self, hashes: bytes, row: bytes) -> None:
        """The leaf hashes of the next bundle, and the root of its tile if that is full."""
        self._tiles.append(hashes)
        if row:
            self._rows.append(row)

    def finish(self, size: int) -> None:
        """All leaves are there: make the levels above."""
        self.size = size
        self._levels = [self._tiles]
        rows = self._rows
        while rows:
            tiles = [b"".join(rows[at : at + WIDTH]) for at in range(0, len(rows), WIDTH)]
            self._levels.append(tiles)
            rows = [root_of_hashes(tile) for tile in tiles if len(tile) == WIDTH * HASH_BYTES]
        self.root = load_tree(size, self.tile).root
        self._edge = cache(subtrees(size, self.tile))  # of tiles that are not full: one a level
        self._last: dict[int, tuple[int, list[list[bytes]]]] = {}

    def _subtree(self, height: int, index: int) -> bytes:
        """A perfect subtree's hash. All of a tile are made at once: proofs go through the log in order, and neighbours share a tile."""
        level, inner = divmod(height, HEIGHT)
        number = index << inner >> HEIGHT
        content = self.tile(level, number)
        if content is None or len(content) < WIDTH * HASH_BYTES:
            return self._edge(height, index)
        last = self._last.get(level)
        if last is None or last[0] != number:
            last = self._last[level] = number, _rows(content)
        return last[1][inner][index % (WIDTH >> inner)]

    def tile(self, level: int, index: int) -> bytes | None:
        """A tile, full or partial."""
        if level >= len(self._levels) or not 0 <= index < len(self._levels[level]):
            return None
        return self._levels[level][index]

    def upper(self) -> Iterator[tuple[str, bytes]]:
        """(path, content) of every tile above level 0."""
        for level, index, width in tiles_of(self.size):
            if level:
                yield tile_path(level, index, width), self._levels[level][index][: width * HASH_BYTES]

    def path(self, index: int) -> tuple[bytes, ...]:
        """The inclusion path of entry *index*."""
        return tuple(merkle.inclusion_path(index, self.size, self._subtree))

    def root_at(self, size: int) -> bytes:
        """The root over the first *size* entries, which are at least one."""
        return merkle.range_root(0, size, self._subtree)


def _rows(content: bytes) -> list[list[bytes]]:
    """The hashes of a full tile, those of each two of them, and so on, down to the last two."""
    row = [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
    rows = [row]
    while len(row) > 2:
        row = [merkle.node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
        rows.append(row)
    return rows


__all__ = ["PackTree"]
