"""What a browser sends when it asks for push messages, checked. Pure.

Rules kept here:

- The server sends messages to an address that a browser names, so only those of push services are taken: the browsers' own,
  and those that the operator adds. Anything else would make the server knock at any door.
- Keys are what they have to be: a point on P-256 (RFC 8291 §3.1) and 16 bytes of authentication secret (§3.2).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from keyturn.errors import Malformed

EXACT = frozenset(
    ("fcm.googleapis.com", "jmt17.google.com", "updates.push.services.mozilla.com", "web.push.apple.com")
)
BELOW = (".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com")
"""Push services of Chromium, Firefox, Safari and Edge."""
LONGEST = 2_048
SECRET = 16


class Keys(Struct, frozen=True):
    """`keys` of a PushSubscription, base64url."""

    p256dh: str
    auth: str


class Subscription(Struct, frozen=True):
    """A PushSubscription as `toJSON()` gives it."""

    endpoint: str
    keys: Keys


def check(given: Subscription, services: Collection[str]) -> Subscription:
    """*given*, if a message can and may be sent there. *services*: origins that the operator added. Raises `Malformed`."""
    if len(given.endpoint) > LONGEST or not given.endpoint.isascii() or not given.endpoint.isprintable():
        raise Malformed("That is not the address of a push service.")
    if not allowed(given.endpoint, services):
        raise Malformed(
            "That is not a push service that this server sends to.",
            next_step="An administrator can add it to `services` in the section [push] of keyturn.toml.",
        )
    point, secret = _decoded(given.keys.p256dh), _decoded(given.keys.auth)
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise Malformed("The browser's key is not one.") from error
    if len(point) != 65 or len(secret) != SECRET:
        raise Malformed("The browser's key is not one.")
    return given


def allowed(endpoint: str, services: Collection[str]) -> bool:
    """Whether *endpoint* is at one of the browsers' push services, or at one of *services*."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.username or parts.password or not host:
        return False
    if origin(endpoint) in {service.rstrip("/") for service in services}:
        return True
    return parts.scheme == "https" and port in (None, 443) and (host in EXACT or host.endswith(BELOW))


def origin(endpoint: str) -> str:
    """`https://host`, the audience of a message's token (RFC 8292 §2)."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Malformed("The browser's key is not base64.") from error
