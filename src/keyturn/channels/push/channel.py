"""Delivery to the browsers' push services: encrypted for the browser (RFC 8291), signed with the server's key (RFC 8292).

The service in between learns when, to which browser and how urgent, and no word. What the message says may be read on a locked
screen by anybody: tier, agent and verbs. It decides nothing; it opens the page.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keyturn import canonical
from keyturn.channels.notices.channel import Channel, ChannelUnusable, Receipt, Receiver, ReceiverRefused
from keyturn.channels.notices.files import trust
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.posting import Http, accepted, check_address
from keyturn.channels.notices.wording import lock_screen
from keyturn.channels.push.subscription import allowed, origin
from keyturn.home import Home
from keyturn.identity import Person
from keyturn.service import genesis
from keyturn.service.channel_settings import PushSettings

TOKEN_SECONDS = 6 * 3600
"""How long a signed token counts; RFC 8292 §2 allows a day."""
_URGENCY = {"low": "normal", "medium": "normal", "high": "high", "critical": "high"}


class PushChannel(Channel):
    """All browsers of all people."""

    name = "push"

    def __init__(self, home: Path, settings: PushSettings) -> None:
        try:
            from py_vapid import Vapid02
            from pywebpush import WebPusher
        except ImportError as error:
            raise ChannelUnusable(
                "Web push needs libraries that are not installed.", next_step="Install `keyturn[push]`."
            ) from error
        if not settings.contact.startswith(("mailto:", "https://")):
            raise ChannelUnusable("contact of push has to begin with mailto: or https://.")
        for service in settings.services:
            check_address(service, "a service of push")
        self.quiet = settings.quiet
        self.services = settings.services
        self._contact = settings.contact
        self._key = vapid_key(Home(home).vapid_key)
        self._vapid, self._pusher = Vapid02, WebPusher
        self._http = Http(trust(home, settings.ca_file))
        self._browsers: dict[str, Mapping[str, Any]] = {}

    @property
    def public_key(self) -> str:
        """What browsers are told: `applicationServerKey`."""
        return public_text(self._key)

    def addresses(self, person: Person, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """Each of the person's browsers."""
        self._browsers.update({row["id"]: row for row in rows})
        return [row["id"] for row in rows]

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """One message."""
        browser = self._browsers.get(receiver.to)
        if browser is None:
            raise ReceiverRefused("That browser gets no messages any more.")
        if not allowed(browser["endpoint"], self.services):
            raise ReceiverRefused("Its push service is not one that this server sends to.", gone=True)
        body = payload(notice)
        keys = {"p256dh": browser["p256dh"], "auth": browser["auth"]}
        sealed = self._pusher({"endpoint": browser["endpoint"], "keys": keys}).encode(body)["body"]
        answer = await self._http.send(
            "POST",
            browser["endpoint"],
            body=bytes(sealed),
            headers=self._headers(notice, browser["endpoint"]),
        )
        if answer.status in (404, 410):
            raise ReceiverRefused("The push service says that this browser is gone.", gone=True)
        if answer.status in (401, 403):
            raise ReceiverRefused(f"The push service refused the server's key ({answer.status}).")
        accepted(answer)
        return Receipt({}, canonical.digest_bytes(body))

    def _headers(self, notice: Notice, endpoint: str) -> dict[str, str]:
        now = int(time.time())
        claims = {"aud": origin(endpoint), "exp": now + TOKEN_SECONDS, "sub": self._contact}
        signed = self._vapid(private_key=self._key).sign(claims)
        left = notice.expires // 1000 - now
        return {
            "authorization": signed["Authorization"],
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(max(60, min(left, 7 * 24 * 3600))),
            "urgency": "high" if notice.phase == "alarm" else _URGENCY.get(notice.tier, "normal"),
            "topic": _topic(notice.about),
        }

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()


def payload(notice: Notice) -> bytes:
    """What the browser's worker shows."""
    title, body = lock_screen(notice)
    if notice.phase == "reminded":
        title = f"Still waiting. {title}"
    if notice.phase == "test":
        title, body = notice.title, notice.sentence
    room = "findings" if notice.phase == "finding" else "requests"
    path = f"/{room}/{notice.link.rpartition('/')[2]}" if notice.phase != "test" else "/"
    return msgspec.json.encode({"title": title, "body": body, "path": path, "tag": notice.about})


def vapid_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The server's key for push services (P-256), made when there is none. Raises `ChannelUnusable`, `HomeUnwritable`."""
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        genesis.write_private(path, pem)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise ChannelUnusable(f"{path} can't be read as a key.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ChannelUnusable(f"{path} is not a P-256 key.")
    return key


def public_text(key: ec.EllipticCurvePrivateKey) -> str:
    """The public key as browsers want it: the uncompressed point, base64url."""
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def _topic(about: str) -> str:
    """A later message about the same request takes the place of one not delivered yet (RFC 8030 §5.4: at most 32 characters)."""
    return base64.urlsafe_b64encode(hashlib.sha256(about.encode()).digest()).decode()[:32]
