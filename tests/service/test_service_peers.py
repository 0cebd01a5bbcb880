"""A person's secret changes nothing from inside an agent's session, whatever else the request carries (promise 6)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from service_world import GATE, World, types

from keyturn.actions import Agent
from keyturn.channels.peers import PeopleOnly
from keyturn.identity import tokens
from keyturn.service.keyturn import Keyturn


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def answered(service: Keyturn, headers: dict[str, str], pid: int) -> int:
    """The status that a write gets on the local socket from process *pid*; 200 when it was handed on."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "scheme": "http",
        "method": "POST",
        "path": "/x",
        "client": ("unix:1", pid),
        "headers": raw,
    }
    await PeopleOnly(service).handle(scope, None, send, app)  # type: ignore[arg-type]
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "beside",
    ["", f"Bearer {tokens.new_token('ktp')}", "Bearer something", "Basic x"],
    ids=["alone", "unknown", "other", "basic"],
)
def test_a_stolen_web_session_is_refused_whatever_token_stands_beside_it(world: World, beside: str) -> None:
    async def story(service: Keyturn) -> None:
        opened = await service.open_session(
            agent=Agent("claude-code"), human=None, gate=GATE, cwd="/", pid=os.getpid()
        )
        cookie = tokens.cookie_of(await service.logins.redeem(service.logins.link_code("riley")))
        headers = {"host": "127.0.0.1", "cookie": f"keyturn={cookie}"}
        headers |= {"authorization": beside} if beside else {}
        assert await answered(service, headers, os.getpid()) == 403
        assert "finding.opened" in types(service)
        # Negative control: the same from outside of the session is handed on.
        await service.close_session(opened.id)
        assert await answered(service, headers, os.getpid()) == 200

    world.play(story)
