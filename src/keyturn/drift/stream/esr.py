"""e-SR: the Shiryaev–Roberts e-detector. Sums the evidence of every possible beginning of a drift.

    M₀ = 0,   Mₙ = eₙ · (1 + Mₙ₋₁)

where eₙ ≥ 0 has conditional mean at most 1 without drift. Then E[Mₜ] ≤ E[T] for every stopping time T, so the first time that M
reaches A comes after A sessions or more on average: A *is* the average run length (ARL) to a false alarm, whatever the
distribution (Shin, Ramdas & Rinaldo, *E-detectors*, NEJSDS 2024, arXiv:2203.03532, Thm 2.4). A mean of e-detectors is one,
so several bets run side by side and nothing has to be known about how large the drift will be.

Rules kept here: states are values; all arithmetic is + and × on floats, so that a replay anywhere gives the same bytes.
"""

from __future__ import annotations

from msgspec import Struct

CAP = 1e12
"""No state grows beyond this: it is far over every threshold, and exact as a JSON number. Capping only makes it smaller."""


def after(states: tuple[float, ...], factors: tuple[float, ...]) -> tuple[float, ...]:
    """The states of all bets after one more session, on which they won *factors*."""
    before = states or (0.0,) * len(factors)
    return tuple([min(e * (1.0 + m), CAP) for e, m in zip(factors, before, strict=True)])


def mean(states: tuple[float, ...]) -> float:
    """The e-value of all bets together."""
    return sum(states) / len(states) if states else 0.0


class BoundedMeanESR(Struct, frozen=True):
    """Evidence that the mean of values in [0, 1] lies over `bound`: e = 1 + λ(x - bound), one state for each bet λ.

    `bound` is `bounds.betting_upper` of the baseline (or what policy tolerates), so E[e] ≤ 1 as long as the mean is not over it. Bets
    are shares of 1/bound, the largest that can't go broke (Waudby-Smith & Ramdas §4).
    """

    bound: float
    states: tuple[float, ...] = ()

    BETS = (0.03, 0.08, 0.16, 0.32)

    def factors(self, value: float) -> tuple[float, ...]:
        """What each bet wins on a session whose mean is *value*."""
        over = value / self.bound - 1.0 if self.bound < 1.0 else 0.0
        return tuple([1.0 + bet * over for bet in self.BETS])

    def observe(self, value: float) -> BoundedMeanESR:
        """With one more session, whose mean is *value*."""
        return BoundedMeanESR(self.bound, after(self.states, self.factors(value)))

    @property
    def evidence(self) -> float:
        """The e-value."""
        return mean(self.states)


class Novelty(Struct, frozen=True):
    """Evidence that sessions with something out of the baseline are more frequent than `bound`.

    `bound` is Clopper–Pearson over the sessions of the baseline that hold something no other one holds (`bounds.once_only`).
    """

    bound: float
    states: tuple[float, ...] = ()

    BETS = (0.03, 0.1, 0.25, 0.5)

    def factors(self, novel: bool) -> tuple[float, ...]:
        """What each bet wins on a session that has something out of the baseline, or not."""
        over = (1.0 / self.bound if novel else 0.0) - 1.0 if self.bound < 1.0 else 0.0
        return tuple([1.0 + bet * over for bet in self.BETS])

    def observe(self, novel: bool) -> Novelty:
        """With one more session."""
        return Novelty(self.bound, after(self.states, self.factors(novel)))

    @property
    def evidence(self) -> float:
        """The e-value."""
        return mean(self.states)
