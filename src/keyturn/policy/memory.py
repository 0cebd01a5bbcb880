"""Decisions made before. The key holds everything an evaluation sees, so a remembered decision is the exact one.

Two generations instead of a linked list: a hit costs one look-up, an entry not used for a whole generation is
dropped, and no more than twice `SIZE` are kept.
"""

from __future__ import annotations

from typing import Any

from keyturn.actions import Step
from keyturn.policy.decision import Decision

SIZE = 4096
MAX_WEIGHT = 16_384
"""Characters of an action's words beyond which it is not kept: large actions are rare and would fill the memory."""

Key = tuple[Any, ...]


class Memory:
    """A bounded map from everything an evaluation sees to its decision."""

    __slots__ = ("_new", "_old")

    def __init__(self) -> None:
        self._new: dict[Key, Decision] = {}
        self._old: dict[Key, Decision] = {}

    def get(self, key: Key) -> Decision | None:
        """The decision made for exactly this. Raises `TypeError` for a key that can't be hashed."""
        found = self._new.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: Key, decision: Decision) -> None:
        """Keep it, unless it is large."""
        if _weight(key) > MAX_WEIGHT:
            return
        if len(self._new) >= SIZE:
            self._old, self._new = self._new, {}
        self._new[key] = decision


def _weight(key: Key) -> int:
    steps: tuple[Step, ...] = key[2]
    return sum(
        64 + sum(map(len, step.argv)) + sum(len(effect.what) + 64 for effect in step.effects)
        for step in steps
    )
