"""Receipts for what started: the ledger hears of each once it is sure that it was not killed before its first instruction."""

from __future__ import annotations

import asyncio

import msgspec

from keyturn.errors import KeyturnError
from keyturn.gates.connection import RemoteService
from keyturn.service.model import Outcome, Receipt

SETTLED_SECONDS = 1.0
"""When a program that was allowed to start has started, or was killed before its first instruction."""

STARTED = "it started as it was decided; how it ended is not seen"


class Reports:
    """What is to be reported of one tree. Lives on *loop*."""

    def __init__(self, service: RemoteService, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._unreported: dict[int, Outcome] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._begun: list[str] = []

    def started(self, process: int, outcome: Outcome) -> None:
        """Report it in a moment: until then it may be killed because something else was about to run."""
        self._report(process)
        self._unreported[process] = outcome
        self._loop.call_later(SETTLED_SECONDS, self._report, process)

    def begun(self, action: str) -> None:
        """*action* was allowed by a hook, and has begun: how it ends, the hook reports, or nobody."""
        self._begun.append(action)

    def not_run(self, process: int, why: str) -> None:
        """It was killed before its first instruction."""
        self._report(process, "not-run", f"killed before its first instruction: {why}")

    async def ended(self, outcome: Outcome, code: int | None) -> None:
        """How the first program ended."""
        await self._delivered(
            _receipt(outcome, "unknown" if code is None else "done" if code == 0 else "failed", code)
        )

    async def settle(self) -> None:
        """Report all that is left. Never raises."""
        for process in list(self._unreported):
            self._report(process)
        for action in self._begun:  # where the hook reported it, that stands
            await self._delivered(Receipt(action, None, "unknown", note=STARTED))
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _report(self, process: int, outcome: str = "unknown", note: str = STARTED) -> None:
        started = self._unreported.pop(process, None)
        if started is not None:
            task = self._loop.create_task(self._delivered(_receipt(started, outcome, None, note)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _delivered(self, receipt: Receipt) -> None:
        try:
            await self._service.report(receipt)
        except KeyturnError:
            return  # a receipt that can't be delivered changes nothing; its absence is seen in the ledger


def _receipt(outcome: Outcome, ended: str, code: int | None, note: str = "") -> Receipt:
    permit = outcome.permit.id if outcome.permit else None
    return msgspec.convert(
        {
            "action": outcome.action,
            "permit": permit,
            "outcome": ended,
            "ran": outcome.digest if ended != "not-run" else None,
            "exit_code": code,
            "note": note,
        },
        Receipt,
    )


__all__ = ["Reports"]
