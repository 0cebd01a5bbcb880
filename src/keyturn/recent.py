"""A bounded memory of what was worked out, by a key that says everything it was worked out from. No lock: any thread may ask.

Two generations instead of a linked list: a hit costs one look-up, and what was not asked for during a whole generation is dropped.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
SIZE = 4096
"""Values of one generation; twice as many are kept at most."""


class Recent(Generic[K, V]):
    """What was kept last, by key."""

    __slots__ = ("_new", "_old", "_size")

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """What was kept under *key*. Raises `TypeError` for one that can't be hashed."""
        found = self._new.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.keep(key, found)
        return found

    def keep(self, key: K, value: V) -> None:
        """Keep *value*, which is not None, and forget what was not asked for lately."""
        if len(self._new) >= self._size:
            self._old, self._new = self._new, {}
        self._new[key] = value

    def __len__(self) -> int:
        return len(self._new) + len(self._old)


__all__ = ["Recent"]
