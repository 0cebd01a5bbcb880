"""Keyturn says that it is there: `gate.heartbeat`, every `[evidence] heartbeat` seconds while it can write.

Rules kept here:

- A heartbeat speaks for the time since the one before was due to be written, and for two intervals at most: a machine that slept, or a
  disk that was full, leaves a gap and no later entry that covers it.
- The first one is written an interval after the start: what came up and went down again at once says nothing.
- It says which gates asked since the one before. `silent` are those whose own process ended since then and left its session open: it
  should have said so and did not. One that only asks nothing is not silent: an agent may have nothing to do.
- Nothing but evidence reads it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Draft, Entry
from keyturn.service import processes
from keyturn.service.core import Core

log = logging.getLogger("keyturn.evidence")

COVERS = 2
"""Intervals that one heartbeat speaks for at most."""
OPEN = 10_000
"""Open sessions that are looked at."""


class Heartbeats:
    """Counts who asks, and says so from time to time."""

    def __init__(
        self, core: Core, interval: int, alive: Callable[[int, int], bool] = processes.alive
    ) -> None:
        self._core, self.interval, self._alive = core, interval, alive
        self._asked: Counter[str] = Counter()
        self._levels: dict[str, str] = {}
        self._number = 0
        self._since = core.now()
        self._gone: set[str] = set()

    async def run(self) -> None:
        """Beat for ever; never where the interval is 0."""
        self._since = self._core.now()
        self._left()  # what was left before the start is no news
        while self.interval:
            await asyncio.sleep(self.interval)
            await self.beat()

    async def beat(self) -> None:
        """Write one. That it can't be written is logged, and not made up for."""
        now = self._core.now()
        since = max(self._since, now - COVERS * self.interval * 1000)
        self._since = now
        fields = {**self.fields(min(since, now)), "number": self._number + 1}
        self._asked.clear()
        try:
            await self._core.ledger.append([Draft("gate.heartbeat", fields)])
        except KeyturnError as error:
            log.warning("no heartbeat could be recorded: %s", error)
        else:
            self._number += 1

    def fields(self, since: int) -> dict[str, Any]:
        """What is said, for what began at *since*."""
        gates = [
            {"name": name, "assurance": self._levels.get(name, ""), "asked": count}
            for name, count in sorted(self._asked.items())
        ]
        return {"since": since, "interval_s": self.interval, "gates": gates, "silent": sorted(self._left())}

    def landed(self, entry: Entry) -> None:
        """Count what was recorded."""
        if entry.type == "action.decided":
            gate = entry.fields["gate"]
            self._asked[gate["name"]] += 1
            self._levels[gate["name"]] = gate.get("assurance", "")

    def _left(self) -> set[str]:
        """Gates whose process was found gone now, with a session of theirs still open."""
        found: set[str] = set()
        gone: set[str] = set()
        for row in self._core.ledger.rows("session", state="open", limit=OPEN):
            opener = row.get("opener") or {}
            if opener.get("pid") and not self._alive(opener["pid"], opener["started"]):
                gone.add(row["id"])
                if row["id"] not in self._gone:
                    found.add(row["gate"]["name"])
        self._gone = gone
        return found


__all__ = ["Heartbeats"]
