"""Conformal test martingales in Shiryaev–Roberts form: is the next score exchangeable with those before it?

The p-value of a score among all earlier ones (with a fair coin among equals) is uniform, and p-values one after another are
independent, as long as the scores are exchangeable; no distribution is assumed (Vovk, Gammerman & Shafer, *Algorithmic Learning
in a Random World*, 2nd ed. 2022, ch. 8; Vovk et al., *Retrain or not retrain*, COPA 2021). A bet f(p) with ∫f = 1 turns them into
e-values, and `esr` into an e-detector.

Rules kept here:

- The reference is never reset but by a new baseline: one that follows what it sees can be led anywhere by small steps.
- Scores are whole numbers (tenths of bits), kept as counts: the reference is exact, however long it grows, in a kilobyte or two.
- The coin comes from a hash of the session's name, so that an auditor with the log gets the same p-values, and who
  acts can't choose it without choosing the session's name, which the service gives.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Self

from msgspec import Struct

from keyturn.drift.stream.esr import after, mean


def coin(name: str) -> float:
    """A number in (0, 1) that *name* determines and nobody can aim at: 52 bits of its SHA-256."""
    number = int.from_bytes(hashlib.sha256(b"keyturn/coin/v1\n" + name.encode()).digest()[:8], "big") >> 12
    return (number + 0.5) / 4503599627370496.0


class Reference(Struct, frozen=True):
    """Scores seen so far, each once and in order, and how often each was seen."""

    scores: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, scores: Iterable[int]) -> Reference:
        """Of *scores*."""
        counts: dict[int, int] = {}
        for score in scores:
            counts[score] = counts.get(score, 0) + 1
        return cls(tuple(sorted(counts)), tuple([counts[score] for score in sorted(counts)]))

    @property
    def total(self) -> int:
        """How many scores."""
        return sum(self.counts)

    def p_value(self, score: int, toss: float) -> float:
        """The share of scores, this one among them, that are larger, and *toss* of those that are equal."""
        place = bisect_left(self.scores, score)
        equal = self.counts[place] if place < len(self.scores) and self.scores[place] == score else 0
        larger = sum(self.counts[place:]) - equal
        return (larger + toss * (equal + 1)) / (self.total + 1)

    def added(self, score: int) -> Reference:
        """With *score*."""
        place = bisect_left(self.scores, score)
        scores, counts = self.scores, self.counts
        if place < len(scores) and scores[place] == score:
            return Reference(scores, (*counts[:place], counts[place] + 1, *counts[place + 1 :]))
        return Reference((*scores[:place], score, *scores[place:]), (*counts[:place], 1, *counts[place:]))


class ConformalSR(Struct, frozen=True):
    """Evidence that scores have become larger than those of `reference`, which grows."""

    reference: Reference
    states: tuple[float, ...] = ()

    def observe(self, score: int, toss: float) -> ConformalSR:
        """With one more *score*; *toss* is the `coin` of its session."""
        return self.observe_p(score, self.reference.p_value(score, toss))

    def observe_p(self, score: int, p: float) -> ConformalSR:
        """The same, with the p-value at hand."""
        return ConformalSR(self.reference.added(score), after(self.states, factors(p)))

    @property
    def evidence(self) -> float:
        """The e-value."""
        return mean(self.states)


def factors(p: float) -> tuple[float, ...]:
    """The e-value of each bet κp^(κ-1) on *p*, for κ of 1/8, 1/4 and 3/8.

    Small κ bet on sessions that surprise very much. Larger ones, and bets on p-values that are a little too small, find a changed
    mix of tasks sooner, and take every unusual week for one (measured: 5 % of agents with a season, instead of 1 %).
    Only √, × and ÷ (IEEE 754 fixes all three), so that the sum is the same on every machine.
    """
    root = sqrt(p)
    fourth = sqrt(root)
    eighth = sqrt(fourth)
    return (0.125 / (root * fourth * eighth), 0.25 / (root * fourth), 0.375 / (root * eighth))


def daily_factors(p: float) -> tuple[float, ...]:
    """The same for days, of which there are few: also bets 1 + ε(1 - 2p), on p-values that are a little too small."""
    root = sqrt(p)
    fourth = sqrt(root)
    eighth = sqrt(fourth)
    powers = (0.375 / (root * eighth), 0.5 / root, 0.75 / fourth)
    return (*powers, *(1.0 + slope * (1.0 - 2.0 * p) for slope in (0.3, 0.6, 0.95)))


class DailyTotals(Struct, frozen=True):
    """Evidence that daily totals have grown. Days are compared with days of their own class only (`day_class`).

    Ranks within a class are uniform and independent as those of one sequence are (Mondrian conformal prediction, Vovk et al. ch.
    4), so weekends need no model. Found is slow growth; a burst within a day is what limits are for.
    """

    classes: dict[str, Reference] = {}
    states: tuple[float, ...] = ()

    @classmethod
    def of(cls, days: Mapping[str, Iterable[int]]) -> Self:
        """With the totals of the baseline, by their class."""
        return cls({name: Reference.of(totals) for name, totals in sorted(days.items())})

    def observe(self, name: str, total: int, toss: float) -> Self:
        """With one more day of class *name*."""
        reference = self.classes.get(name, Reference())
        states = (
            after(self.states, self.factors(reference.p_value(total, toss)))
            if reference.total
            else self.states
        )
        return type(self)({**self.classes, name: reference.added(total)}, states)

    def factors(self, p: float) -> tuple[float, ...]:
        """What each bet wins on a day with the p-value *p*."""
        return daily_factors(p)

    def restarted(self) -> Self:
        """After an alarm: the next one needs evidence of its own. What days are ranked among stays."""
        return type(self)(self.classes)

    @property
    def evidence(self) -> float:
        """The e-value."""
        return mean(self.states)


DAY_MS = 86_400_000


def day_class(day: int) -> str:
    """`workday`, `saturday` or `sunday` of *day* (days since 1970-01-01, a Thursday; UTC)."""
    return {2: "saturday", 3: "sunday"}.get(day % 7, "workday")
