"""When it began, in hindsight: which of the possible beginnings has the evidence.

An e-SR is a sum over beginnings k of ∏_{i≥k} eᵢ, so the summands over their sum are weights of the beginnings (a posterior under an even
prior). The likeliest k is the CUSUM's; the interval holds nine tenths of the weight. A step is dated to some sessions, a slow
ramp hardly at all, and the interval says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

WEIGHT = 0.9


class Onset(Struct, frozen=True):
    """Places in the sequence: `earliest` ≤ `likeliest` ≤ `latest`."""

    earliest: int
    likeliest: int
    latest: int


def onset(factors: Sequence[Sequence[float]]) -> Onset:
    """Of the sessions since the last alarm, each with what every bet won on it, oldest first; there is at least one.

    A beginning's weight is what all bets together won since it, so those that fit the drift best say most.
    """
    bets = [_products([row[bet] for row in factors]) for bet in range(len(factors[0]))]
    top = max(max(logs) for logs in bets)
    weights = [sum(math.exp(logs[place] - top) for logs in bets) for place in range(len(factors))]
    whole, tail = sum(weights), (1.0 - WEIGHT) / 2
    earliest = latest = len(weights) - 1
    seen = 0.0
    for place, weight in enumerate(weights):
        before, seen = seen / whole, (seen + weight)
        if before < tail <= seen / whole:
            earliest = place
        if before < 1.0 - tail <= seen / whole:
            latest = place
            break
    likeliest = weights.index(max(weights))
    return Onset(min(earliest, likeliest), likeliest, max(latest, likeliest))


def _products(won: Sequence[float]) -> list[float]:
    """log ∏_{i≥k} for each k."""
    logs: list[float] = [0.0] * len(won)
    run = 0.0
    for place in range(len(won) - 1, -1, -1):
        run += math.log(max(won[place], 1e-300))
        logs[place] = run
    return logs
