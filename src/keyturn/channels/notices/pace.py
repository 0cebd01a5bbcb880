"""When a channel that failed is tried again, and how much one asker may make it say. No clock but the one handed in.

An agent that asks again and again wears its reviewers down until one of them lets something through; what goes beyond some
messages a minute waits, and what has ended by then is never told.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct


class Pace(Struct, frozen=True):
    """Seconds. `first` after the first failure, doubled each time up to `longest`; a service that says when is believed up to
    `believed`. `send` is how long one delivery may take; a message about an ended request is tried `tries` times.
    """

    first: float = 2.0
    longest: float = 600.0
    believed: float = 3600.0
    send: float = 20.0
    tries: int = 8


def delay(pace: Pace, failures: int, retry_after: float = 0.0) -> float:
    """Seconds to wait after that many failures in a row."""
    backed = min(pace.longest, pace.first * 2.0 ** min(max(failures - 1, 0), 30))
    return max(backed, min(max(retry_after, 0.0), pace.believed))


MINUTE = 60_000


class Bursts:
    """How many messages each receiver got about each asker in the last minute. Times are milliseconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sent: dict[tuple[str, str], deque[int]] = {}

    def free_at(self, receiver: str, asker: str, now: int) -> int:
        """When the next message about *asker* may go to *receiver*: *now*, or later."""
        sent = self._sent.get((receiver, asker))
        if not self._most or sent is None:
            return now
        while sent and sent[0] <= now - MINUTE:
            sent.popleft()
        if not sent:
            del self._sent[receiver, asker]
        return now if len(sent) < self._most else sent[0] + MINUTE

    def note(self, receiver: str, asker: str, now: int) -> None:
        """One was sent."""
        if self._most:
            self._sent.setdefault((receiver, asker), deque()).append(now)
