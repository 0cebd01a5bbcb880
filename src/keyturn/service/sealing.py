"""The server seals segments of the log by itself, whenever a day is over or enough entries came (`store.analytics.segments`).

Rules kept here:

- A process of its own seals, with little weight; the server only starts it, one at a time. One that is killed leaves nothing that counts: a
  segment is in its place when it is whole, and what is half made is removed by the next one.
- What is due follows from the log and the names of the segments alone, so nothing has to be remembered over a restart.
- One that failed is said in the log and tried again after `AGAIN`; `keyturn doctor` says when it is behind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from keyturn.ledger import Ledger
from keyturn.service import apart
from keyturn.service.core import Core
from keyturn.service.following import Follower, Noted

log = logging.getLogger("keyturn.drift")

DAY = 86_400_000
MOST = 100_000
"""Entries after which a segment ends within a day, as `store.analytics.segments.MOST` (importing that would take DuckDB's memory)."""
FIRST = 600_000
"""After the server started: what it does first must not be slowed."""
AGAIN = 1_800_000
"""Between two tries, and at least between two runs."""
LATE = 2 * 3_600_000
"""After which what could have been sealed is overdue."""


def sealed(folder: Path) -> int:
    """Up to which entry the segments in *folder* go, by their names; 0 without any."""
    ends = [
        int(one.name.partition("-")[2])
        for one in folder.glob("[0-9]*-[0-9]*")
        if (one / "seal.json").is_file()
    ]
    return max(ends, default=0)


def due(ledger: Ledger, end: int) -> bool:
    """Whether what comes after entry *end* can be sealed: the day of the first is over in the log, or there are enough."""
    if ledger.size <= end:
        return False
    first = ledger.entry(end)
    return ledger.size - end > MOST or (first is not None and first.time // DAY < ledger.time // DAY)


def overdue(time_of: Callable[[int], int], end: int, size: int, now: int) -> bool:
    """Whether what comes after entry *end* of *size* could have been sealed `LATE` before *now*. *time_of* gives an entry's time."""
    low, high = end, size
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if time_of(middle) <= now - LATE else (low, middle)
    return low > end and (low - end > MOST or time_of(end) // DAY < time_of(low - 1) // DAY)


class Sealing(Follower):
    """Starts the process that seals."""

    name = "segments"
    reads = frozenset[str]()

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._home = core.recordings.parent if core.recordings is not None else None
        self._due = core.now() + FIRST
        self.running: apart.Apart | None = None

    def tick(self, now: int) -> Sequence[Noted]:
        """Something can be sealed, or the process has ended."""
        if self.running is not None:
            code = self.running.poll()
            if code:
                log.warning("segments could not be sealed (exit %d); tried again later", code)
            if code is not None:
                self.close()
            return ()
        if (
            self._home is None
            or now < self._due
            or not due(self.core.ledger, sealed(self._home / "segments"))
        ):
            return ()
        self._due = now + AGAIN
        self.running = apart.start(["drift", "segments", "--json", "--home", str(self._home)])
        return ()

    def close(self) -> None:
        """What is half sealed is sealed again by the next server."""
        if self.running is not None:
            apart.close(self.running)
            self.running = None


__all__ = ["MOST", "Sealing", "due", "overdue", "sealed"]
