"""Upper confidence bounds from a baseline: what a detector takes for "no drift".

A plug-in estimate breaks the promised false-alarm rate (half of all baselines lie below their own truth); a bound breaks it in at
most `ALPHA` of baselines. Sources: Waudby-Smith & Ramdas, *Estimating means of bounded random variables by betting* (JRSS B 2024,
arXiv:2010.09686); Clopper & Pearson (Biometrika 1934); Good, *The population frequencies of species* (Biometrika 1953).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

ALPHA = 0.05
"""Share of baselines whose bound may lie below the truth."""

_BETS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_ROUNDS = 40
"""Bisection steps: a bound to 1e-12."""


def betting_upper(values: Sequence[float], alpha: float = ALPHA) -> float:
    """The largest mean of values in [0, 1] that the sample does not refute at level *alpha*.

    For a mean m the capital of a gambler who bets that the mean is smaller, K(m) = mean over λ of ∏ (1 + λ(m - x)), exceeds 1/α with
    probability at most α when the mean is m or more (Ville; Waudby-Smith & Ramdas §4, with a fixed mixture of bets, so the
    order of the sample does not matter). It grows with m, so the bound is found by bisection. An empty sample gives 1.
    """
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    limit = math.log(len(_BETS) / alpha)
    low, high = (sum(values) / len(values) if values else 1.0), 1.0
    if not values or _capital(counts, high) <= limit:
        return 1.0
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if _capital(counts, middle) > limit else (middle, high)
    return high


def _capital(counts: Mapping[float, int], mean: float) -> float:
    """log Σ_λ ∏ (1 + λ(mean - x)). A bet is a share of the largest that can't go broke."""
    largest = 1.0 / max(1.0 - mean, 1e-9)
    logs = []
    for share in _BETS:
        # A rare event is bet on in units of its odds; `largest` alone would stake too little near zero.
        stake = share * min(largest, 1e9)
        logs.append(sum(n * math.log(max(1.0 + stake * (mean - x), 1e-300)) for x, n in counts.items()))
    top = max(logs)
    return top + math.log(sum(math.exp(one - top) for one in logs))


def clopper_pearson_upper(hits: int, trials: int, alpha: float = ALPHA) -> float:
    """The largest probability under which *hits* or fewer of *trials* still have a chance of *alpha*. No trials give 1."""
    if hits >= trials:
        return 1.0
    low, high = hits / trials, 1.0
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if _at_most(hits, trials, middle) < alpha else (middle, high)
    return high


def _at_most(hits: int, trials: int, p: float) -> float:
    """P(Binomial(trials, p) ≤ hits), for 0 < p < 1."""
    if p >= 1.0:
        return 0.0
    step, total = trials * math.log1p(-p), 0.0
    odds = math.log(p) - math.log1p(-p)
    for k in range(hits + 1):
        total += math.exp(step)
        step += math.log(trials - k) - math.log(k + 1) + odds if k < trials else 0.0
    return min(total, 1.0)


def once_only(sessions: Iterable[Collection[str]]) -> tuple[int, int]:
    """(sessions that hold something no other one holds, sessions).

    Good–Turing: the chance that the next session brings something new is about the share of those that did, had they come
    last; every session is as good a "last one" as another, so the count is binomial enough for `clopper_pearson_upper`.
    """
    found = [frozenset(one) for one in sessions]
    times: dict[str, int] = {}
    for one in found:
        for item in one:
            times[item] = times.get(item, 0) + 1
    return sum(any(times[item] == 1 for item in one) for one in found), len(found)
