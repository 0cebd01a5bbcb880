"""What people press in Teams. The clicker is the directory object that Microsoft names, as `teams:TENANT|OBJECT`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, post
from litestar.types import ControllerRouterHandler

from keyturn.channels.notices.composing import compose
from keyturn.channels.notices.desk import ChatDesk
from keyturn.channels.teams.rendering import CARD, card
from keyturn.channels.teams.tokens import NotMicrosoft, check
from keyturn.errors import KeyturnError, Malformed

if TYPE_CHECKING:
    from keyturn.channels.teams.bot import TeamsBot

MOST_BODY = 262_144
WORDS = "application/vnd.microsoft.activity.message"
INVOKE = "adaptiveCard/action"


async def pressed(bot: TeamsBot, desk: ChatDesk, activity: dict[str, Any]) -> dict[str, Any]:
    """Decide what a button asks for; gives the answer to the invoke: the changed card, or words."""
    try:
        action = (activity.get("value") or {}).get("action") or {}
        verb, data = str(action.get("verb", "")), action.get("data") or {}
        choice: Any = {"keyturn_approve": "approve", "keyturn_deny": "deny"}.get(verb)
        known = {name: data.get(name) for name in ("request", "digest", "display")}
        if choice is None or not all(isinstance(value, str) for value in known.values()):
            raise Malformed("The button is not one of this version.")
        view = await desk.decide(
            str(known["request"]),
            desk.person(_account(activity, bot.settings.tenant)),
            choice,
            reason=str(data.get("reason") or ""),
            digest=str(known["digest"]),
            display=str(known["display"]),
            channel="teams",
            chat_approves=bot.approves,
        )
    except KeyturnError as error:
        return {
            "statusCode": 200,
            "type": WORDS,
            "value": f"{error.happened} {error.not_done} {error.do_next}",
        }
    notice = compose(view, "changed", "changed", desk.link(view.id), chat_approves=bot.approves)
    return {"statusCode": 200, "type": CARD, "value": card(notice, buttons=True)}


def _account(activity: dict[str, Any], tenant: str) -> str:
    """Who clicked, if they are of our directory."""
    sender = activity.get("from") or {}
    data = activity.get("channelData") or {}
    given = {(activity.get("conversation") or {}).get("tenantId"), (data.get("tenant") or {}).get("id")} - {
        None
    }
    if given != {tenant}:
        raise NotMicrosoft("The click is from another directory than ours.")
    identity = sender.get("aadObjectId")
    if not isinstance(identity, str) or not identity:
        raise NotMicrosoft("Teams did not say who clicked.")
    return f"teams:{tenant}|{identity}"


def route(bot: TeamsBot, desk: ChatDesk) -> ControllerRouterHandler:
    """`POST /teams/messages`: what the Bot Connector sends. Its token is checked before anything is done."""

    @post("/teams/messages", include_in_schema=False, request_max_body_size=MOST_BODY, status_code=200)
    async def messages(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            activity = msgspec.json.decode(await request.body(), type=dict[str, Any])
            settings = bot.settings
            given = request.headers.get("authorization", "")
            await check(given, activity, settings.app_id, settings.service_url, bot.keys)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return _answer(400, Malformed("The body is not an activity.").as_json())
        except KeyturnError as error:
            return _answer(error.status, error.as_json())
        if activity.get("type") == "invoke" and activity.get("name") == INVOKE:
            return _answer(200, await pressed(bot, desk, activity))
        return _answer(200, {})

    return messages


def _answer(status: int, body: dict[str, Any]) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
