"""Which names reach each action of a find expression (find(1)): `\\( -name '*.c' -o -name '*.h' \\) -exec …` acts on those alone.

`Names` are patterns, one of which every name fits; None is any name. What stands before an action in its list narrows the names;
`-o` begins anew, `!` narrows nothing. Never narrower than what find does, often wider.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Names = tuple[str, ...] | None

OR = frozenset({"-o", "-or"})
AND = frozenset({"-a", "-and"})
NOT = frozenset({"!", "-not"})
_PIECES = re.compile(r"\[[!^]?\]?[^\]]*\]|.", re.DOTALL)
MOST = 16
"""Most patterns that are kept apart; more are any name."""


def reaching(
    words: Sequence[str | None], arity: Callable[[int], int | None]
) -> tuple[dict[int, Names], Names]:
    """For each place in *words* the names that get there, and those for which the whole expression is true.

    *words* are the expression (None: not known); *arity* says how many words the primary at a place takes beside itself, None if
    it is not described. Of an expression that is not understood, any name gets anywhere.
    """
    reading = _Reading(words, arity)
    try:
        true = reading.commas(None)
    except _Unknown:
        return {}, None
    return (reading.seen, true) if reading.at == len(words) else ({}, None)


class _Unknown(Exception):
    pass


class _Reading:
    def __init__(self, words: Sequence[str | None], arity: Callable[[int], int | None]) -> None:
        self._words = words
        self._arity = arity
        self._depth = 0
        self.at = 0
        self.seen: dict[int, Names] = {}

    def _next(self) -> str | None:
        return self._words[self.at] if self.at < len(self._words) else ""

    def commas(self, names: Names) -> Names:
        true = self._ors(names)
        while self._next() == ",":
            self.at += 1
            true = self._ors(names)
        return true

    def _ors(self, names: Names) -> Names:
        true = self._ands(names)
        while self._next() in OR:
            self.at += 1
            true = _either(true, self._ands(names))
        return true

    def _ands(self, names: Names) -> Names:
        names = self._one(names)
        while self.at < len(self._words) and self._next() not in (*OR, ",", ")"):
            if self._next() in AND:
                self.at += 1
            names = self._one(names)
        return names

    def _one(self, names: Names) -> Names:
        word = self._next()
        if not word:
            raise _Unknown
        if word in NOT:
            self.at += 1
            self._nested(lambda: self._one(names))
            return names
        if word == "(":
            self.at += 1
            true = self._nested(lambda: self.commas(names))
            if self._next() != ")":
                raise _Unknown
            self.at += 1
            return true
        return self._primary(word, names)

    def _nested(self, read: Callable[[], Names]) -> Names:
        self._depth += 1
        if self._depth > 40:
            raise _Unknown
        found = read()
        self._depth -= 1
        return found

    def _primary(self, word: str, names: Names) -> Names:
        place, takes = self.at, self._arity(self.at)
        if takes is None or place + takes >= len(self._words):
            raise _Unknown
        self.seen[place] = names
        self.at += 1 + takes
        if word in ("-name", "-iname"):
            pattern = self._words[place + 1]
            if pattern is not None and "/" not in pattern and "\\" not in pattern:
                return _narrower(names, (either_case(pattern) if word == "-iname" else pattern,))
        return names


def either_case(pattern: str) -> str:
    """The pattern of `-iname` for those who tell small letters from capitals: `*.txt` is `*.[tT][xX][tT]`, `[a-c]` any letter."""
    made = []
    for piece in _PIECES.findall(pattern):
        other = piece.swapcase()
        if len(piece) > 1:
            made.append("?")
        elif other != piece and len(other) == 1:
            made.append(f"[{piece}{other}]")
        else:
            made.append(piece)
    return "".join(made)


def _narrower(names: Names, other: tuple[str, ...]) -> Names:
    """Names that fit both: those of either bound are enough, and the one with an ending says more than `*`."""
    if names is None or all(set(name) <= {"*"} for name in names):
        return other
    return names


def _either(one: Names, other: Names) -> Names:
    if one is None or other is None:
        return None
    both = tuple(dict.fromkeys((*one, *other)))
    return both if len(both) <= MOST else None


__all__ = ["NOT", "OR", "Names", "either_case", "reaching"]
