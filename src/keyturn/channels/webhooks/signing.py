"""Signatures of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec 1.0). Pure.

Rules kept here:

- What is signed is `id.timestamp.body`: HMAC-SHA256 (`v1`) with each secret, Ed25519 (`v1a`) with each key. A receiver accepts
  the message if one signature is right, so secrets can be changed over one after the other.
- A secret is `whsec_` and base64 of 24 to 64 bytes, a private key `whsk_` and base64 of its 32 bytes seed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.channels.notices.channel import ChannelUnusable

SECRET, KEY = "whsec_", "whsk_"
SHORTEST, LONGEST = 24, 64
SEED = 32


def read_secret(text: str, what: str) -> bytes:
    """The bytes of `whsec_…`. Raises `ChannelUnusable`."""
    data = _decoded(text, SECRET, what)
    if not SHORTEST <= len(data) <= LONGEST:
        raise ChannelUnusable(f"{what} is not a secret of {SHORTEST} to {LONGEST} bytes.")
    return data


def read_key(text: str, what: str) -> Ed25519PrivateKey:
    """The key in `whsk_…`. Raises `ChannelUnusable`."""
    data = _decoded(text, KEY, what)
    if len(data) not in (SEED, 2 * SEED):  # some write the public key behind the seed
        raise ChannelUnusable(f"{what} is not an Ed25519 key.")
    return Ed25519PrivateKey.from_private_bytes(data[:SEED])


def _decoded(text: str, prefix: str, what: str) -> bytes:
    if not text.startswith(prefix):
        raise ChannelUnusable(f"{what} does not begin with {prefix}.")
    try:
        return base64.b64decode(text[len(prefix) :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ChannelUnusable(f"{what} is not base64 behind {prefix}.") from error


def signatures(
    message: str, timestamp: int, body: bytes, secrets: Sequence[bytes], keys: Sequence[Ed25519PrivateKey]
) -> str:
    """The value of `webhook-signature`."""
    signed = f"{message}.{timestamp}.".encode() + body
    macs = [("v1", hmac.new(secret, signed, hashlib.sha256).digest()) for secret in secrets]
    made = [*macs, *(("v1a", key.sign(signed)) for key in keys)]
    return " ".join(f"{version},{base64.b64encode(data).decode()}" for version, data in made)
