"""What was worked out of two values is kept for as long as they are those very objects: readings and policies come from memory again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
SIZE = 4096


class Remembered(Generic[T]):
    """A bounded memory by identity. It holds on to the objects, so a place in memory is not another's meanwhile."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, str], tuple[object, object, T]] = {}

    def of(self, one: object, other: object, word: str, make: Callable[[], T]) -> T:
        """What *make* gives for these, made once."""
        key = (id(one), id(other), word)
        known = self._known.get(key)
        if known is None or known[0] is not one or known[1] is not other:
            if len(self._known) >= SIZE:
                self._known.clear()
            known = self._known[key] = (one, other, make())
        return known[2]


__all__ = ["Remembered"]
