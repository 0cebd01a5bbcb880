"""Delivery of signed webhooks. Nothing comes in through them: whoever wants to decide uses the page, the API or a chat."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from keyturn import canonical
from keyturn.channels.notices.channel import Channel, ChannelUnusable, Follows, Receipt, Receiver
from keyturn.channels.notices.files import secret, trust
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.posting import Http, accepted, check_address
from keyturn.channels.webhooks.signing import read_key, read_secret, signatures
from keyturn.service.channel_settings import WebhookSettings

MOST_TEXT = 16_000
"""Characters of the action in a message; the spec wants payloads below 20 kB. What is longer is cut, and says so."""

_TYPES = {
    "opened": "request.opened",
    "reminded": "request.reminded",
    "changed": "request.changed",
    "ended": "request.ended",
    "alarm": "breakglass.used",
    "finding": "finding.changed",
    "test": "channel.test",
}


def payload(notice: Notice, now: float) -> bytes:
    """The body: `{"type", "timestamp", "data"}`, where data is the notice; `text_cut` says whether all of the action is there."""
    cut = len(notice.text) > MOST_TEXT
    data = {
        ("finding" if notice.phase == "finding" else "request"): notice.about,
        "state": notice.state,
        "title": notice.title,
        "sentence": notice.sentence,
        "kind": notice.kind,
        "tier": notice.tier or None,
        "text": notice.text[:MOST_TEXT],
        "text_cut": cut,
        "beside": {line.name: line.text for line in notice.beside},
        "who": {line.name: line.text for line in notice.who},
        "why": list(notice.why),
        "stages": list(notice.stages),
        "outcome": notice.outcome,
        "opened": notice.opened,
        "expires": notice.expires,
        "digest": notice.digest,
        "display": notice.display,
        "link": notice.link,
    }
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    kind = "finding.opened" if (notice.phase, notice.key) == ("finding", "opened") else _TYPES[notice.phase]
    return msgspec.json.encode({"type": kind, "timestamp": moment, "data": data})


def message_id(notice: Notice) -> str:
    """The same for every try of the same message, so that a receiver can drop what it has (spec: idempotency)."""
    return "msg_" + canonical.digest({"about": notice.about, "key": notice.key}).removeprefix("sha256:")[:32]


class WebhookChannel(Channel):
    """One receiver."""

    follows: Follows = "changes"
    most_a_minute = 0

    def __init__(self, home: Path, settings: WebhookSettings, clock: Callable[[], float] = time.time) -> None:
        what = f"webhook {settings.name}"
        self.name = f"webhook:{settings.name}"
        self.quiet = settings.quiet
        self._url = check_address(settings.url, f"url of {what}")
        self._secrets = [
            read_secret(secret(home, name, f"secret of {what}"), f"The secret of {what}")
            for name in settings.secret_files
        ]
        self._keys = []
        if settings.key_file:
            text = secret(home, settings.key_file, f"key_file of {what}")
            self._keys = [read_key(text, f"The key of {what}")]
        if not self._secrets and not self._keys:
            raise ChannelUnusable(
                f"{what} has neither secret_files nor key_file: nobody could check its messages."
            )
        self._http = Http(trust(home, settings.ca_file))
        self._clock = clock

    def shared(self) -> Sequence[str]:
        """The one receiver."""
        return ("receiver",)

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """One signed POST."""
        now = self._clock()
        body = payload(notice, now)
        message = message_id(notice)
        headers = {
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signatures(message, int(now), body, self._secrets, self._keys),
        }
        accepted(await self._http.send("POST", self._url, body=body, headers=headers))
        return Receipt({"id": message}, canonical.digest_bytes(body))

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()
