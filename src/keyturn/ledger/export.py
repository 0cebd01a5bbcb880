"""A log as a folder of static files that third-party verifiers read (C2SP tlog-tiles).

    checkpoint                         the signed tree head
    log.vkey                           the log's verifier key, one line
    tile/<L>/<N>[.p/<W>]               hashes
    tile/entries/<N>[.p/<W>]           entry bundles (leaves)
    tile/disclosures/<N>[.p/<W>]       ours: one line an entry, a JSON array of its disclosures; withheld ones are absent
    blobs/sha256/<hex>                 content that entries name by digest
    verify_approvals.py                a program of the standard library alone that checks people's signatures
    README.txt                         what this is and how to verify it with other people's tools

The same log gives the same bytes. The folder appears whole or not at all, readable by its owner alone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.ledger import checkpoint, erasing, note, tiles
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.merkle import HASH_BYTES
from keyturn.ledger.note import VerifierKey
from keyturn.ledger.sources import BLOBS, CHECKPOINT, VKEY
from keyturn.ledger.storage import Store
from keyturn.ledger.tiles import WIDTH, tile_path

README = """This folder is a transparency log, written by Keyturn, of {size} entries.
Origin: {origin}
Key:    {vkey}

Take the key from somebody you trust, not from this folder: whoever made the folder could have made another key.

  checkpoint                  signed tree head: https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note
  tile/<L>/<N>                Merkle tree hashes: https://c2sp.org/tlog-tiles, RFC 6962
  tile/entries/<N>            entries: big-endian uint16 length, then the entry (JSON)
  tile/disclosures/<N>        one line an entry: JSON array of its disclosures (RFC 9901); a digest in the entry's _sd
                              without a disclosure here was withheld or erased, which changes no proof
  blobs/sha256/<hex>          contents that entries name by digest

Verify with Keyturn:
  keyturn ledger verify .

Verify people's own signatures, with nothing but Python (where this folder has verify_approvals.py; better take it from elsewhere):
  python3 -I -S verify_approvals.py . --key "$(cat log.vkey)"

Verify with other tools:
  go run github.com/transparency-dev/tessera/cmd/fsck@latest --storage_url=file://$PWD/ --public_key=log.vkey --N=4
  Any client of C2SP tlog-tiles, for instance golang.org/x/mod/sumdb/tlog and .../note.

The checkpoint's signature with OpenSSL 3 (the text is everything before the empty line):
  sed -n '1,/^$/p' checkpoint | sed '$d' > text
  tail -n 1 checkpoint | cut -d' ' -f3 | base64 -d | tail -c +5 > signature
  {{ printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'; cut -d+ -f3- log.vkey | base64 -d | tail -c +2; }} > key.der
  openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key.der -in text -sigfile signature

One disclosure by hand: base64url(SHA-256(disclosure)) must be in its entry's _sd; decoded it is [salt, name, value].
"""


class ExportRefused(KeyturnError):
    """The folder can't be written, or there is something already."""

    code = "ledger.export_refused"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was exported."
    next_step = "Name a folder that does not exist yet, on a disk with room."


class Exported(Struct, frozen=True):
    """What was written."""

    folder: str
    origin: str
    size: int
    files: int
    bytes: int
    vkey: str


def export(
    store: Store,
    folder: Path | str,
    key: VerifierKey | str,
    *,
    progress: Callable[[int, int], None] | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Exported:
    """Write the log of *store* as static files to *folder*, which must not exist or be empty; *more* are further files in it.

    Raises `ExportRefused`, `NoteInvalid` when *key* did not sign the checkpoint, `LedgerDamaged` when entries are missing.
    The content is copied, not verified: verify the copy.
    """
    target = Path(folder).absolute()
    known = note.parse_vkey(key) if isinstance(key, str) else key
    signed = store.head()
    if signed is None:
        raise ExportRefused("The log is empty: it has no checkpoint.", next_step="Record something first.")
    head = checkpoint.open_checkpoint(signed, known)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ExportRefused(f"{target} exists already.")
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise ExportRefused(f"{error.filename}: {error.strerror}.") from error
    try:
        out = _Folder(work)
        out.write(CHECKPOINT, signed.encode())
        out.write(VKEY, f"{known}\n".encode())
        out.write("README.txt", README.format(size=head.size, origin=head.origin, vkey=known).encode())
        for name, data in (more or {}).items():
            out.write(name, data)
        _tiles(store, head.size, out)
        _bundles(store, head.size, out, progress)
        for digest, data in store.blobs():
            out.write(f"{BLOBS}/{digest.removeprefix('sha256:')}", data)
        work.rename(target)
    except OSError as error:
        raise ExportRefused(f"{error.filename or target}: {error.strerror}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Exported(str(target), head.origin, head.size, out.files, out.bytes, str(known))


class _Folder:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.files = 0
        self.bytes = 0
        self._made: set[Path] = set()

    def write(self, name: str, data: bytes) -> None:
        path = self.base / name
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        path.write_bytes(data)
        self.files += 1
        self.bytes += len(data)


def _tiles(store: Store, size: int, out: _Folder) -> None:
    for level, index, width in tiles.tiles_of(size):
        stored = store.tile(level, index)
        if stored is None or len(stored) < width * HASH_BYTES:
            raise LedgerDamaged(f"The tile {tile_path(level, index)} is missing or short.")
        out.write(tile_path(level, index, width), stored[: width * HASH_BYTES])


def _bundles(store: Store, size: int, out: _Folder, progress: Callable[[int, int], None] | None) -> None:
    leaves: list[bytes] = []
    disclosures: list[bytes] = []
    done = 0
    for entry in store.entries(0, size):
        if entry.index != done:
            raise LedgerDamaged(f"Entry {done} is missing.")
        leaves.append(entry.leaf)
        disclosures.append(erasing.stripped(entry.disclosures))
        done += 1
        if len(leaves) == WIDTH or done == size:
            index = (done - 1) // WIDTH
            out.write(tile_path("entries", index, len(leaves)), tiles.bundle(leaves))
            lines = b"".join(line + b"\n" for line in disclosures)
            out.write(tile_path("disclosures", index, len(leaves)), lines)
            leaves, disclosures = [], []
            if progress:
                progress(done, size)
    if done != size:
        raise LedgerDamaged(f"Entry {done} is missing.")
