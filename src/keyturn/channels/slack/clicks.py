"""What people press in Slack. Bolt checks who calls: the signature and its five minutes in HTTP mode, the app token in socket mode.

A button opens a window for the reason; sending that window decides. The clicker is the user that Slack names, as
`slack:TEAM|USER`; nothing in a button's value is believed but as something to be checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, post
from litestar.types import ControllerRouterHandler
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

from keyturn.channels.notices.channel import Undelivered
from keyturn.channels.notices.composing import compose
from keyturn.channels.notices.desk import ChatDesk
from keyturn.channels.slack.rendering import APPROVE, DENY, OPEN, REASON, Pressed, reason_window, words_window
from keyturn.channels.web.wording import STATE_MEANS, STATES
from keyturn.errors import KeyturnError, Malformed

if TYPE_CHECKING:
    from keyturn.channels.slack.channel import SlackChannel

log = logging.getLogger("keyturn.slack")
MOST_BODY = 262_144


class Clicks:
    """The app's listeners, over HTTP or a socket."""

    def __init__(self, channel: SlackChannel, desk: ChatDesk) -> None:
        self._channel = channel
        self._desk = desk
        quiet = logging.getLogger("keyturn.slack.bolt")
        http = channel.settings.mode == "http"
        self.app = AsyncApp(
            client=channel.client,
            signing_secret=channel.second if http else None,
            request_verification_enabled=http,
            ssl_check_enabled=False,
            logger=quiet,
        )
        self.app.action(DENY)(self._pressed)
        self.app.action(APPROVE)(self._pressed)
        self.app.action(OPEN)(_nothing)
        self.app.view(REASON)(self._sent)
        self._handler: AsyncSocketModeHandler | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._quiet = quiet

    @property
    def connected(self) -> bool:
        """Whether the socket is open."""
        session = self._handler.client.current_session if self._handler else None
        return session is not None and not session.closed

    async def connect(self) -> None:
        """Connect in the background: a Slack that doesn't answer keeps nothing else from starting."""
        self._handler = AsyncSocketModeHandler(
            self.app, self._channel.second, logger=self._quiet, web_client=self._channel.client
        )
        self._connecting = asyncio.create_task(self._handler.connect_async())  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Hang up."""
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._connecting
        if self._handler is not None:
            with contextlib.suppress(Exception):
                await self._handler.close_async()  # type: ignore[no-untyped-call]

    async def _pressed(self, ack: Any, body: dict[str, Any]) -> None:
        """A button: open the window, or say in words why not."""
        await ack()
        try:
            pressed = _read(body["actions"][0].get("value", ""))
            person = self._desk.person(_account(body))
            view = await self._desk.request(pressed.request, person)
            refused = view.may_decide if pressed.choice == "approve" else view.may_deny
            if refused:
                await self._whisper(body, refused)
                return
            self._desk.check(view, _choice(pressed), chat_approves=self._channel.approves)
            notice = compose(
                view, "opened", "opened", self._desk.link(view.id), chat_approves=self._channel.approves
            )
            state = msgspec.json.encode(pressed).decode()
            window = reason_window(notice, pressed.choice, state)
            await self._channel.call("views.open", trigger_id=body["trigger_id"], view=window)
        except Undelivered as error:
            log.warning("a window could not be opened: %s", error.happened)
            await self._whisper(body, "The window could not be opened. Open the page to decide.")
        except KeyturnError as error:
            await self._whisper(body, f"{error.happened} {error.not_done} {error.do_next}")

    async def _sent(self, ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        """The window was sent: decide, and say in the window how it went."""
        try:
            pressed = _read(view.get("private_metadata", ""))
            reason = view["state"]["values"][REASON][REASON].get("value") or ""
            after = await self._desk.decide(
                pressed.request,
                self._desk.person(_account(body)),
                _choice(pressed),
                reason=str(reason),
                digest=pressed.digest,
                display=pressed.display,
                channel="slack",
                chat_approves=self._channel.approves,
            )
        except KeyturnError as error:
            lines = [error.happened, error.not_done, error.do_next]
            await ack(response_action="update", view=words_window("Not decided", lines))
            return
        if after.drill is not None:
            await ack(response_action="update", view=words_window("A drill", [after.ended_why]))
            return
        done = "Approved once" if pressed.choice == "approve" else "Denied"
        lines = [f"{done} and recorded.", f"{STATES[after.state]}: {STATE_MEANS[after.state]}"]
        await ack(response_action="update", view=words_window(done, lines))

    async def _whisper(self, body: dict[str, Any], words: str) -> None:
        """Say something to the clicker alone."""
        place = (body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id")
        with contextlib.suppress(Undelivered):
            await self._channel.call(
                "chat.postEphemeral", channel=place, user=body["user"]["id"], text=_escaped(words)
            )


async def _nothing(ack: Any) -> None:
    await ack()


def _account(body: dict[str, Any]) -> str:
    """`slack:TEAM|USER` of who clicked, as Slack says; a guest of a shared channel has a team of their own."""
    user = body.get("user") or {}
    team = user.get("team_id") or (body.get("team") or {}).get("id")
    if not team or not user.get("id"):
        raise Malformed("Slack did not say who clicked.")
    return f"slack:{team}|{user['id']}"


def _read(value: str) -> Pressed:
    try:
        return msgspec.json.decode(value, type=Pressed)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Malformed("The button is not one of this version.") from error


def _choice(pressed: Pressed) -> Any:
    if pressed.choice not in ("approve", "deny"):
        raise Malformed("The button is not one of this version.")
    return pressed.choice


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def route(clicks: Clicks) -> ControllerRouterHandler:
    """`POST /slack/events`: what Slack sends in HTTP mode. Bolt checks the signature before anything is looked at."""

    @post("/slack/events", include_in_schema=False, request_max_body_size=MOST_BODY, status_code=200)
    async def events(request: Request[Any, Any, Any]) -> Response[Any]:
        body = (await request.body()).decode("utf-8", "replace")
        headers = {name: list(request.headers.getall(name)) for name in request.headers}
        answer = await clicks.app.async_dispatch(
            AsyncBoltRequest(body=body, headers=headers, mode="http")  # type: ignore[arg-type]
        )
        kept = {
            name: str(values[0])
            for name, values in answer.headers.items()
            if values and name.lower() == "content-type"
        }
        return Response(answer.body or "", status_code=answer.status, headers=kept, media_type="text/plain")

    return events
