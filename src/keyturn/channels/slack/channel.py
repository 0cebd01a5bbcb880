"""Messages to Slack over its Web API, changed in place as the request goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from keyturn.channels.notices.files import secret
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.posting import check_address, retry_after, words_of
from keyturn.channels.slack.rendering import blocks, fallback
from keyturn.identity import Person
from keyturn.service.channel_settings import SlackSettings

if TYPE_CHECKING:
    from litestar.types import ControllerRouterHandler

    from keyturn.channels.notices.desk import ChatDesk
    from keyturn.channels.slack.clicks import Clicks

SECONDS = 15
_OF_RECEIVER = frozenset(
    (
        "channel_not_found", "not_in_channel", "is_archived", "user_not_found", "users_not_found", "user_disabled",
        "cannot_dm_bot", "message_not_found", "cant_update_message", "edit_window_closed", "restricted_action",
        "invalid_blocks", "invalid_blocks_format", "msg_too_long", "messages_tab_disabled",
    )
)  # fmt: skip
"""Answers that are about one place or one message: trying again would not help."""


class SlackChannel(Channel):
    """One app in one workspace."""

    name = "slack"
    follows: Follows = "changes"

    def __init__(self, home: Path, settings: SlackSettings) -> None:
        try:
            from slack_sdk.web.async_client import AsyncWebClient
        except ImportError as error:
            raise ChannelUnusable(
                "Slack needs libraries that are not installed.", next_step="Install `keyturn[slack]`."
            ) from error
        self.quiet = settings.quiet
        self.approves = settings.approve
        self.settings = settings
        base = check_address(settings.api, "api of slack")
        token = secret(home, settings.token_file, "token_file of slack")
        if settings.mode == "socket":
            self.second = secret(home, settings.app_token_file, "app_token_file of slack")
        else:
            self.second = secret(home, settings.signing_secret_file, "signing_secret_file of slack")
        self.client = AsyncWebClient(
            token, base_url=base if base.endswith("/") else base + "/", timeout=SECONDS, retry_handlers=[]
        )
        self._clicks: Clicks | None = None

    def shared(self) -> Sequence[str]:
        """The channel, if one is named."""
        return (self.settings.channel,) if self.settings.channel else ()

    def addresses(self, person: Person, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """The person's users in Slack."""
        if not self.settings.direct:
            return ()
        mine = (account for account in person.accounts if account.startswith("slack:"))
        return [account.rpartition("|")[2] for account in mine]

    async def send(self, notice: Notice, receiver: Receiver, ref: Mapping[str, Any] | None) -> Receipt:
        """A new message, an answer below it as a reminder, or the message itself changed."""
        body = {
            "text": fallback(notice),
            "blocks": blocks(notice),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        digest = canonical.digest_bytes(msgspec.json.encode(body, order="sorted"))
        if ref is None:
            answer = await self.call("chat.postMessage", channel=receiver.to, parse="none", **body)
            return Receipt({"channel": answer["channel"], "ts": answer["ts"]}, digest)
        if notice.phase == "reminded":
            body |= {"channel": ref["channel"], "thread_ts": ref["ts"], "reply_broadcast": True}
            await self.call("chat.postMessage", parse="none", **body)
        else:
            await self.call("chat.update", channel=ref["channel"], ts=ref["ts"], parse="none", **body)
        return Receipt(dict(ref), digest)

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """One call of the Web API. Raises `ChannelDown` or `ReceiverRefused`."""
        import aiohttp
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            answer = await self.client.api_call(method, json=arguments)
        except SlackApiError as error:
            raise _refusal(error.response) from error
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ChannelDown(words_of(error)) from error
        data = answer.data
        if not isinstance(data, dict):
            raise ChannelDown("Slack answered with something that is not its API's.")
        return data

    def routes(self, desk: ChatDesk) -> Sequence[ControllerRouterHandler]:
        """`/slack/events`, in HTTP mode."""
        if self.settings.mode != "http":
            return ()
        from keyturn.channels.slack.clicks import Clicks, route

        self._clicks = Clicks(self, desk)
        return (route(self._clicks),)

    async def listen(self, desk: ChatDesk) -> None:
        """Connect, in socket mode."""
        if self.settings.mode == "socket":
            from keyturn.channels.slack.clicks import Clicks

            self._clicks = Clicks(self, desk)
            await self._clicks.connect()

    def trouble(self) -> str:
        """Whether the connection is there, in socket mode."""
        if self.settings.mode == "socket" and self._clicks is not None and not self._clicks.connected:
            return "It is not connected to Slack, so no click comes in. It tries again by itself."
        return ""

    async def close(self) -> None:
        """Hang up."""
        if self._clicks is not None:
            await self._clicks.close()


def _refusal(response: Any) -> ChannelDown | ReceiverRefused:
    """An answer that is not ok, in words."""
    if not hasattr(response, "data"):  # the SDK hands over the bare HTTP answer when it could not be read
        return ChannelDown(
            f"Slack answered {getattr(response, 'status', 'something')} that is not its API's."
        )
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or "")[:60]
    headers = {str(name): str(value) for name, value in (response.headers or {}).items()}
    if response.status_code == 429 or code in ("ratelimited", "rate_limited"):
        return ChannelDown("Slack wants fewer messages for a while.", retry_after=retry_after(headers))
    if code in _OF_RECEIVER:
        return ReceiverRefused(f"Slack says {code}.")
    if code:
        return ChannelDown(f"Slack says {code}.")
    return ChannelDown(f"Slack answered {response.status_code}.")
