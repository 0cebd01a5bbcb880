"""Decisions made before. The key holds everything an evaluation sees, so a remembered decision is the exact one.

An entry not used for a whole generation is dropped, and no more than twice `SIZE` are kept (`recent`).
"""

from __future__ import annotations

from typing import Any

from keyturn.actions import Step
from keyturn.policy.decision import Decision
from keyturn.recent import Recent

SIZE = 4096
MAX_WEIGHT = 16_384
"""Characters of an action's words beyond which it is not kept: large actions are rare and would fill the memory."""

Key = tuple[Any, ...]


class Memory:
    """A bounded map from everything an evaluation sees to its decision."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: Recent[Key, Decision] = Recent(SIZE)

    def get(self, key: Key) -> Decision | None:
        """The decision made for exactly this. Raises `TypeError` for a key that can't be hashed."""
        return self._kept.get(key)

    def put(self, key: Key, decision: Decision) -> None:
        """Keep it, unless it is large."""
        if _weight(key) <= MAX_WEIGHT:
            self._kept.keep(key, decision)


def _weight(key: Key) -> int:
    steps: tuple[Step, ...] = key[2]
    return sum(
        64 + sum(map(len, step.argv)) + sum(len(effect.what) + 64 for effect in step.effects)
        for step in steps
    )
