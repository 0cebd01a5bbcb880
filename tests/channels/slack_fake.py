"""Slack as far as its documentation describes it: Web API with tokens, socket mode, and signed callbacks. Local only."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
import uuid
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from channels_http import Service

BOT, APP, SIGNING = "xoxb-fake-bot-token", "xapp-fake-app-token", "8f742231b10e8888abcd99yyyzzz85a5"
TEAM = "T0001"


class FakeSlack(Service):
    """Messages, windows and whispers as a person would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        self.history: list[tuple[str, dict[str, Any]]] = []
        self.windows: list[dict[str, Any]] = []
        self.whispers: list[dict[str, Any]] = []
        self.changed = asyncio.Condition()
        self.sockets: list[web.WebSocketResponse] = []
        self.acks: dict[str, Any] = {}
        self._numbers = itertools.count(1)

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.path == "/socket":
            return await self._socket(request)
        method = request.path.removeprefix("/api/")
        token = APP if method == "apps.connections.open" else BOT
        given = request.headers.get("Authorization")
        if given != f"Bearer {token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        arguments = json.loads(body) if body and request.content_type == "application/json" else {}
        said = await getattr(self, "_" + method.replace(".", "_"))(arguments)
        async with self.changed:
            self.changed.notify_all()
        return web.json_response({"ok": True, **said})

    async def _auth_test(self, _: Any) -> Any:
        return {"team_id": TEAM, "user_id": "UBOT", "bot_id": "B1", "user": "keyturn", "team": "t", "url": ""}

    async def _apps_connections_open(self, _: Any) -> Any:
        return {"url": self.url.replace("http", "ws") + "/socket"}

    async def _chat_postMessage(self, body: Any) -> Any:  # noqa: N802
        check(body)
        place = "D" + body["channel"][1:] if body["channel"].startswith("U") else body["channel"]
        ts = f"1700000000.{next(self._numbers):06}"
        self.messages[place, ts] = body
        self.history.append(("post", body))
        return {"channel": place, "ts": ts}

    async def _chat_update(self, body: Any) -> Any:
        check(body)
        assert (body["channel"], body["ts"]) in self.messages
        self.messages[body["channel"], body["ts"]] = body
        self.history.append(("update", body))
        return {"channel": body["channel"], "ts": body["ts"]}

    async def _chat_postEphemeral(self, body: Any) -> Any:  # noqa: N802
        self.whispers.append(body)
        return {"message_ts": "1"}

    async def _views_open(self, body: Any) -> Any:
        assert body["trigger_id"].startswith("trigger")
        self.windows.append(body["view"])
        return {"view": {"id": "V1"}}

    async def until(self, found: Any) -> Any:  # type: ignore[override]
        """What *found* gives once it is something."""
        async with asyncio.timeout(120), self.changed:
            return await self.changed.wait_for(found)

    def message(self, index: int = 0) -> tuple[str, str, dict[str, Any]]:
        """Place, timestamp and body of a message as it is now."""
        (place, ts), body = list(self.messages.items())[index]
        return place, ts, body

    # --- what people do --------------------------------------------------------------------------------------------

    def pressed(self, choice: str, user: str, team: str = TEAM, index: int = 0) -> dict[str, Any]:
        """The payload of pressing a button of a message."""
        place, ts, body = self.message(index)
        button = buttons(body)[choice]
        return {
            "type": "block_actions",
            "team": {"id": TEAM},
            "user": {"id": user, "team_id": team},
            "api_app_id": "A1",
            "trigger_id": "trigger-1",
            "channel": {"id": place},
            "container": {"type": "message", "message_ts": ts, "channel_id": place},
            "actions": [{"type": "button", "block_id": "b", "action_ts": "1", **button}],
        }

    def submitted(self, user: str, reason: str | None, team: str = TEAM) -> dict[str, Any]:
        """The payload of sending the window that was opened last."""
        window = self.windows[-1]
        return {
            "type": "view_submission",
            "team": {"id": TEAM},
            "user": {"id": user, "team_id": team},
            "view": {
                "id": "V1",
                "type": "modal",
                "callback_id": window["callback_id"],
                "private_metadata": window["private_metadata"],
                "state": {"values": {"keyturn_reason": {"keyturn_reason": {"value": reason}}}},
            },
        }

    async def call(
        self, url: str, payload: Any, *, secret: str = SIGNING, age: float = 0, spoil: bool = False
    ) -> Any:
        """Slack calling back over HTTP: (status, body)."""
        body = urlencode({"payload": json.dumps(payload)})
        stamp = str(int(time.time() - age))
        mac = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        if spoil:
            body = body.replace("U0RILEY", "U0SAM00")
        headers = {
            "X-Slack-Signature": f"v0={mac}",
            "X-Slack-Request-Timestamp": stamp,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with aiohttp.ClientSession() as session:
            async with session.post(url + "/slack/events", data=body, headers=headers) as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if text.startswith("{") else text

    # --- socket mode -----------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": 1})
        async with self.changed:
            self.changed.notify_all()
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                said = json.loads(message.data)
                self.acks[said["envelope_id"]] = said.get("payload")
                async with self.changed:
                    self.changed.notify_all()
        return socket

    async def push(self, payload: Any) -> Any:
        """Send an interaction down the newest socket; the app's acknowledgement."""
        envelope = str(uuid.uuid4())
        await self.sockets[-1].send_json(
            {
                "type": "interactive",
                "envelope_id": envelope,
                "payload": payload,
                "accepts_response_payload": payload["type"] == "view_submission",
            }
        )
        await self.until(lambda: envelope in self.acks)
        return self.acks[envelope]


def buttons(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The buttons of a message by what they do."""
    rows = [block for block in body["blocks"] if block["type"] == "actions"]
    return {e["action_id"].removeprefix("keyturn_"): e for row in rows for e in row["elements"]}


def check(body: dict[str, Any]) -> None:
    """The limits that Slack's reference names."""
    assert len(body["blocks"]) <= 50
    for text in _texts(body["blocks"]):
        assert 0 < len(text) <= 3000, len(text)
    for block in body["blocks"]:
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
        if block["type"] == "context":
            assert 0 < len(block["elements"]) <= 10
        if block["type"] == "actions":
            assert 0 < len(block["elements"]) <= 25
            assert all(len(e.get("value", "")) <= 2000 for e in block["elements"])


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
