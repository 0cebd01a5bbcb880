"""The bot: posts cards to one conversation, changes them as the request goes on, and takes the buttons' clicks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from keyturn import canonical
from keyturn.channels.notices.channel import (
    Channel,
    ChannelDown,
    ChannelUnusable,
    Follows,
    Receipt,
    Receiver,
    ReceiverRefused,
)
from keyturn.channels.notices.files import secret, trust
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.posting import Answer, Http, accepted, check_address
from keyturn.channels.teams.rendering import attachment, card, summary
from keyturn.channels.teams.tokens import Keys
from keyturn.service.channel_settings import TeamsSettings

if TYPE_CHECKING:
    from litestar.types import ControllerRouterHandler

    from keyturn.channels.notices.desk import ChatDesk

SCOPE = "https://api.botframework.com/.default"
EARLY = 120.0
"""Seconds before its end at which a token is no longer used."""


class TeamsBot(Channel):
    """One bot in one directory, one conversation."""

    name = "teams"
    follows: Follows = "changes"

    def __init__(self, home: Path, settings: TeamsSettings) -> None:
        for setting in ("app_id", "tenant", "conversation"):
            if not getattr(settings, setting):
                raise ChannelUnusable(f"{setting} of teams is not set; a bot needs it.")
        self.quiet = settings.quiet
        self.approves = settings.approve
        self.settings = settings
        self._secret = secret(home, settings.secret_file, "secret_file of teams")
        self._service = check_address(settings.service_url, "service_url of teams").rstrip("/")
        login = check_address(settings.login, "login of teams").rstrip("/")
        self._login = f"{login}/{quote(settings.tenant, safe='')}/oauth2/v2.0/token"
        self._http = Http(trust(home, ""))
        self.keys = Keys(self._http, settings.openid)
        self._token, self._until = "", 0.0

    def shared(self) -> Sequence[str]:
        """The conversation."""
        return (self.settings.conversation,)

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """A new card, or the card itself changed; a reminder is a new card, since changed ones don't ring."""
        made = attachment(card(notice, buttons=True))
        body = msgspec.json.encode({"type": "message", "summary": summary(notice), "attachments": [made]})
        place = f"{self._service}/v3/conversations/{quote(receiver.to, safe='')}/activities"
        digest = canonical.digest_bytes(body)
        if ref and notice.phase != "reminded":
            await self._call("PUT", f"{place}/{quote(str(ref['id']), safe='')}", body)
            return Receipt(dict(ref), digest)
        answer = await self._call("POST", place, body)
        identity = answer.json().get("id")
        if not isinstance(identity, str) or not identity:
            raise ChannelDown("Teams answered without the id of the card.")
        return Receipt({"id": identity}, digest)

    async def _call(self, method: str, url: str, body: bytes) -> Answer:
        headers = {"content-type": "application/json", "authorization": f"Bearer {await self._bearer()}"}
        answer = await self._http.send(method, url, body=body, headers=headers)
        if answer.status == 401:
            self._token = ""  # expired early, or taken back: the next try gets a new one
            raise ChannelDown("Teams refused the bot's token.")
        if answer.status == 403:
            raise ReceiverRefused("Teams says that the bot is not in that conversation.")
        return accepted(answer)

    async def _bearer(self) -> str:
        """A token of the bot's, kept until shortly before its end."""
        if self._token and time.monotonic() < self._until:
            return self._token
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.settings.app_id,
                "client_secret": self._secret,
                "scope": SCOPE,
            }
        ).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await self._http.send("POST", self._login, body=form, headers=headers)
        if answer.status in (400, 401, 403):
            raise ChannelDown("Microsoft refused the bot's secret or application id.")
        given = accepted(answer).json()
        token, seconds = given.get("access_token"), given.get("expires_in")
        if not isinstance(token, str) or not isinstance(seconds, int | float):
            raise ChannelDown("Microsoft answered without a token.")
        self._token, self._until = token, time.monotonic() + seconds - EARLY
        return token

    def routes(self, desk: ChatDesk) -> Sequence[ControllerRouterHandler]:
        """`/teams/messages`."""
        from keyturn.channels.teams.clicks import route

        return (route(self, desk),)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()
