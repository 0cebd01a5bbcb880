"""The tree of the log in a pack, computed from its leaves alone: tiles, root and proofs. What the store says of them is not taken over."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.ledger import merkle
from keyturn.ledger.merkle import HASH_BYTES
from keyturn.ledger.tiles import HEIGHT, WIDTH, load_tree, root_of_hashes, subtrees, tile_path, tiles_of

REMEMBERED = 100_000
"""Inner nodes kept while proofs are made: neighbours share most of their paths."""


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
        subtree = subtrees(size, self.tile)
        known: dict[tuple[int, int], bytes] = {}

        def remembered(height: int, index: int) -> bytes:
            found = known.get((height, index))
            if found is None:
                if len(known) >= REMEMBERED:
                    known.clear()
                found = known[height, index] = (
                    subtree(height, index)
                    if height % HEIGHT == 0
                    else merkle.node_hash(
                        remembered(height - 1, 2 * index), remembered(height - 1, 2 * index + 1)
                    )
                )
            return found

        self._subtree = remembered

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


__all__ = ["PackTree"]
