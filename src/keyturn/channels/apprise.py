"""Any service that Apprise knows. Each reads marks of its own in a text, so a message has no word of the action: tier, agent, verbs, link.

Messages there can't be changed, so they don't say how a request ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keyturn import canonical
from keyturn.channels.notices.channel import (
    Channel,
    ChannelDown,
    ChannelUnusable,
    Receipt,
    Receiver,
    ReceiverRefused,
)
from keyturn.channels.notices.files import secret
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.wording import lock_screen, standing
from keyturn.service.channel_settings import AppriseSettings

log = logging.getLogger("keyturn.notices")


class AppriseChannel(Channel):
    """One receiver for each line of the file; a receiver's name is its number and service, never its address (a secret)."""

    name = "apprise"

    def __init__(self, home: Path, settings: AppriseSettings) -> None:
        try:
            import apprise
        except ImportError as error:
            raise ChannelUnusable(
                "Apprise is not installed.", next_step="Install `keyturn[apprise]`."
            ) from error
        self.quiet = settings.quiet
        text = secret(home, settings.urls_file, "urls_file of apprise")
        lines = (line.strip() for line in text.splitlines())
        self._places: dict[str, Any] = {}
        for number, line in enumerate(one for one in lines if one and not one.startswith("#")):
            place = apprise.Apprise()
            if not place.add(line):
                raise ChannelUnusable(
                    f"urls_file of apprise: address {number + 1} is none that Apprise knows."
                )
            self._places[f"{number + 1}:{line.partition(':')[0]}"] = place
        if not self._places:
            raise ChannelUnusable("urls_file of apprise has no address.")

    def shared(self) -> Sequence[str]:
        """Every line."""
        return tuple(self._places)

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """One message in a thread of its own: Apprise's calls block."""
        place = self._places.get(receiver.to)
        if place is None:
            raise ReceiverRefused("That address is no longer in the file.")
        title, words = lock_screen(notice)
        body = f"{words}\n{standing(notice)}\nDecide on its page: {notice.link}\n"
        try:
            done = await asyncio.to_thread(
                place.notify, body=body, title=f"Keyturn: {title}", body_format="text"
            )
        except Exception as error:  # its plug-ins are many, and each raises what it likes
            log.warning("Apprise failed: %s", type(error).__name__)
            raise ChannelDown(f"Apprise failed ({type(error).__name__}).") from error
        if not done:
            raise ChannelDown("The service did not take it; Apprise does not say why.")
        return Receipt({}, canonical.digest_bytes(body.encode("utf-8", "surrogatepass")))
