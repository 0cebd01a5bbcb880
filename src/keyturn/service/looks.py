"""When a request was last served to a person: how long they had it before they decided, as this server saw it.

Kept in memory only, bounded, and lost at a restart: then the decision simply says nothing about it.
"""

from __future__ import annotations

from collections import OrderedDict

MOST = 10_000


class Looks:
    """(request, person) → when it was first served, milliseconds since 1970."""

    def __init__(self) -> None:
        self._first: OrderedDict[tuple[str, str], int] = OrderedDict()

    def served(self, request: str, person: str, now: int) -> None:
        """The whole request went out to *person*."""
        self._first.setdefault((request, person), now)
        while len(self._first) > MOST:
            self._first.popitem(last=False)

    def since(self, request: str, person: str, now: int) -> int | None:
        """Milliseconds since it was first served to them; None when it was not, as far as this server knows."""
        first = self._first.get((request, person))
        return None if first is None else max(0, now - first)


__all__ = ["MOST", "Looks"]
