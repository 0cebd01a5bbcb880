"""C2SP tlog-proof: one text that proves offline that an entry is in a log (c2sp.org/tlog-proof@v1). Pure.

Rules kept here: the first line names the format; an optional `extra` line with opaque, *unauthenticated* data; the
`index` line; the inclusion path from the leaf's sibling to the root's child, one base64 hash a line; an empty line; the
checkpoint verbatim.
"""

from __future__ import annotations

from base64 import b64encode

from msgspec import Struct

from keyturn.errors import NotFound
from keyturn.ledger import checkpoint, merkle, note
from keyturn.ledger.checkpoint import Checkpoint
from keyturn.ledger.errors import NoteInvalid, ProofInvalid
from keyturn.ledger.note import VerifierKey
from keyturn.ledger.tiles import TileReader, subtrees

FORMAT = "c2sp.org/tlog-proof@v1"
MAX_PATH = 64


class Proof(Struct, frozen=True):
    """A parsed proof. `extra` is never authenticated: don't believe it."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def text(self) -> str:
        """The proof as a `.tlog-proof` file holds it."""
        lines = [FORMAT]
        if self.extra is not None:
            lines.append(f"extra {b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines.extend(b64encode(hash_).decode() for hash_ in self.path)
        return "\n".join(lines) + "\n\n" + self.checkpoint


def prove(index: int, head: str, read: TileReader) -> str:
    """The proof text that entry *index* is under the checkpoint note *head*, from the log's tiles.

    Raises `NotFound` outside of the tree, `NoteInvalid` for *head*, `LedgerDamaged` when a tile is missing.
    """
    size = checkpoint.read_unverified(head).size
    if not 0 <= index < size:
        raise NotFound(f"The ledger has no entry {index}; it has {size} entries.")
    path = merkle.inclusion_path(index, size, subtrees(size, read))
    return Proof(index, tuple(path), head).text


def parse(text: str) -> Proof:
    """The parts of a proof, unverified. Raises `ProofInvalid`."""
    head, gap, signed = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != FORMAT:
        raise ProofInvalid(
            f"The text does not begin with {FORMAT!r} and hold a checkpoint after an empty line."
        )
    rest = lines[1:]
    try:
        extra = None
        if rest and rest[0].startswith("extra "):
            extra = note.strict_base64(rest.pop(0)[len("extra ") :])
        if not rest or not rest[0].startswith("index "):
            raise ProofInvalid("The proof has no index line where it belongs.")
        index = checkpoint.decimal(rest.pop(0)[len("index ") :])
        path = tuple(note.strict_base64(line) for line in rest)
    except NoteInvalid as error:
        raise ProofInvalid(error.happened) from error
    if len(path) > MAX_PATH or any(len(hash_) != merkle.HASH_BYTES for hash_ in path):
        raise ProofInvalid("The inclusion path is not a list of at most 64 SHA-256 hashes.")
    return Proof(index, path, signed, extra)


def verify(text: str, leaf: bytes, key: VerifierKey) -> tuple[int, Checkpoint]:
    """That *leaf* (its exact bytes) is in the log of *key*: its index and the tree head it is under.

    Raises `ProofInvalid`, or `NoteInvalid` for the checkpoint.
    """
    proof = parse(text)
    head = checkpoint.open_checkpoint(proof.checkpoint, key)
    if not merkle.includes(merkle.leaf_hash(leaf), proof.index, head.size, proof.path, head.root):
        raise ProofInvalid(
            f"The path does not lead from these bytes at index {proof.index} to the checkpoint's root."
        )
    return proof.index, head
