"""Microsoft as far as a bot sees it: tokens for the bot, published keys, a conversation; and Teams calling the bot. Local only."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from channels_http import Service
from joserfc import jwt
from joserfc.jwk import RSAKey

APP, TENANT, SECRET, PLACE = "11111111-app", "22222222-tenant", "bot~secret", "19:abc@thread.tacv2"
RILEY, ISSUER = "33333333-riley", "https://api.botframework.com"


class FakeTeams(Service):
    """The cards of one conversation as people would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
        self.endorsements = ["msteams"]
        self.cards: dict[str, dict[str, Any]] = {}
        self.history: list[str] = []
        self.tokens: list[str] = []
        self.workflow: list[dict[str, Any]] = []
        self.changed = asyncio.Condition()
        self._numbers = itertools.count(1)

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        said = self._answer(request, body)
        async with self.changed:
            self.changed.notify_all()
        return said

    def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.path == "/openid":
            return web.json_response({"issuer": ISSUER, "jwks_uri": self.url + "/keys"})
        if request.path == "/keys":
            return web.json_response(
                {"keys": [{**self.key.as_dict(private=False), "endorsements": self.endorsements}]}
            )
        if request.path == f"/login/{TENANT}/oauth2/v2.0/token":
            form = {name: value[0] for name, value in parse_qs(body.decode()).items()}
            if (form["client_id"], form["client_secret"]) != (APP, SECRET):
                return web.json_response({"error": "invalid_client"}, status=401)
            assert form["scope"] == "https://api.botframework.com/.default"
            self.tokens.append(f"token-{len(self.tokens)}")
            return web.json_response({"access_token": self.tokens[-1], "expires_in": 3600})
        if request.path == "/workflow":
            self.workflow.append(json.loads(body))
            return web.Response(status=202)
        if request.headers.get("Authorization") != f"Bearer {self.tokens[-1] if self.tokens else ''}":
            return web.Response(status=401)
        assert len(body) < 28_000
        (attachment,) = json.loads(body)["attachments"]
        identity = (
            request.path.rpartition("/activities/")[2]
            if request.method == "PUT"
            else f"card-{next(self._numbers)}"
        )
        assert request.path.startswith(f"/api/v3/conversations/{PLACE}/activities")
        self.cards[identity] = attachment["content"]
        self.history.append(request.method)
        return web.json_response({"id": identity}, status=201)

    async def until(self, found: Any) -> Any:  # type: ignore[override]
        """What *found* gives once it is something."""
        async with asyncio.timeout(120), self.changed:
            return await self.changed.wait_for(found)

    def title(self) -> str:
        """The first words of the first card as it is now."""
        return str(next(iter(self.cards.values()))["body"][0]["inlines"][0]["text"])

    # --- calling the bot -------------------------------------------------------------------------------------------

    def activity(self, verb: str, who: str = RILEY, reason: str = "", **changes: Any) -> dict[str, Any]:
        """The invoke of pressing a button of the first card."""
        card = next(iter(self.cards.values()))
        buttons = {action.get("verb"): action for action in card["actions"]}
        data = (buttons.get(verb) or buttons["keyturn_deny"])["data"]
        return {
            "type": "invoke", "name": "adaptiveCard/action", "channelId": "msteams", "serviceUrl": self.url + "/api/",
            "from": {"id": "29:x", "aadObjectId": who}, "conversation": {"id": PLACE, "tenantId": TENANT},
            "channelData": {"tenant": {"id": TENANT}},
            "value": {"action": {"type": "Action.Execute", "verb": verb, "data": {**data, "reason": reason}}},
            **changes,
        }  # fmt: skip

    def token(self, key: RSAKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        said = {
            "iss": ISSUER,
            "aud": APP,
            "exp": now + 600,
            "nbf": now,
            "serviceurl": self.url + "/api/",
            **claims,
        }
        return jwt.encode(header or {"alg": "RS256", "kid": "k1"}, said, key or self.key)

    async def call(self, url: str, activity: Any, token: str | None = None) -> tuple[int, Any]:
        """Teams calling: (status, body)."""
        headers = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        async with aiohttp.ClientSession() as session:
            async with session.post(url + "/teams/messages", json=activity, headers=headers) as answer:
                return answer.status, await answer.json()
