"""The files of a pack as they go into its archive, with what the manifest says of them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from keyturn.evidence import pack_files
from keyturn.evidence.archive_writing import Archive
from keyturn.evidence.log_reading import Log
from keyturn.evidence.pack_tree import PackTree
from keyturn.evidence.report.model import Frame
from keyturn.evidence.spans import Bundle, Piece
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.sources import BLOBS, CHECKPOINT, VKEY
from keyturn.ledger.tiles import tile_path

PART = 1 << 20


class Writing:
    """Adds files one after the other. `finish` makes the manifest of them, and the archive one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._listed: dict[str, tuple[str, int]] = {}

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._archive.files)

    def add(self, name: str, data: bytes) -> None:
        """One file."""
        self._archive.add(name, data)
        self._listed[name] = (sha256(data).hexdigest(), len(data))

    def copied(self, name: str, path: Path, size: int, crc: int, digest: str) -> None:
        """A file whose content lies at *path*, and has been summed up."""
        with path.open("rb") as source:
            self._archive.add_parts(name, iter(lambda: source.read(PART), b""), size, crc)
        self._listed[name] = (digest, size)

    def bundle(self, number: int, width: int, bundle: Bundle) -> None:
        """The files of 256 entries."""
        self._piece(f"log/{tile_path('entries', number, width)}", bundle.entries)
        self._piece(f"log/{tile_path('disclosures', number, width)}", bundle.disclosures)
        self._piece(f"log/{tile_path(0, number, width)}", bundle.hashes)

    def _piece(self, name: str, one: Piece) -> None:
        self._archive.add_parts(name, (one.data,), len(one.data), one.crc)
        self._listed[name] = (one.sha256, len(one.data))

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


__all__ = ["Writing"]
