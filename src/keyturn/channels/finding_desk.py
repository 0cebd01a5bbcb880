"""Findings as the pages see them: implements `channels.web.findings.FindingDesk`."""

from __future__ import annotations

import asyncio

from keyturn.drift.finding_life import Move
from keyturn.drift.lag import Reading
from keyturn.identity import Person
from keyturn.service import finding_moves, findings, lags, responses
from keyturn.service.findings import FindingView, Wanted
from keyturn.service.keyturn import Keyturn
from keyturn.service.lags import LagView


class PageFindings:
    """Over one service."""

    def __init__(self, service: Keyturn) -> None:
        self._core = service.core

    def listed(self, wanted: Wanted, limit: int) -> list[FindingView]:
        """Newest first."""
        return findings.views(self._core, limit, wanted)

    def counts(self) -> dict[str, int]:
        """By state, and `unseen`."""
        return {**findings.counts(self._core), "unseen": findings.unseen_count(self._core)}

    async def looked(self, finding: str, viewer: Person) -> None:
        """*viewer* looks at it."""
        await finding_moves.looked(self._core, finding, viewer)

    def one(self, finding: str, viewer: Person) -> FindingView:
        """One of them."""
        return findings.view(self._core, findings.required(self._core, finding), viewer)

    def clocks(self, finding: str) -> tuple[Reading, ...]:
        """Its audit lag."""
        return lags.of_finding(self._core, findings.required(self._core, finding))

    async def move(self, finding: str, viewer: Person, wish: Move) -> FindingView:
        """What *viewer* does with it."""
        return await finding_moves.move(self._core, finding, viewer, wish)

    async def lag(self, days: int) -> LagView:
        """Audit lag of all."""
        return await asyncio.to_thread(lags.overview, self._core, days)

    async def ask_lift(self, response: str, viewer: Person, why: str) -> str:
        """Ask that a response is lifted."""
        return (await responses.ask_lift(self._core, response, viewer, why)).id
