"""C2SP tlog-tiles: the tree as static files of 256 hashes, and entries in bundles of 256. Pure.

Rules kept here (c2sp.org/tlog-tiles):

- Tile *n* of level *l* holds MTH(D[(256n+i)·256^l : (256n+i+1)·256^l]) for i from 0 to 255; partial at the right edge,
  ⌊size / 256^l⌋ mod 256 wide; empty tiles do not exist.
- Paths: `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`, N in zero-padded groups of three digits, all but the last with `x`.
- An entry bundle is a sequence of big-endian uint16 lengths, each followed by the entry.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Literal

from msgspec import Struct

from keyturn.ledger.entries import MAX_LEAF_BYTES
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.merkle import HASH_BYTES, frontier_places, node_hash, root_of_frontier

HEIGHT = 8
WIDTH = 1 << HEIGHT
TILE_BYTES = WIDTH * HASH_BYTES

TileReader = Callable[[int, int], bytes | None]
"""(level, index) → the tile's hashes, as many as there are."""


class Tree(Struct, frozen=True):
    """The right edge of a tree, all that appending needs: growing gives a new value, so undoing is forgetting.

    `frontier` are the maximal perfect subtrees' hashes, left to right; `edges[l]` the partial tile at level *l*.
    """

    size: int = 0
    frontier: tuple[bytes, ...] = ()
    edges: tuple[bytes, ...] = (b"",)

    @property
    def root(self) -> bytes:
        """MTH(D[size])."""
        return root_of_frontier(self.frontier)

    def grow(self, hashes: Sequence[bytes]) -> tuple[Tree, dict[tuple[int, int], bytes]]:
        """The tree with leaf *hashes* appended, and every tile that changed: (level, index) → whole content."""
        frontier, size = list(self.frontier), self.size
        levels: list[list[bytes]] = [[self.edges[0], *hashes]]
        for node in hashes:
            size += 1
            rest, height = size, 0
            while not rest & 1:
                node = sha256(b"\x01" + frontier.pop() + node).digest()
                rest >>= 1
                height += 1
                if not height & 7:
                    level = height >> 3
                    if level == len(levels):
                        levels.append([self.edges[level] if level < len(self.edges) else b""])
                    levels[level].append(node)
            frontier.append(node)
        tiles: dict[tuple[int, int], bytes] = {}
        edges = list(self.edges)
        for level, parts in enumerate(levels):
            joined = b"".join(parts)
            first = self.size >> HEIGHT * (level + 1)
            whole = len(joined) // TILE_BYTES
            for number in range(whole):
                tiles[level, first + number] = joined[number * TILE_BYTES : (number + 1) * TILE_BYTES]
            edge = joined[whole * TILE_BYTES :]
            if edge:
                tiles[level, first + whole] = edge
            if level < len(edges):
                edges[level] = edge
            else:
                edges.append(edge)
        return Tree(size, tuple(frontier), tuple(edges)), tiles


def load_tree(size: int, read: TileReader) -> Tree:
    """The tree of *size* leaves from its stored tiles. Raises `LedgerDamaged` when one is missing or short."""
    edges = []
    for level in range(max(levels_of(size), 1)):
        width = (size >> HEIGHT * level) % WIDTH
        index = size >> HEIGHT * (level + 1)
        edges.append(_tile_prefix(read, level, index, width) if width else b"")
    subtree = subtrees(size, read)
    return Tree(size, tuple(subtree(*place) for place in frontier_places(size)), tuple(edges))


def levels_of(size: int) -> int:
    """How many tile levels a tree of *size* leaves has."""
    levels = 0
    while size >> HEIGHT * levels:
        levels += 1
    return levels


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, index, width) of every tile of a tree of *size* leaves, by level then index."""
    for level in range(levels_of(size)):
        count = size >> HEIGHT * level
        for index in range(count >> HEIGHT):
            yield level, index, WIDTH
        if count % WIDTH:
            yield level, count >> HEIGHT, count % WIDTH


def subtrees(size: int, read: TileReader) -> Callable[[int, int], bytes]:
    """A function (height, index) → perfect subtree's hash, computed from the tiles of a tree of *size* leaves."""

    def subtree(height: int, index: int) -> bytes:
        level, inner = divmod(height, HEIGHT)
        first = index << inner
        tile, offset = first >> HEIGHT, first % WIDTH
        hashes = _tile_prefix(read, level, tile, offset + (1 << inner))
        return root_of_hashes(hashes[offset * HASH_BYTES :])

    return subtree


def root_of_hashes(hashes: bytes) -> bytes:
    """The root over a power of two of concatenated hashes, e.g. a full tile."""
    row = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def _tile_prefix(read: TileReader, level: int, index: int, width: int) -> bytes:
    tile = read(level, index)
    name = tile_path(level, index)
    if tile is None:
        raise LedgerDamaged(f"The tile {name} is missing.", tile=name)
    if len(tile) < width * HASH_BYTES:
        raise LedgerDamaged(
            f"The tile {name} has {len(tile)} bytes where at least {width * HASH_BYTES} belong.", tile=name
        )
    return tile[: width * HASH_BYTES]


def tile_path(level: int | Literal["entries", "disclosures"], index: int, width: int = WIDTH) -> str:
    """The path of a tile or bundle: `tile/0/x001/x234/067` or `tile/entries/000.p/12`."""
    if not (isinstance(level, str) or 0 <= level <= 63) or index < 0 or not 1 <= width <= WIDTH:
        raise ValueError(f"no tile {level}/{index} of width {width}")
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    number = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{number}" + (f".p/{width}" if width < WIDTH else "")


def bundle(leaves: Iterable[bytes]) -> bytes:
    """An entry bundle of at most 256 *leaves*."""
    return b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in leaves)


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises `LedgerDamaged` when a length points outside of it."""
    leaves: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        size = int.from_bytes(data[at : at + 2], "big")
        at += 2
        if at > end or at + size > end:
            raise LedgerDamaged(f"Entry {len(leaves)} of the bundle is cut off.")
        leaves.append(data[at : at + size])
        at += size
    return leaves


assert MAX_LEAF_BYTES == 0xFFFF  # what the uint16 lengths of a bundle can say
