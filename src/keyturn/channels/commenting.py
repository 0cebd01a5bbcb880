"""Asks a program that the operator configured (`[comment]`) for a word on each held action. Nothing waits for it.

One request at a time, never again for the same one: a comment is a help, and a failure is a line in the server's log.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import msgspec

from keyturn.channels.notices.channel import ChannelDown, ChannelUnusable, ReceiverRefused
from keyturn.channels.notices.posting import Http, accepted, check_address
from keyturn.ledger import Lagged
from keyturn.ledger.errors import LedgerClosed
from keyturn.service import comments
from keyturn.service.core import Core
from keyturn.service.settings import CommentSettings

log = logging.getLogger("keyturn.comments")
WAITING = 100
"""Requests that wait for a comment at most; of more the oldest get none."""


class Commenter:
    """`run` asks until cancelled."""

    def __init__(self, core: Core, settings: CommentSettings) -> None:
        self._core = core
        self._url = check_address(settings.url, "The address of [comment]")
        self._headers = {"content-type": "application/json"}
        if settings.token_file:
            token = Path(settings.token_file).read_text("utf-8").strip()
            self._headers["authorization"] = f"Bearer {token}"
        self._seconds = settings.seconds
        self._http = Http(ssl.create_default_context(cafile=settings.ca_file or None))
        self._queue: asyncio.Queue[str] = asyncio.Queue(WAITING)

    async def run(self) -> None:
        """Watch and ask."""
        asking = asyncio.create_task(self._ask_all())
        try:
            await self._watch()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await self._http.close()

    async def _watch(self) -> None:
        while True:
            try:
                async with self._core.ledger.subscribe(types=["request.opened"]) as entries:
                    async for entry in entries:
                        if entry.fields["subject"] == "action":
                            self._put(entry.fields["id"])
                return
            except Lagged:  # what was missed gets no comment
                continue

    def _put(self, request: str) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(request)

    async def _ask_all(self) -> None:
        while True:
            request = await self._queue.get()
            try:
                await self._ask(request)
            except (ChannelDown, ChannelUnusable, ReceiverRefused, TimeoutError) as error:
                log.warning("no comment on %s: %s", request, error or "it took too long")
            except LedgerClosed:
                return

    async def _ask(self, request: str) -> None:
        told = comments.asked(self._core, request)
        if told is None:
            return
        async with asyncio.timeout(self._seconds):
            answer = await self._http.send(
                "POST", self._url, body=msgspec.json.encode(told), headers=self._headers
            )
        given = accepted(answer).json()
        text = given.get("comment") if isinstance(given, dict) else None
        if isinstance(text, str):
            source = str(given.get("source") or "the configured program")[:80]
            await comments.record(self._core, request, text, source)


__all__ = ["Commenter"]
