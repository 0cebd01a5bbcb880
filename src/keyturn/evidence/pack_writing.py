"""The files of a pack as they go into its archive, with what the manifest says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from keyturn.evidence import archive_writing, pack_files
from keyturn.evidence.archive_writing import PART, Archive, Stored
from keyturn.evidence.log_reading import Log
from keyturn.evidence.pack_tree import PackTree
from keyturn.evidence.report.model import Frame
from keyturn.evidence.spans import Span
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.sources import BLOBS, CHECKPOINT, VKEY


class Summed(Struct, frozen=True, array_like=True):
    """A table as CSV: its header line, the files with its lines, and size, checksum and SHA-256 (hexadecimal) of all of it."""

    head: bytes
    paths: tuple[str, ...]
    size: int
    crc: int
    sha256: str


class Writing:
    """Adds files one after the other to *out*, which is the file *path*. `finish` makes the manifest of them, and the archive one."""

    def __init__(self, out: BinaryIO, path: str) -> None:
        self._archive = Archive(out)
        self._path = path
        self._listed: dict[str, tuple[str, int]] = {}

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._archive.files)

    def add(self, name: str, data: bytes) -> None:
        """One file."""
        self._archive.add(name, data)
        self._listed[name] = (sha256(data).hexdigest(), len(data))

    def sheet(self, name: str, summed: Summed) -> tuple[str, int]:
        """Room for a table, which was summed up, and where it is: the pack's file, and the offset (`place`)."""
        self._listed[name] = (summed.sha256, summed.size)
        return self._path, self._archive.room((Stored(name, 0, summed.size, summed.crc),))

    def span(self, span: Span) -> tuple[str, int]:
        """Room for the files of a stretch of the log, and where it is: the pack's file, and the offset."""
        for one in span.files:
            self._listed[one.stored.name] = (one.sha256, one.stored.size)
        return self._path, self._archive.room(one.stored for one in span.files)

    def tiles(self, tree: PackTree, signed: str, vkey: str) -> None:
        """The tiles above the bundles' own, the checkpoint and the key."""
        for name, content in tree.upper():
            self.add(f"log/{name}", content)
        self.add(f"log/{CHECKPOINT}", signed.encode())
        self.add(f"log/{VKEY}", f"{vkey}\n".encode())

    def blobs(self, log: Log, digests: Sequence[str]) -> None:
        """Those of the contents named that the log has."""
        for digest in digests:
            data = log.blob(digest)
            if data is not None:
                self.add(f"log/{BLOBS}/{digest.removeprefix('sha256:')}", data)

    def finish(self, frame: Frame, signer: Signer | None) -> tuple[int, str]:
        """Bytes of the archive, and the manifest's digest."""
        manifest = pack_files.manifest(self._listed)
        self._archive.add("manifest.json", manifest)
        if signer is not None:
            self._archive.add("manifest.note", pack_files.note(frame, manifest, signer))
        return self._archive.finish(), sha256(manifest).hexdigest()


def place(name: str, summed: Summed, archive: str, offset: int) -> None:
    """Put a table into the pack, where there is room for it. The files that its lines lie in are gone then."""
    archive_writing.place(archive, offset, name, _parts(summed), summed.size, summed.crc)


def _parts(summed: Summed) -> Iterator[bytes]:
    yield summed.head
    for path in map(Path, summed.paths):
        with path.open("rb") as file:
            while part := file.read(PART):
                yield part
        path.unlink()


__all__ = ["Summed", "Writing", "place"]
