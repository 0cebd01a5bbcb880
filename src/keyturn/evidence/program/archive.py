"""The zip of an evidence pack, read by the narrow form that it has to have (docs/reference/evidence-pack.md).

Nothing is believed before it is checked: layout first, in one pass over the headers and without unpacking anything; then the
signature over the manifest; then each byte that lies in the zip against the manifest. Memory is bounded by what is asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator

END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
DATE = 0x21
MODE = 0o100644 << 16
MAX_FILES = 4_000_000
MAX_DIRECTORY = 600_000_000
MAX_SIZE = 2**31 - 1
PIECE = 1 << 20
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z")


class Damaged(Exception):
    """Something that does not hold; `args[0]` says what, `args[1]` where."""

    def __init__(self, words: str, where: str = "") -> None:
        super().__init__(words, where)
        self.words, self.where = words, where


class Unreadable(Exception):
    """What was handed in is no pack and no log, or can't be read at all."""


class Place:
    """Where a file lies in the zip."""

    __slots__ = ("crc", "deflated", "packed", "size", "start")

    def __init__(self, start: int, packed: int, size: int, crc: int, deflated: bool) -> None:
        self.start, self.packed, self.size, self.crc, self.deflated = start, packed, size, crc, deflated


class Archive:
    """A zip of which every byte is accounted for. Opening it raises `Damaged` where its form is another, `Unreadable` if it is no zip."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._file = open(path, "rb")
            self._length = self._file.seek(0, os.SEEK_END)
            begins = self._at(0, 4)
        except OSError as error:
            raise Unreadable("%s can't be read: %s" % (path, error.strerror or error)) from None
        if begins != b"PK\3\4" and begins[:2] != b"PK":
            raise Unreadable("%s is not a zip." % path)
        self.places: dict[str, Place] = {}
        self._layout(*self._end())

    def reopen(self) -> None:
        """A file position of its own, for a process that was forked off."""
        self._file = open(self.path, "rb")

    def names(self, prefix: str = "") -> list[str]:
        """Names of files that begin with *prefix*, sorted."""
        return [name for name in self.places if name.startswith(prefix)]

    def read(self, name: str, limit: int = MAX_SIZE) -> bytes:
        """A file's content. Raises `Damaged` if it is not there, larger than *limit*, or not what its header says."""
        return b"".join(self.pieces(name, limit))

    def pieces(self, name: str, limit: int = MAX_SIZE) -> Iterator[bytes]:
        """A file's content in pieces of at most a megabyte."""
        place = self.places.get(name)
        if place is None:
            raise Damaged("It is missing.", name)
        if place.size > limit:
            raise Damaged("It claims %d bytes; more than %d make no sense here." % (place.size, limit), name)
        return self._unpacked(name, place)

    def packed(self, name: str) -> str:
        """SHA-256 (hexadecimal) of a file's bytes as they lie in the zip."""
        place, digest = self.places[name], hashlib.sha256()
        at, end = place.start, place.start + place.packed
        while at < end:
            piece = self._at(at, min(PIECE, end - at))
            digest.update(piece)
            at += len(piece)
        return digest.hexdigest()

    def _at(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        data = self._file.read(count)
        if len(data) != count and start:
            raise Damaged("The zip ends too early.", "zip")
        return data

    def _unpacked(self, name: str, place: Place) -> Iterator[bytes]:
        at, end, crc, size = place.start, place.start + place.packed, 0, 0
        unpack = zlib.decompressobj(-15) if place.deflated else None
        while at < end:
            data = self._at(at, min(PIECE, end - at))
            at += len(data)
            while data:
                if unpack is None:
                    piece, data = data, b""
                else:
                    try:
                        piece = unpack.decompress(data, PIECE)
                    except zlib.error:
                        raise Damaged("Its compressed bytes can't be unpacked.", name) from None
                    data = unpack.unconsumed_tail
                    if unpack.unused_data or (unpack.eof and at < end):
                        raise Damaged("It has bytes after its end.", name)
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                if size > place.size:
                    raise Damaged("It has more bytes than its header says.", name)
                if piece:
                    yield piece
        while unpack is not None and not unpack.eof:
            piece = unpack.decompress(b"", PIECE)
            if not piece:
                raise Damaged("Its compressed bytes end too early.", name)
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            if size > place.size:
                raise Damaged("It has more bytes than its header says.", name)
            yield piece
        if size != place.size or crc != place.crc:
            raise Damaged("Its content is not that of its checksum.", name)

    # the layout

    def _end(self) -> tuple[int, int, int, int]:
        """(count of files, where the directory begins, its size, where what follows it begins)."""
        at = self._length - END.size
        if at < 0:
            raise Damaged("The zip ends too early.", "zip")
        mark, disk, start_disk, here, count, size, offset, comment = END.unpack(self._at(at, END.size))
        if mark != b"PK\5\6" or disk or start_disk or comment or here != count:
            raise Damaged(
                "The zip has no end where it belongs: it is cut off, or something follows it.", "zip"
            )
        beyond = LOCATOR.size + END64.size
        locator = self._at(at - LOCATOR.size, LOCATOR.size) if at >= beyond else b""
        if locator[:4] == b"PK\6\7":
            mark, disk, end64, disks = LOCATOR.unpack(locator)
            if disk or disks != 1 or end64 != at - beyond:
                raise Damaged("The zip's end points elsewhere.", "zip")
            whole = END64.unpack(self._at(end64, END64.size))
            if whole[:6] != (b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0) or whole[6] != whole[7]:
                raise Damaged("The zip's end is not in its one form.", "zip")
            said, (count, size, offset) = (count, size, offset), whole[7:]
            fits = (min(count, 0xFFFF), min(size, 0xFFFFFFFF), min(offset, 0xFFFFFFFF))
            if said != fits or fits == (count, size, offset):
                raise Damaged("The zip's end says two things.", "zip")
            at = end64
        if offset + size != at or count > MAX_FILES or size > MAX_DIRECTORY or size < count * CENTRAL.size:
            raise Damaged("The zip's directory is not where its end says.", "zip")
        return count, offset, size, at

    def _layout(self, count: int, offset: int, size: int, end: int) -> None:
        directory = memoryview(self._at(offset, size)) if size else memoryview(b"")
        at, last, folded, spans = 0, "", set(), []
        for _ in range(count):
            if at + CENTRAL.size > size:
                raise Damaged("The zip's directory is cut off.", "zip")
            (mark, made, needed, flags, method, time, date, crc, packed, whole, length, extra, comment, disk, internal, mode,
             start) = CENTRAL.unpack_from(directory, at)  # fmt: skip
            raw = bytes(directory[at + CENTRAL.size : at + CENTRAL.size + length])
            more = bytes(directory[at + CENTRAL.size + length : at + CENTRAL.size + length + extra])
            at += CENTRAL.size + length + extra
            version = 45 if extra else 20
            if at > size or (mark, made, needed, flags, time, date, comment, disk, internal, mode) != (
                b"PK\1\2", 3 << 8 | version, version, 0, 0, DATE, 0, 0, 0, MODE,
            ):  # fmt: skip
                raise Damaged("A header in the zip's directory is not in its one form.", "zip")
            if extra:
                if extra != 12 or more[:4] != b"\1\0\x08\0" or start != 0xFFFFFFFF:
                    raise Damaged("An extra field in the zip is not in its one form.", "zip")
                start = int.from_bytes(more[4:], "little")
                if start < 0xFFFFFFFF:
                    raise Damaged("An extra field in the zip is there without need.", "zip")
            name = raw.decode("ascii", "replace")
            if not NAME.match(name) or name <= last or name.lower() in folded:
                raise Damaged(
                    "The zip's file names are not clean, sorted and distinct: %s" % ascii(name[:80]), "zip"
                )
            if method not in (0, 8) or max(whole, packed) > MAX_SIZE or (method == 0 and packed != whole):
                raise Damaged("A file in the zip is packed in another way than packs are.", name)
            local = LOCAL.pack(b"PK\3\4", 20, 0, method, 0, DATE, crc, packed, whole, length, 0) + raw
            spans.append((start, start + len(local) + packed, local))
            last = name
            folded.add(name.lower())
            self.places[name] = Place(start + len(local), packed, whole, crc, method == 8)
        expected = 0
        for start, stop, local in sorted(spans):
            if start != expected or stop > offset or self._at(start, len(local)) != local:
                raise Damaged(
                    "A file in the zip is not where its directory says, or has another header.", "zip"
                )
            expected = stop
        if at != size or expected != offset:
            raise Damaged("The zip has bytes that belong to no file.", "zip")
