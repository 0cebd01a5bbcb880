"""One-to-one matching of two series of times, the skew between their clocks, and what is left over.

Rules kept here:

- Never "there is one like it": each event takes one action of its own, so that a copy is left over.
- All intervals are equally long, so taking the earliest that reaches gives a largest matching, in linear time.
- What is left over is told as a count in a stretch of time: which of the lines it was can't be known, so none is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median_low

from msgspec import Struct

from keyturn.drift.observed import Observed

SKEW_MS = 10_000
"""The largest skew that is looked for without tags."""
BIN_MS = 10
PAIRS = 200_000


class Surplus(Struct, frozen=True):
    """`count` executions more than were allowed, somewhere between `earliest` and `latest`. `statement` is what of it is shown."""

    fingerprint: str
    statement: str
    count: int
    earliest: int
    latest: int
    principals: tuple[str, ...] = ()


def paired(events: Sequence[int], actions: Sequence[int], reach: int) -> list[tuple[int, int]]:
    """A largest set of pairs (place in *events*, place in *actions*) at most *reach* apart, each place once. Both are sorted."""
    pairs, place = [], 0
    for number, at in enumerate(events):
        while place < len(actions) and actions[place] < at - reach:
            place += 1
        if place < len(actions) and actions[place] <= at + reach:
            pairs.append((number, place))
            place += 1
    return pairs


def skew(
    events: Mapping[str, Sequence[int]], actions: Mapping[str, Sequence[int]], most: int = SKEW_MS
) -> int | None:
    """The target's clock minus ours: the distance at which most pairs of the same fingerprint lie; None without pairs."""
    bins: Counter[int] = Counter()
    apart: list[int] = []
    for name, times in events.items():
        mine = actions.get(name, ())
        first = 0
        for at in times:
            while first < len(mine) and mine[first] < at - most:
                first += 1
            place = first
            while place < len(mine) and mine[place] <= at + most and len(apart) < PAIRS:
                apart.append(at - mine[place])
                place += 1
    bins.update(distance // BIN_MS for distance in apart)
    if not bins:
        return None
    peak = max(bins, key=lambda bin: (bins[bin - 1] + bins[bin] + bins[bin + 1], -abs(bin)))
    near = [distance for distance in apart if abs(distance // BIN_MS - peak) <= 1]
    return median_low(near)


def surplus(name: str, said: Sequence[Observed], left: Sequence[int], reach: int) -> list[Surplus]:
    """*left* over places in *said*, as counts in the stretches of time in which one could stand for another."""
    found: list[Surplus] = []
    start = 0
    for place in range(1, len(said) + 1):
        if place < len(said) and said[place].time - said[place - 1].time <= 2 * reach:
            continue
        stretch = said[start:place]
        count = sum(start <= one < place for one in left)
        if count:
            principals = tuple(sorted({one.principal for one in stretch}))
            found.append(
                Surplus(name, stretch[0].shown, count, stretch[0].time, stretch[-1].time, principals)
            )
        start = place
    return found


__all__ = ["SKEW_MS", "Surplus", "paired", "skew", "surplus"]
