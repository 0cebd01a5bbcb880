"""Permits: single-use, expiring, signed permissions for one digest at one gate (promise 5).

Rules kept here:

- A token is `base64url(claims) "." base64url(signature)`; the claims are canonical JSON (RFC 8785), the signature is
  Ed25519 (RFC 8032) over `keyturn/permit/v1\\n` and the claims' bytes, so that no other signature of the same key is a permit.
- The signature is checked before a byte of the claims is read (fail closed, no parser before authentication).
- One permit has one token: other spellings of the same claims (padding, spare bits, order, unknown members) are forged.
- Expired from the instant `expires_ms` on. Source: RFC 7519 §4.1.4 draws the same boundary ("on or after").
- Used once: NIST SP 800-53r5 IA-2(8) (replay-resistant), AC-3(2) (what was authorized, and no more).
- Using it up is a ledger entry, so that is the service's part; `PermitUsed` is its word for the second time.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.errors import ExitCode, KeyturnError

DOMAIN = b"keyturn/permit/v1\n"
MAX_TOKEN = 8192
"""Characters. Real ones have about 700; more is not worth checking."""


class PermitRefused(KeyturnError):
    """A permit does not permit this. Subclasses say why."""

    code = "permit.refused"
    status = 403
    exit_code = ExitCode.REFUSED
    next_step = "Ask for the action again; a new decision gives a new permit."


class PermitForged(PermitRefused):
    """The token was not made by this Keyturn, or was altered."""

    code = "permit.forged"


class PermitExpired(PermitRefused):
    """The permit was not used in time."""

    code = "permit.expired"
    exit_code = ExitCode.EXPIRED


class PermitOtherBytes(PermitRefused):
    """The gate is about to run other bytes than were permitted."""

    code = "permit.other_bytes"


class PermitOtherGate(PermitRefused):
    """The permit is for another gate."""

    code = "permit.other_gate"


class PermitUsed(PermitRefused):
    """The permit was used before."""

    code = "permit.used"
    status = 409


class Claims(Struct, frozen=True, forbid_unknown_fields=True):
    """What a permit says. Times are milliseconds since 1970; `request` is None when policy let the action run at once."""

    id: str
    action: str
    digest: str
    gate: str
    policy: str
    issued_ms: int
    expires_ms: int
    request: str | None = None
    v: int = 1


_DECODER = msgspec.json.Decoder(Claims)
_ENCODE = msgspec.json.Encoder(order="sorted").encode
_LARGE = canonical.MAX_SAFE_INTEGER
_URLSAFE = bytes.maketrans(b"+/", b"-_")


def sign(claims: Claims, key: Ed25519PrivateKey) -> str:
    """The token for *claims*."""
    body = _body(claims)
    return f"{_encode(body)}.{_encode(key.sign(DOMAIN + body))}"


def _body(claims: Claims) -> bytes:
    """Their canonical bytes; of ASCII texts and small integers those are what any sorted encoder writes."""
    body = _ENCODE(claims)
    plain = body.isascii() and 0 <= claims.issued_ms < _LARGE and 0 <= claims.expires_ms < _LARGE
    return body if plain else canonical.dumps(to_builtins(claims))


def open_token(token: str, key: Ed25519PublicKey) -> Claims:
    """The claims of a genuine *token*. Raises `PermitForged`. Says nothing yet about time, bytes or gate: `check` does."""
    if len(token) > MAX_TOKEN:
        raise PermitForged(f"The permit has more than {MAX_TOKEN:,} characters.")
    body_text, dot, signature_text = token.partition(".")
    body, signature = _decode(body_text), _decode(signature_text)
    if not dot or body is None or signature is None:
        raise PermitForged("The permit has not the form of one.")
    try:
        key.verify(signature, DOMAIN + body)
    except InvalidSignature as error:
        raise PermitForged("The permit's signature is not this log's.") from error
    try:
        claims = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        raise PermitForged("The permit's claims are not those of this version.") from error
    if claims.v != 1 or _body(claims) != body:
        raise PermitForged("The permit's claims are not written as this version writes them.")
    return claims


def check(claims: Claims, *, digest: str, gate: str, now_ms: int) -> None:
    """Whether *claims* let *gate* run the bytes of *digest* at *now_ms*. Raises the subclass of `PermitRefused` that applies."""
    if claims.gate != gate:
        raise PermitOtherGate(f"The permit is for the gate {claims.gate!r}, not {gate[:200]!r}.")
    if claims.digest != digest:
        raise PermitOtherBytes(f"The permit is for {claims.digest}, but {digest[:200]} was about to run.")
    if now_ms >= claims.expires_ms:
        raise PermitExpired(f"The permit expired {(now_ms - claims.expires_ms) / 1000:.1f} seconds ago.")


def _encode(data: bytes) -> str:
    text = binascii.b2a_base64(data, newline=False).translate(_URLSAFE)
    return text.rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    """The bytes of *text*, None unless *text* is exactly what `_encode` gives for them."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _encode(data) == text else None
