"""How surprising the order of a session is: bigrams with back-off to unigrams.

Absolute discounting, interpolated (Ney, Essen & Kneser 1994): P(b|a) = max(c(ab) - d, 0)/c(a) + d·N(a)/c(a)·P(b), and P(b) likewise over
a uniform rest, so nothing has probability zero. A session's score is (bits - centre·length)/√length in tenths: a mean would let short
sessions shout, a sum would let long ones. What is compared with scores (`conformal.Reference`) must not have made the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

DISCOUNT = 0.5
START = ""
"""What comes before the first action."""


class Bigram(Struct, frozen=True):
    """Counts of what follows what: `unigrams` by category, `bigrams` by first and second.

    `centre` is how surprising one action is on average, in hundredths of bits, to a model that did not see it (two halves score
    each other).
    """

    unigrams: dict[str, int]
    bigrams: dict[str, dict[str, int]]
    centre: int = 0

    @classmethod
    def of(cls, sessions: Sequence[Sequence[str]]) -> Bigram:
        """Of *sessions*."""
        halves = sessions[::2], sessions[1::2]
        bits = actions = 0.0
        for known, unknown in (halves, halves[::-1]):
            model = Surprisal(_counted(known))
            bits += sum(model.bits(one) for one in unknown)
            actions += sum(len(one) for one in unknown)
        whole = _counted(sessions)
        return cls(whole.unigrams, whole.bigrams, round(100 * bits / actions) if actions else 0)


def _counted(sessions: Sequence[Sequence[str]]) -> Bigram:
    unigrams: dict[str, int] = {}
    bigrams: dict[str, dict[str, int]] = {}
    for session in sessions:
        before = START
        for one in session:
            unigrams[one] = unigrams.get(one, 0) + 1
            row = bigrams.setdefault(before, {})
            row[one] = row.get(one, 0) + 1
            before = one
    return Bigram(unigrams, bigrams)


class Surprisal:
    """A model made ready: what it says about pairs is worked out once."""

    def __init__(self, model: Bigram) -> None:
        self._model = model
        self._total = sum(model.unigrams.values())
        self._pairs: dict[str, dict[str, float]] = {}
        self._rest: dict[str, float] = {}
        for before, row in model.bigrams.items():
            count = sum(row.values())
            self._rest[before] = DISCOUNT * len(row) / count
            self._pairs[before] = {
                one: -math.log2((n - DISCOUNT) / count + self._rest[before] * self._alone(one))
                for one, n in row.items()
            }

    def _alone(self, one: str) -> float:
        kinds = len(self._model.unigrams)
        total = self._total or 1
        share = DISCOUNT * kinds / total if self._total else 1.0
        return max(self._model.unigrams.get(one, 0) - DISCOUNT, 0.0) / total + share / (kinds + 1)

    def pair(self, before: str, one: str) -> float:
        """Bits of surprise that *one* follows *before*."""
        known = self._pairs.get(before)
        if known is None:
            known, self._rest[before] = {}, 1.0
            self._pairs[before] = known
        bits = known.get(one)
        if bits is None:
            bits = known[one] = -math.log2(self._rest[before] * self._alone(one))
        return bits

    def bits(self, session: Sequence[str]) -> float:
        """Bits of surprise in *session*."""
        before, total = START, 0.0
        pairs = self._pairs
        for one in session:
            try:
                total += pairs[before][one]
            except KeyError:
                total += self.pair(before, one)
            before = one
        return total

    def score(self, session: Sequence[str]) -> int:
        """How much more surprising *session* is than sessions are, in tenths; 0 for one without actions."""
        size = len(session)
        return (
            round((10 * self.bits(session) - self._model.centre / 10 * size) / math.sqrt(size)) if size else 0
        )

    def strangest(self, session: Sequence[str], most: int = 3) -> tuple[tuple[str, str], ...]:
        """The pairs in *session* that surprise most."""
        pairs = dict.fromkeys(zip((START, *session), session, strict=False))
        return tuple(sorted(pairs, key=lambda pair: (-self.pair(*pair), pair))[:most])
