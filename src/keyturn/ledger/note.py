"""C2SP signed notes with Ed25519 (c2sp.org/signed-note). Pure.

Rules kept here:

- A note is valid UTF-8 without control characters other than newline: text ending in a newline, an empty line, then one
  or more lines `— <key name> <base64(key ID ‖ signature)>`. The text ends at the *last* empty line.
- Key names are not empty and have neither Unicode spaces nor `+`.
- key ID = SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[:4].
- Signatures of unknown keys are ignored; a bad signature of a known key rejects the note; so does having none of a known key.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from keyturn.ledger.errors import NoteInvalid

ED25519 = b"\x01"
"""The signature type byte of the note specification."""
MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
"""The specification asks for at least 16."""


class VerifierKey(Struct, frozen=True):
    """A public key under a name. `public` are the 32 bytes of RFC 8032."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in a signature line."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """The vkey line: `<name>+<hex key ID>+<base64(0x01 ‖ public key)>`."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(ED25519 + self.public).decode()}"


class Signature(Struct, frozen=True):
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


class Note(Struct, frozen=True):
    """A parsed note. `text` includes its final newline. Believe it only when `verify` gave it."""

    text: str
    signatures: tuple[Signature, ...]


def verifier_key(name: str, key: Ed25519PrivateKey | Ed25519PublicKey) -> VerifierKey:
    """The public half of *key* under *name*. Raises `NoteInvalid` for a name that notes can't carry."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return VerifierKey(_named(name), public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def parse_vkey(line: str) -> VerifierKey:
    """The key of a vkey line. Raises `NoteInvalid`."""
    name, _, rest = line.strip("\n").partition("+")
    key_id, _, encoded = rest.partition("+")
    data = strict_base64(encoded)
    if data[:1] != ED25519 or len(data) != 33:
        raise NoteInvalid("The key line is not an Ed25519 verifier key of a signed note.")
    key = VerifierKey(_named(name), data[1:])
    if key.key_id.hex() != key_id:
        raise NoteInvalid(f"The key line says key ID {key_id!r}, its key has {key.key_id.hex()!r}.")
    return key


def sign(text: str, name: str, key: Ed25519PrivateKey, key_id: bytes | None = None) -> str:
    """*text* as a note signed by *key*. `key_id` spares recomputing it."""
    known = key_id or verifier_key(name, key).key_id
    return f"{text}\n— {name} {b64encode(known + key.sign(text.encode())).decode()}\n"


def parse(note: str | bytes) -> Note:
    """The parts of *note*, unverified. Raises `NoteInvalid`."""
    try:
        text = note.decode("utf-8") if isinstance(note, bytes) else note
        size = len(text.encode("utf-8"))
    except UnicodeError as error:
        raise NoteInvalid("The note is not UTF-8.") from error
    if size > MAX_NOTE_BYTES:
        raise NoteInvalid(f"The note has {size} bytes; {MAX_NOTE_BYTES} is the limit.")
    if any(character < " " and character != "\n" for character in text):
        raise NoteInvalid("The note has a control character.")
    body, gap, tail = text.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteInvalid("The note has no signatures after an empty line.")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteInvalid(f"The note has {len(lines)} signatures; {MAX_SIGNATURES} is the limit.")
    return Note(body + "\n", tuple(_signature(line) for line in lines))


def verify(note: str | bytes, keys: Iterable[VerifierKey]) -> Note:
    """The note, signed by at least one of *keys*. Raises `NoteInvalid`."""
    parsed = parse(note)
    known = {(key.name, key.key_id): key for key in keys}
    good = 0
    for line in parsed.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if not _signed(key, parsed.text, line.signature):
            raise NoteInvalid(f"The signature of {key.name} is not over this text.")
        good += 1
    if not good:
        names = ", ".join(sorted({line.name for line in parsed.signatures}))
        raise NoteInvalid(f"No key that was asked for signed the note; it has signatures of {names}.")
    return parsed


def _signed(key: VerifierKey, text: str, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _signature(line: str) -> Signature:
    mark, _, rest = line.partition(" ")
    name, gap, encoded = rest.partition(" ")
    if mark != "—" or not gap:
        raise NoteInvalid("A signature line is not `— <name> <base64>`.")
    data = strict_base64(encoded)
    if len(data) < 5:
        raise NoteInvalid("A signature line has no signature.")
    return Signature(_named(name), data[:4], data[4:])


def _named(name: str) -> str:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteInvalid(f"The key name {name!r} is empty or has a space or a plus sign.")
    return name


def strict_base64(text: str) -> bytes:
    """Strict RFC 4648 §4: one encoding for one value."""
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except (UnicodeError, binascii.Error) as error:
        raise NoteInvalid("A base64 value in the note is malformed.") from error
    if b64encode(data).decode() != text:
        raise NoteInvalid("A base64 value in the note is not in its one canonical form.")
    return data
