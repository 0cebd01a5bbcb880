"""A configured program's word on a request: recorded after the opening, shown, and input to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from service_world import World, decide, types

from keyturn.channels.commenting import Commenter
from keyturn.channels.notices.channel import ChannelDown, ChannelUnusable, ReceiverRefused
from keyturn.service import comments
from keyturn.service.keyturn import Keyturn
from keyturn.service.settings import CommentSettings


class Program(HTTPServer):
    """Answers with what the test put into `answer`; keeps what it was asked."""

    answer: bytes = b""
    status = 200
    asked: list[dict[str, Any]]
    tokens: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Program

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append(json.loads(body))
        self.server.tokens.append(self.headers.get("authorization", ""))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def program() -> Iterator[Program]:
    server = Program(("127.0.0.1", 0), Handler)
    server.asked, server.tokens = [], []
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(120)


def commenter(service: Keyturn, program: Program, **given: Any) -> Commenter:
    url = f"http://127.0.0.1:{program.server_address[1]}/comment"
    return Commenter(service.core, CommentSettings(url=url, **given))


async def _held(world: World, service: Keyturn, script: str = "rm -r build") -> Any:
    session = await world.session(service)
    outcome = await service.authorize(world.action(session, script), world.around)
    return await service.request(outcome.request or "", None)


async def _commented(service: Keyturn, commenter: Commenter, work: Any) -> Any:
    """What *work* gives, once an entry `request.commented` landed while the commenter ran."""
    async with service.core.ledger.subscribe() as entries:
        running = asyncio.create_task(commenter.run())
        await asyncio.sleep(0)
        try:
            found = await work
            async with asyncio.timeout(120):
                async for entry in entries:
                    if entry.type == "request.commented":
                        return found
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def test_it_is_kept_with_the_request_and_changes_nothing_of_it(
    world: World, program: Program, tmp_path: Any
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    program.answer = json.dumps({"comment": "Looks <b>safe</b>: approve it.", "source": "a model"}).encode()

    async def story(service: Keyturn) -> None:
        asks = commenter(service, program, token_file=str(tmp_path / "token"))
        before = await _commented(service, asks, _held(world, service))
        after = await service.request(before.id, None)
        assert after.comment == "Looks <b>safe</b>: approve it."
        assert after.comment_by == "a model"
        same = ("display", "digest", "risk", "obligations", "decision", "reading", "state", "stages")
        assert {n: getattr(before, n) for n in same} == {n: getattr(after, n) for n in same}
        assert program.asked[0]["text"] == "rm -r build"
        assert "attribution" not in program.asked[0]
        assert program.tokens == ["Bearer s3cret"]
        assert (await decide(service, before.id, "riley")).state == "approved"

    world.play(story)


def test_the_first_stands_and_an_ended_request_gets_none(world: World) -> None:
    async def story(service: Keyturn) -> None:
        held = await _held(world, service)
        await comments.record(service.core, held.id, "one", "a")
        await comments.record(service.core, held.id, "two", "b")
        assert (await service.request(held.id, None)).comment == "one"
        other = await _held(world, service, "rm -r dist")
        await decide(service, other.id, "riley", "deny")
        await comments.record(service.core, other.id, "late", "a")
        assert types(service).count("request.commented") == 1
        assert comments.asked(service.core, other.id) is None

    world.play(story)


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, b"no"), (200, b"not json"), (200, b"[]"), (200, b'{"comment": 5}'), (302, b"{}"), (200, b"x" * 300_000)],
)  # fmt: skip
def test_a_program_that_fails_is_only_a_line_in_the_log(
    world: World, program: Program, status: int, answer: bytes
) -> None:
    program.status, program.answer = status, answer

    async def story(service: Keyturn) -> None:
        asks = commenter(service, program)
        held = await _held(world, service)
        with contextlib.suppress(ChannelDown, ReceiverRefused):
            await asks._ask(held.id)
        assert "request.commented" not in types(service)
        assert (await service.request(held.id, None)).state == "waiting"

    world.play(story)


def test_what_is_sent_travels_over_tls_or_not_at_all(world: World) -> None:
    async def story(service: Keyturn) -> None:
        for url in ("http://example.com/x", "ftp://127.0.0.1/x", "https://u:p@example.com/x", "nonsense"):
            with pytest.raises(ChannelUnusable):
                Commenter(service.core, CommentSettings(url=url))

    world.play(story)
