"""Once a day the use of the policy's rules is looked at (`keyturn policy practice`), and what is found becomes findings.

It reads the whole past, so a process of its own does it, with little weight; the server only hears the answer.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from typing import IO

import msgspec

from keyturn.drift.finding import Drift
from keyturn.drift.practice import Practice
from keyturn.service import apart
from keyturn.service.core import Core
from keyturn.service.following import Follower, Noted

log = logging.getLogger("keyturn.drift")

DAY = 86_400_000
FIRST = 3_600_000
"""After the server started: what it does first must not be slowed."""


class Practising(Follower):
    """Starts the process, and gives what it found."""

    name = "practice"
    reads = frozenset[str]()

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._home = core.recordings.parent if core.recordings is not None else None
        self._due = core.now() + FIRST
        self._running: apart.Apart | None = None
        self._out: IO[bytes] | None = None

    def tick(self, now: int) -> Sequence[Noted]:
        """A day has passed, or the answer is there."""
        if self._running is not None:
            return self._answer() if self._running.poll() is not None else ()
        if self._home is None or (now < self._due and not self.core.practice_wanted):
            return ()
        self._due, self.core.practice_wanted = now + DAY, False
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 — it lives until the answer is read
        self._running = apart.start(
            ["policy", "practice", "--json", "--home", str(self._home)], out=self._out
        )
        return ()

    def close(self) -> None:
        """Nobody waits for the answer any more."""
        if self._running is not None:
            apart.close(self._running)
        if self._out is not None:
            self._out.close()
        self._running = self._out = None

    def _answer(self) -> Sequence[Drift]:
        ended, out = self._running, self._out
        self._running = self._out = None
        assert ended is not None
        assert out is not None
        apart.close(ended)
        with out:
            out.seek(0)
            data = out.read()
        if ended.returncode:
            log.warning(
                "the use of the policy's rules could not be looked at: %s",
                data[:500].decode("utf-8", "replace"),
            )
            return ()
        found = msgspec.json.decode(data, type=Practice)
        self.core.practised = (self.core.now(), found)
        return found.found


def latest(core: Core) -> tuple[int, Practice] | None:
    """When it was looked last, and what was seen; None before the first look, which is then asked for."""
    if core.practised is None:
        core.practice_wanted = True
    return core.practised


__all__ = ["Practising", "latest"]
