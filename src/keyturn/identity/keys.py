"""Keys of people: what an enrolled key is, and what an enrolment commits to. Pure.

Rules kept here:

- A key belongs to one person for ever: its id is made from the public key alone, so the same key can't be enrolled for
  somebody else, nor again after it was revoked.
- An enrolment commits to the whole record with one SHA-256 over its canonical JSON. Where an identity provider is
  configured, that commitment is the nonce of its ID token, so that the provider's signature binds key and account
  (OpenPubkey has the same idea: https://arxiv.org/abs/2307.08201 §3).
- The record has 256 random bits, so the commitment tells nothing about a key that is not disclosed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Literal

from msgspec import Struct, to_builtins

from keyturn import canonical

KeyType = Literal["passkey", "ssh"]

RANDOM_BYTES = 32


class KeyRecord(Struct, frozen=True):
    """What is enrolled. Binary values are base64url without padding.

    `public_key`: a passkey's COSE_Key (RFC 9052 §7), an SSH key's wire form (RFC 4253 §6.6). `rp_id` and `aaguid` (as a UUID) are
    a passkey's, empty for SSH; `credential_id` is a passkey's id, an SSH key's fingerprint. `log` is the log's origin.
    """

    type: KeyType
    person: str
    log: str
    rp_id: str
    public_key: str
    credential_id: str
    aaguid: str
    random: str
    v: int = 1


class EnrolledKey(Struct, frozen=True):
    """A key as the roster has it now.

    `attested`: whether its enrolment showed, under a root certificate that the house trusts, that it can't leave a device.
    `backup`: whether it may be synchronised to other devices (the BE flag of WebAuthn). `revoked`: no longer good for anything.
    """

    id: str
    record: KeyRecord
    attested: bool = False
    backup: bool = False
    revoked: bool = False


def commitment(record: KeyRecord) -> str:
    """What an enrolment commits to, base64url without padding: the nonce that the provider's ID token must carry."""
    return to_b64(hashlib.sha256(canonical.dumps(to_builtins(record))).digest())


def key_id(public_key: bytes) -> str:
    """`k_` and 32 hexadecimal digits, from the public key alone."""
    return "k_" + hashlib.sha256(b"keyturn/key/v1\n" + public_key).hexdigest()[:32]


def to_b64(data: bytes) -> str:
    """base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64(text: str) -> bytes:
    """The bytes behind base64url without padding. Raises ValueError for anything but its one form."""
    try:
        raw = text.encode("ascii")
        data = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("not base64url") from error
    if to_b64(data) != text:
        raise ValueError("not the one base64url form")
    return data
