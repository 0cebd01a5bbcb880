"""Where a log to verify lies: in a store, or in an exported folder. Both give the same shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from keyturn.ledger import tiles
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.merkle import HASH_BYTES
from keyturn.ledger.storage import Store
from keyturn.ledger.tiles import WIDTH, tile_path

BLOBS = "blobs/sha256"
CHECKPOINT = "checkpoint"
VKEY = "log.vkey"


class Found(Struct, frozen=True, gc=False):
    """What was found at one index. `disclosures` is a JSON array; None when they were not asked for or are withheld whole.

    `beside` is what the store says of the entry outside its leaf: (time, type, session, n).
    """

    index: int
    leaf: bytes
    disclosures: bytes | None = None
    beside: tuple[int, str, str | None, int | None] | None = None


class Source(Protocol):
    """A log as it lies somewhere, unverified."""

    def head(self) -> str | None:
        """The checkpoint note."""
        ...

    def vkey(self) -> str | None:
        """The verifier key that lies beside the log, if one does. Only as trustworthy as the log's keeper."""
        ...

    def first(self) -> Found | None:
        """The first entry, whatever the size of the log."""
        ...

    def found(self, size: int, *, leaves_only: bool) -> Iterator[Found]:
        """Every entry there is, by rising index; those of an unreadable bundle are left out and named in `unreadable`."""
        ...

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """The stored hashes of a tile."""
        ...

    def blobs(self) -> Iterable[tuple[str, bytes]]:
        """All blobs as (digest, data)."""
        ...

    @property
    def unreadable(self) -> list[tuple[str, str]]:
        """(place, why) of what could not be read so far."""
        ...

    def strays(self, size: int) -> Iterator[str]:
        """Places that belong to no log of *size* entries."""
        ...


class StoreSource:
    """A log in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.unreadable: list[tuple[str, str]] = []

    def head(self) -> str | None:
        """The newest checkpoint note."""
        return self._store.head()

    def vkey(self) -> str | None:
        """None: a store holds no key file."""
        return None

    def first(self) -> Found | None:
        """The store's first entry."""
        return next((Found(one.index, one.leaf, one.disclosures) for one in self._store.entries()), None)

    def found(self, size: int, *, leaves_only: bool) -> Iterator[Found]:
        """Entries of the store; beyond *size* only when the log did not grow meanwhile."""
        if leaves_only:
            for index, leaf in self._store.leaves(0, size):
                yield Found(index, leaf)
            return
        for entry in self._store.entries(0, size):
            beside = (entry.time, entry.type, entry.session, entry.n)
            yield Found(entry.index, entry.leaf, entry.disclosures, beside)

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """The tile's first *width* hashes: a live log's edge may have grown since its checkpoint was read."""
        stored = self._store.tile(level, index)
        return stored[: width * HASH_BYTES] if stored is not None else None

    def blobs(self) -> Iterable[tuple[str, bytes]]:
        """All blobs."""
        return self._store.blobs()

    def strays(self, size: int) -> Iterator[str]:
        """Entries beyond the checkpoint, unless the log grew while it was read."""
        before = self._store.head()
        beyond = [index for index, _ in self._store.leaves(size, size + 20)]
        negative = [index for index, _ in self._store.leaves(-(2**62), 0)]
        for index in negative:
            yield f"entry {index}"
        if beyond and self._store.head() == before and _size(before) <= size:
            for index in beyond:
                yield f"entry {index}"


class FolderSource:
    """A log in a folder as `export` writes it, or any C2SP tlog-tiles folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unreadable: list[tuple[str, str]] = []

    def head(self) -> str | None:
        """The file `checkpoint`."""
        data = self._read(CHECKPOINT)
        try:
            return data.decode("utf-8") if data is not None else None
        except UnicodeDecodeError:
            self.unreadable.append((CHECKPOINT, "it is not UTF-8"))
            return None

    def vkey(self) -> str | None:
        """The file `log.vkey`."""
        data = self._read(VKEY)
        return data.decode("utf-8", "replace").strip() if data is not None else None

    def first(self) -> Found | None:
        """The first entry of the first bundle, full or partial."""
        widths = sorted((self._folder / "tile/entries/000.p").glob("*"))
        for end in ("", *(f".p/{path.name}" for path in widths)):
            data = self._read(f"tile/entries/000{end}")
            if data is not None:
                disclosed = self._read(f"tile/disclosures/000{end}") or b""
                leaf = data[2 : 2 + int.from_bytes(data[:2], "big")]
                return Found(0, leaf, disclosed.partition(b"\n")[0] or None)
        return None

    def found(self, size: int, *, leaves_only: bool) -> Iterator[Found]:
        """Entries out of the bundles that exist."""
        expected, count = 0, -(-size // WIDTH)
        for number in [number for number in self._bundles() if number < count] + [count]:
            if number > expected:
                self._missing("entries", expected, size)
            expected = number + 1
            if number == count:
                return
            width = min(WIDTH, size - number * WIDTH)
            data = self._tile_file("entries", number, width)
            if data is None:
                self._missing("entries", number, size)
            else:
                yield from self._bundle(number, width, tile_path("entries", number, width), data, leaves_only)

    def _bundles(self) -> list[int]:
        """Numbers of the bundles there are, rising: what is looked for is bounded by what is there."""
        digits = (
            "".join(part.removeprefix("x") for part in name.split("/")[2:])
            for name in self._whole("tile/entries")
        )
        return sorted({int(text) for text in digits if text.isascii() and text.isdigit() and len(text) < 19})

    def _whole(self, under: str) -> Iterator[str]:
        """Names of the files of tiles or bundles, without their widths."""
        return (str(path.relative_to(self._folder)).partition(".p/")[0] for path in self._files(under))

    def _missing(self, level: int | str, number: int, size: int) -> None:
        place = tile_path(level, number, min(WIDTH, size - number * WIDTH))  # type: ignore[arg-type]
        self.unreadable.append((place, "it is missing"))

    def _bundle(self, number: int, width: int, place: str, data: bytes, leaves_only: bool) -> Iterator[Found]:
        try:
            leaves = tiles.unbundle(data)
        except LedgerDamaged as error:
            self.unreadable.append((place, error.happened))
            return
        lines: list[bytes | None] = [None] * len(leaves)
        if not leaves_only:
            disclosed = self._tile_file("disclosures", number, width)
            if disclosed is not None:
                lines = [*disclosed.split(b"\n")[:-1]]
                if len(lines) != len(leaves):
                    where = tile_path("disclosures", number, width)
                    self.unreadable.append((where, f"it has {len(lines)} lines for {len(leaves)} entries"))
                    lines = [None] * len(leaves)
        for at, leaf in enumerate(leaves):
            yield Found(number * WIDTH + at, leaf, lines[at])

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """The tile's file."""
        return self._tile_file(level, index, width)

    def _tile_file(self, level: int | str, index: int, width: int) -> bytes | None:
        return self._read(tile_path(level, index, width))  # type: ignore[arg-type]

    def blobs(self) -> Iterator[tuple[str, bytes]]:
        """The files under `blobs/sha256`."""
        for path in sorted(self._files(BLOBS)):
            data = self._read(str(path.relative_to(self._folder)))
            if data is not None:
                yield f"sha256:{path.name}", data

    def strays(self, size: int) -> Iterator[str]:
        """Tile files that no tree of *size* leaves has."""
        levels: list[int | str] = [*range(tiles.levels_of(size)), "entries", "disclosures"]
        known = {str(level) for level in levels}
        base = self._folder / "tile"
        for level in sorted(base.iterdir()) if base.is_dir() else ():
            if level.name not in known:
                yield f"tile/{level.name}"
                continue
            height = int(level.name) if level.name.isdigit() else 0
            count = size >> tiles.HEIGHT * height
            for path in sorted(self._files(f"tile/{level.name}")):
                name = str(path.relative_to(self._folder))
                if not _belongs(name, height if level.name.isdigit() else level.name, count):
                    yield name

    def _files(self, under: str) -> Iterator[Path]:
        base = self._folder / under
        return (path for path in base.rglob("*") if path.is_file()) if base.is_dir() else iter(())

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.unreadable.append((name, str(error.strerror)))
            return None


def _belongs(name: str, level: int | str, count: int) -> bool:
    """Whether a tile or bundle of that path exists in a tree with *count* hashes on that level."""
    whole, _, width = name.partition(".p/")
    digits = "".join(part.removeprefix("x") for part in whole.split("/")[2:])
    if not digits.isdigit() or (width and not width.isdigit()):
        return False
    index, wide = int(digits), int(width or WIDTH)
    if not 1 <= wide <= WIDTH or min(WIDTH, count - index * WIDTH) != wide:
        return False
    return name == tile_path(level, index, wide)  # type: ignore[arg-type]


def _size(head: str | None) -> int:
    lines = (head or "").split("\n")
    return int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else 0
