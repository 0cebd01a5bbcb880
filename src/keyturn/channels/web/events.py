"""The stream of changes for pages (SSE). `id:` is the ledger index, so a lost connection misses nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import get
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.response import Stream
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

from keyturn.channels.web.context import LedgerReader
from keyturn.channels.web.entries import sound
from keyturn.channels.web.guard import session_cookie
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.channels.web.wording import change_of
from keyturn.ledger import Lagged
from keyturn.ledger.entries import Entry

BEAT_SECONDS = 15.0
"""Between beats on a quiet stream. The page calls the connection lost after two and a half of them."""
MOST_REPLAYED = 1_000
"""A page that missed more than this is told to load itself anew."""


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/events`."""

    @get("/events", sync_to_thread=False, middleware=[EndsWithServer()])
    def events(request: AnyRequest) -> Stream:
        site.viewer(request)
        cookie = session_cookie(request.headers) or ""
        given = request.headers.get("last-event-id") or str(request.query_params.get("after", ""))
        after = int(given) if given.isdecimal() and len(given) < 16 else site.web.ledger.size - 1
        return Stream(
            stream(site, cookie, after), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    return [events]


class EndsWithServer(ASGIMiddleware):
    """A stopping server cancels streams that are still open: end the answer properly, it is no failure."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass on; when cancelled, send the last chunk."""
        try:
            await next_app(scope, receive, send)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):  # the connection may be gone already
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def stream(site: Site, cookie: str, after: int, beat: float = BEAT_SECONDS) -> AsyncIterator[bytes]:
    """Everything after entry *after*: first what is in the ledger, then what lands. Ends when the web session does."""
    live: AsyncIterator[dict[str, Any]] = aiter(site.web.service.changes())
    coming = asyncio.ensure_future(_next(live))
    await asyncio.sleep(
        0
    )  # lets the subscription begin before the ledger's end is read, so nothing falls between
    try:
        size = site.web.ledger.size
        yield b"retry: 2000\n\n"
        if after >= size or size - after - 1 > MOST_REPLAYED:
            yield b"event: reload\ndata: {}\n\n"
            after = size - 1
        for entry in await asyncio.to_thread(_missed, site.web.ledger, after + 1, size):
            yield _event(change_of(entry))
            after = entry.index
        while site.web.person_of_cookie(cookie) is not None:
            done, _ = await asyncio.wait({coming}, timeout=beat)
            if not done:
                yield b"event: beat\ndata: {}\n\n"
                continue
            try:
                change = coming.result()
            except Lagged:  # too much landed at once: the page comes back and is given what it missed
                return
            if change is None or site.web.person_of_cookie(cookie) is None:
                return
            coming = asyncio.ensure_future(_next(live))
            if change["index"] > after:
                after = change["index"]
                yield _event(change)
    finally:
        coming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await coming
        close = getattr(live, "aclose", None)
        if close is not None:
            await close()


def _missed(ledger: LedgerReader, start: int, end: int) -> list[Entry]:
    return list(sound(ledger, start, end))


async def _next(live: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
    return await anext(live, None)


def _event(change: dict[str, Any]) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (change["index"], msgspec.json.encode(change))
