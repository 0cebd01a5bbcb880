"""C2SP checkpoints: signed tree heads (c2sp.org/tlog-checkpoint). Pure.

The text is origin, size in decimal without leading zeros, base64 of the root hash, then optional non-empty extension
lines. This ledger writes none and its key's name is the origin.
"""

from __future__ import annotations

import re
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from keyturn.ledger import note
from keyturn.ledger.errors import NoteInvalid
from keyturn.ledger.merkle import EMPTY_ROOT, HASH_BYTES
from keyturn.ledger.note import VerifierKey

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


class Checkpoint(Struct, frozen=True):
    """A tree head: *root* (32 bytes) over the first *size* leaves of the log *origin*."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text that is signed."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "\n".join(lines) + "\n"


class Signer:
    """The log's key under its origin."""

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        self.key = note.verifier_key(origin, key)
        self.origin = origin
        self._private = key
        self._key_id = self.key.key_id

    def sign(self, size: int, root: bytes) -> str:
        """The signed checkpoint note over a tree head."""
        return self.signed(Checkpoint(self.origin, size, root).text)

    def signed(self, text: str) -> str:
        """*text*, which is no tree head, as a note signed by the log's key. Its first line says what it is."""
        return note.sign(text, self.origin, self._private, self._key_id)


def decimal(text: str) -> int:
    """A size or index: ASCII decimal without leading zeros. Raises `NoteInvalid`."""
    if not _DECIMAL.match(text):
        raise NoteInvalid(f"{text[:30]!r} is not a decimal number without leading zeros.")
    return int(text)


def parse(text: str) -> Checkpoint:
    """The tree head a (verified) note text states. Raises `NoteInvalid`."""
    if not text.endswith("\n"):
        raise NoteInvalid("The checkpoint does not end in a newline.")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteInvalid("The checkpoint has not three non-empty lines: origin, size, root hash.")
    origin, size, root, *extensions = lines
    hash_ = note.strict_base64(root)
    if len(hash_) != HASH_BYTES:
        raise NoteInvalid("The checkpoint's root is not a SHA-256 hash.")
    head = Checkpoint(origin, decimal(size), hash_, tuple(extensions))
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise NoteInvalid("The checkpoint's tree is empty but its root is not the empty tree's.")
    return head


def open_checkpoint(signed: str | bytes, key: VerifierKey) -> Checkpoint:
    """The tree head of a checkpoint note signed by the log *key*, whose name is the origin. Raises `NoteInvalid`."""
    head = parse(note.verify(signed, [key]).text)
    if head.origin != key.name:
        raise NoteInvalid(f"The checkpoint is of the log {head.origin!r}, the key of {key.name!r}.")
    return head


def read_unverified(signed: str | bytes) -> Checkpoint:
    """The tree head a checkpoint note claims, whoever signed it: for showing, never for believing."""
    return parse(note.parse(signed).text)
