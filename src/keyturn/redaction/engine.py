"""Google's RE2 as this room uses it: over bytes, in linear time, with bounded memory (github.com/google/re2, wiki/Syntax)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import re2  # type: ignore[import-untyped]

MOST_MEMORY = 32 * 1024 * 1024
"""Bytes that one compiled pattern may use; beyond that RE2 goes on without its cache, slower and still linear."""


class Match(Protocol):
    """What a search gives."""

    def start(self, group: int = 0) -> int:
        """Where it begins."""
        ...

    def end(self, group: int = 0) -> int:
        """Where it ends."""
        ...

    def span(self, group: int = 0) -> tuple[int, int]:
        """Both."""
        ...


class Pattern(Protocol):
    """A compiled pattern."""

    groups: int

    def finditer(self, text: bytes) -> Iterator[Match]:
        """Matches that do not overlap, from left to right."""
        ...

    def search(self, text: bytes) -> Match | None:
        """The first one."""
        ...


class Unsupported(ValueError):
    """RE2 can't read the pattern: it has no look-around and no back-references, which is what makes it linear."""


def _options(*, fold: bool) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not fold
    options.log_errors = False
    options.max_mem = MOST_MEMORY
    return options


def pattern(text: str | bytes, *, fold: bool = False) -> Pattern:
    """*text* compiled; *fold* ignores case. Raises `Unsupported`."""
    data = text.encode("utf-8") if isinstance(text, str) else text
    try:
        return re2.compile(data, _options(fold=fold))  # type: ignore[no-any-return]
    except re2.error as error:
        raise Unsupported(_said(error)) from error


def _said(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


class Hints:
    """Which of many short patterns occur in a text, in one pass, without case: `found` gives their numbers."""

    def __init__(self, patterns: Sequence[str | bytes]) -> None:
        self._set: Any = re2.Set.SearchSet(_options(fold=True))
        for one in patterns:
            self._set.Add(one.encode("utf-8") if isinstance(one, str) else one)
        self._set.Compile()
        self.found: Callable[[bytes], list[int]] = (
            self._set._set.Match
        )  # without the wrapper: this is the hot path


__all__ = ["Hints", "Match", "Pattern", "Unsupported", "pattern"]
