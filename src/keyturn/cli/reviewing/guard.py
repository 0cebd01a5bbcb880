"""A held-down key decides once. Pure: the time comes in as an argument (seconds)."""

from __future__ import annotations

PAUSE = 0.7
"""Seconds without the same key after which it counts anew. Keyboards wait at most 0.66 s (X11) before they repeat."""
LOOK = 0.4
"""Seconds a request must have been on the screen before a key may approve it: no approval of what flashed by."""


class KeyGuard:
    """Tells a key that was pressed from one that is still held down."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def fresh(self, key: str, now: float) -> bool:
        """Whether *key*, seen at *now*, is a press of its own. Each repetition lengthens the wait."""
        before = self._last.get(key)
        self._last[key] = now
        return before is None or now - before >= PAUSE
