"""The outbox: watches the ledger and has each channel's courier look at every request that people have to hear of.

It keeps nothing of its own: what is due follows from the requests that wait, the people who may decide them, and the entries
`notice.sent` and `notice.failed`. So it can be killed at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence

from msgspec import Struct

from keyturn.channels.notices.channel import Channel
from keyturn.channels.notices.courier import Courier
from keyturn.channels.notices.pace import Pace
from keyturn.ledger import Lagged
from keyturn.ledger.entries import ENTRY_TYPES, Entry
from keyturn.ledger.errors import LedgerClosed
from keyturn.service.core import Core

log = logging.getLogger("keyturn.notices")

PAGE = 500
"""Rows read at a time when everything is looked at; the event loop gets its turn between pages."""

SURVEY_SECONDS = 300.0
"""After how long everything is looked at in any case."""

_OF_REQUESTS = ("approval.given", "request.ended", "request.reminded", "request.escalated")
_OF_FINDINGS = (
    "finding.acknowledged", "finding.explained", "finding.accepted", "finding.closed", "finding.reopened", "response.begun",
)  # fmt: skip
_OF_EVERYBODY = ("person.", "notice.chosen", "push.subscribed", "delegation.")
_OF_ITSELF = ("request.opened", "breakglass.used", "finding.opened")
_TOLD = frozenset(
    (
        *_OF_ITSELF,
        *_OF_REQUESTS,
        *_OF_FINDINGS,
        *(one for one in ENTRY_TYPES if one.startswith(_OF_EVERYBODY)),
    )
)
"""Entries after which somebody may have to be told something."""


class _List(Struct, frozen=True):
    """A list of what people may have to be told about: rows of *kind*, ordered by *at*, that name it as *member*."""

    kind: str
    member: str
    at: str
    state: str | None = None


_LISTS = (
    _List("deadline", "request", "expires"),  # what waits
    _List("notice-open", "about", "time"),  # what a message shows as waiting
    _List("breakglass", "id", "review_by", "unreviewed"),
    _List("breakglass", "id", "review_by", "overdue"),
    _List("finding-open", "finding", "opened"),
)


class Outbox:
    """`run` delivers until cancelled. *link* makes the address of a request's page."""

    def __init__(
        self, core: Core, channels: Sequence[Channel], link: Callable[[str], str], pace: Pace | None = None
    ) -> None:
        self._core = core
        self.channels = tuple(channels)
        self._couriers = [Courier(core, channel, link, pace or Pace()) for channel in channels]
        self._anew = asyncio.Event()

    async def run(self) -> None:
        """Deliver for ever; a bug in one loop ends that loop, is logged, and starts it again."""
        loops = {"watching": self._watch, "surveying": self._survey_again}
        loops |= {courier.channel.name: courier.work for courier in self._couriers}
        tasks = [asyncio.create_task(_kept_alive(name, work)) for name, work in loops.items()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for channel in self.channels:
                with contextlib.suppress(Exception):
                    await channel.close()

    async def _watch(self) -> None:
        while True:
            try:
                async with self._core.ledger.subscribe(types=_TOLD) as entries:
                    self._anew.set()  # after subscribing, so that nothing falls between
                    async for entry in entries:
                        self._landed(entry)
                return
            except Lagged:  # too much landed at once: look at everything
                continue

    def _landed(self, entry: Entry) -> None:
        if entry.type in _OF_ITSELF:
            self._consider(entry.fields["id"])
        elif entry.type in _OF_FINDINGS:
            self._consider(entry.fields["finding"])
        elif entry.type in _OF_REQUESTS:
            self._consider(entry.fields["request"])
        elif entry.type.startswith(_OF_EVERYBODY):
            self._anew.set()

    def _consider(self, about: str) -> None:
        for courier in self._couriers:
            courier.consider(about)

    async def _survey_again(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):  # who may decide also changes with time, without an entry
                async with asyncio.timeout(SURVEY_SECONDS):
                    await self._anew.wait()
            self._anew.clear()
            for listed in _LISTS:
                for about in self._all(listed):
                    self._consider(about)
                    await asyncio.sleep(0)

    def _all(self, listed: _List) -> Iterator[str]:
        """Everything that *listed* names."""
        before: tuple[int, str] | None = None
        while True:
            rows = self._core.ledger.rows(
                listed.kind, state=listed.state, newest_first=False, limit=PAGE, before=before
            )
            yield from (row[listed.member] for row in rows)
            if len(rows) < PAGE:
                return
            before = (rows[-1][listed.at], rows[-1][listed.member])


async def _kept_alive(name: str, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
            return
        except LedgerClosed:
            return
        except Exception:
            log.exception("telling people failed inside: %s", name)
            await asyncio.sleep(1.0)
