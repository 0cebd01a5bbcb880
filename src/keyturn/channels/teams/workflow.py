"""Cards through a Workflows webhook (what took the place of connectors). Its address is the secret; nothing comes back from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from keyturn import canonical
from keyturn.channels.notices.channel import Channel, Follows, Receipt, Receiver
from keyturn.channels.notices.files import secret, trust
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.posting import Http, accepted, check_address
from keyturn.channels.teams.rendering import attachment, card, summary
from keyturn.service.channel_settings import TeamsSettings


class TeamsWorkflow(Channel):
    """One webhook. How a request ended is another card: a webhook can't change what it posted."""

    name = "teams:workflow"
    follows: Follows = "end"

    def __init__(self, home: Path, settings: TeamsSettings) -> None:
        self.quiet = settings.quiet
        address = secret(home, settings.workflow_file, "workflow_file of teams")
        self._url = check_address(address, "The address in workflow_file of teams")
        self._http = Http(trust(home, ""))

    def shared(self) -> Sequence[str]:
        """The one place behind the webhook."""
        return ("workflow",)

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """One card."""
        made = attachment(card(notice, buttons=False))
        body = msgspec.json.encode({"type": "message", "summary": summary(notice), "attachments": [made]})
        accepted(
            await self._http.send("POST", self._url, body=body, headers={"content-type": "application/json"})
        )
        return Receipt({}, canonical.digest_bytes(body))

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()
