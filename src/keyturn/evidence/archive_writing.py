"""Zip files in the one strict form of an evidence pack: the same files give the same bytes.

Rules kept here (PKWARE APPNOTE 6.3.10, docs/reference/evidence-pack.md):

- Every file is stored as it is (method 0), so that reading one costs what it holds, and no library's compressor is part of the bytes.
- One time (1980-01-01), one mode (0644), no flags, comments, data descriptors or folders. Contents lie one after the other from
  the first byte on, without a gap, in the order in which they were made: a log of gigabytes is written once, while it is read.
  The directory, which follows, is in the order of the names.
- A record has a ZIP64 field exactly if its content begins at 4 GiB or later; the archive has a ZIP64 end exactly if it has
  65,535 files or more, or its directory begins at 4 GiB or later.
- Names are relative, of `A-Z a-z 0-9 . _ - /`, and differ from each other by more than case.

Source: PKWARE APPNOTE.TXT 6.3.10, §4.3.7, §4.3.12, §4.3.14 to §4.3.16, §4.5.3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from msgspec import Struct

DATE = 1 << 5 | 1
"""1980-01-01 as MS-DOS writes it; the time is zero."""
PLAIN, ZIP64 = 20, 45
"""Versions needed to extract."""
UNIX = 3 << 8
MODE = 0o100644 << 16
FOUR_BYTES = 0xFFFFFFFF
TWO_BYTES = 0xFFFF
LARGEST = (1 << 31) - 1
"""Bytes of one file at most."""
MAX_NAME = 200
PART = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_ZIP64_FIELD = struct.Struct("<HHQ")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<IIQI")
_END = struct.Struct("<IHHHHIIH")


class Stored(Struct, frozen=True, gc=False):
    """One file of the archive: where its record begins, its size and its checksum."""

    name: str
    offset: int
    size: int
    crc: int


class Records:
    """Files' records one after the other, in memory: they are put where an archive has room for them (`Archive.room`)."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, name: str, data: bytes) -> Stored:
        """The file *name* with the content *data*; its offset is counted from the first record."""
        one = Stored(name, self._size, len(data), crc32(data))
        head = _local(one)
        self._parts += (head, data)
        self._size += len(head) + len(data)
        return one

    def place(self, archive: str, offset: int) -> None:
        """Write them into the file *archive*, from *offset* on."""
        _place(archive, offset, self._parts)


def place(archive: str, offset: int, name: str, parts: Iterable[bytes], size: int, crc: int) -> None:
    """Write the record of the file *name* into the file *archive*, at *offset*: `size` bytes of content, with that checksum."""
    head = _local(Stored(name, offset, size, crc))
    if _place(archive, offset, chain((head,), parts)) != len(head) + size:
        raise ValueError(f"{name} has not the {size:,} bytes that it was said to have")


def _place(archive: str, offset: int, parts: Iterable[bytes]) -> int:
    written = 0
    with Path(archive).open("r+b") as out:
        out.seek(offset)
        for part in parts:
            written += out.write(part)
    return written


class Archive:
    """An archive that is being written to *out*, from its beginning. `finish` makes it one."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.size = 0
        self.files: dict[str, Stored] = {}

    def add(self, name: str, data: bytes) -> None:
        """The file *name* with the content *data*. Raises `ValueError` for a name that is not allowed or taken, or too much content."""
        one = Stored(name, self.size, len(data), crc32(data))
        self._take(one)
        head = _local(one)
        self._out.write(head)
        self._out.write(data)
        self.size += len(head) + len(data)

    def room(self, files: Iterable[Stored]) -> int:
        """Room for the records of *files*, which lie one after the other (`Records`), and where it begins. Raises as `add`.

        Whoever has them writes them there, also from another process.
        """
        base = self.size
        for one in files:
            if base + one.offset != self.size:
                raise ValueError(f"the record of {one.name} does not follow the one before it")
            self._take(Stored(one.name, self.size, one.size, one.crc))
            self.size += len(_local(one)) + one.size
        self._out.seek(self.size)
        return base

    def _take(self, one: Stored) -> None:
        name, size = one.name, one.size
        if size > LARGEST:
            raise ValueError(f"{name} has {size:,} bytes; a file of a pack has fewer than 2 GiB")
        if len(name) > MAX_NAME or not _NAME.fullmatch(name) or name.lower() in self.files:
            raise ValueError(f"{name[:MAX_NAME]!r} is no name for a file of a pack, or is there already")
        self.files[name.lower()] = one

    def finish(self) -> int:
        """Write the directory; how many bytes the archive has."""
        found = sorted(self.files.values(), key=lambda one: one.name)
        directory = b"".join(map(_record, found))
        end = _ends(len(found), self.size, len(directory))
        self._out.write(directory)
        self._out.write(end)
        return self.size + len(directory) + len(end)


def _local(one: Stored) -> bytes:
    """What stands before the file's content."""
    name = one.name.encode()
    head = (0x04034B50, PLAIN, 0, 0, 0, DATE, one.crc, one.size, one.size, len(name), 0)
    return _LOCAL.pack(*head) + name


def _record(one: Stored) -> bytes:
    """The file's record in the directory."""
    far = one.offset >= FOUR_BYTES
    extra = _ZIP64_FIELD.pack(1, 8, one.offset) if far else b""
    version = ZIP64 if far else PLAIN
    offset = FOUR_BYTES if far else one.offset
    name = one.name.encode()
    sizes = (one.crc, one.size, one.size, len(name), len(extra))
    head = (0x02014B50, UNIX | version, version, 0, 0, 0, DATE, *sizes, 0, 0, 0, MODE, offset)
    return _CENTRAL.pack(*head) + name + extra


def _ends(count: int, began: int, size: int) -> bytes:
    """What follows the directory."""
    more = b""
    if count >= TWO_BYTES or began >= FOUR_BYTES:
        more = _END64.pack(0x06064B50, _END64.size - 12, UNIX | ZIP64, ZIP64, 0, 0, count, count, size, began)
        more += _LOCATOR64.pack(0x07064B50, 0, began + size, 1)
    few, near = min(count, TWO_BYTES), min(began, FOUR_BYTES)
    return more + _END.pack(0x06054B50, 0, 0, few, few, min(size, FOUR_BYTES), near, 0)


__all__ = ["Archive", "Records", "Stored", "place"]
