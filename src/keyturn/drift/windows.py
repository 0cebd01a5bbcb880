"""Sliding windows in constant space: how much happened in the last W, never less than the truth. Pure.

A window of W milliseconds is kept as cells of W / 60 each. What happens at t falls into the cell t // width, and a cell counts
until all of it lies outside of the window. With `true(a, b]` for what happened after a, up to and including b:

    true(now - W, now]  ≤  total(now)  ≤  true(now - W - width, now]

So a count is never too low: where an action is let go only while `total + 1 ≤ most`, no stretch of W holds more than `most`. It is too
high by at most what happened in the sixtieth before the window. At most 62 cells are kept, so adding and counting cost the same
after ten events and after ten million. Events may come late (a receipt) but never change what was counted for others.
`tests/drift/test_drift_windows.py` compares with an oracle that keeps every event.

Source: the bucketed sliding window of M. Datar et al., *Maintaining Stream Statistics over Sliding Windows* (SIAM J. Comput. 31(6),
2002), with equal cells instead of exponential ones: the error is a stretch of time, which people can be told.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

CELLS = 60
"""Cells that a window is divided into."""

MOST_DISTINCT = 4096
"""Different values that are remembered for one window. Beyond them nothing new is told from what is known: it counts as too many."""

Cell = list[int]
"""[slot, amount, events, newest entry]."""


class Seen(Struct, frozen=True):
    """What a window holds: `amount` (a sum, or the number of events), `events`, since when (ms), and entries behind it."""

    amount: int = 0
    events: int = 0
    since: int | None = None
    entries: tuple[int, ...] = ()


def width(window: int) -> int:
    """Milliseconds of one cell of a window of *window* milliseconds."""
    return max(1, -(-window // CELLS))


def oldest(now: int, window: int) -> int:
    """The first slot of which a part lies in the window that ends at *now*."""
    return (now - window) // width(window)


def added(
    cells: Sequence[Cell], at: int, window: int, amount: int = 1, events: int = 1, entry: int = -1
) -> list[Cell]:
    """*cells* with *amount* at time *at*; cells that are out of the window by then are dropped.

    A negative *amount* takes back what was added at that time before; where it is gone already, nothing is taken.
    """
    slot = at // width(window)
    if cells:
        last, first = cells[-1], slot - CELLS - 1
        if last[0] < slot and amount >= 0:  # a cell begins
            start = 0
            while start < len(cells) and cells[start][0] < first:
                start += 1
            return [*cells[start:], [slot, amount, events, entry]]
        if last[0] == slot and cells[0][0] >= first:  # nearly always
            now = [slot, max(0, last[1] + amount), max(0, last[2] + events), max(last[3], entry)]
            return [*cells[:-1], now]
    newest = max([slot, *(cell[0] for cell in cells[-1:])])
    first = newest - CELLS - 1
    kept = [cell for cell in cells if cell[0] >= first]
    for number, cell in enumerate(kept):
        if cell[0] == slot:
            now = [slot, max(0, cell[1] + amount), max(0, cell[2] + events), max(cell[3], entry)]
            return [*kept[:number], now, *kept[number + 1 :]]
    if amount < 0 or slot < first:
        return kept
    place = sum(cell[0] < slot for cell in kept)
    return [*kept[:place], [slot, amount, events, entry], *kept[place:]]


def held(cells: Sequence[Cell], now: int, window: int) -> int:
    """The amount of `total` alone, which every action that a limit counts asks for; the rest is told where it is too much."""
    first, start = oldest(now, window), 0
    while start < len(cells) and cells[start][0] < first:
        start += 1
    return sum([cell[1] for cell in (cells[start:] if start else cells)])


def total(cells: Sequence[Cell], now: int, window: int) -> Seen:
    """What *cells* hold of the window that ends at *now*. What is later than *now* counts, too: a clock may have been set back."""
    first, start = oldest(now, window), 0
    while start < len(cells) and cells[start][0] < first:
        start += 1
    live = cells[start:] if start else cells
    if not live:
        return Seen()
    _, amounts, events, entries = zip(*live, strict=True)
    if not all(events):  # seldom: something was taken back
        kept = [cell for cell in live if cell[1] or cell[2]]
        if len(kept) < len(live):
            return total(kept, now, window)
    if min(entries) < 0:
        entries = tuple([entry for entry in entries if entry >= 0])
    return Seen(sum(amounts), sum(events), min(live[0][0] * width(window), now), entries)


Value = list[str | int]
"""[value, slot in which it was seen last]."""


def noted(values: Sequence[Value], value: str, at: int, window: int) -> list[Value]:
    """*values* with *value* seen at *at*, the longest unseen first; those out of the window by then are dropped."""
    slot = at // width(window)
    known = max([slot, *(int(one[1]) for one in values if one[0] == value)])
    newest = max([slot, *(int(one[1]) for one in values)])
    kept = [one for one in values if one[0] != value and int(one[1]) >= newest - CELLS - 1]
    kept.append([value, known])
    return sorted(kept, key=lambda one: (int(one[1]), str(one[0])))[-MOST_DISTINCT:]


def known(values: Sequence[Value], now: int, window: int) -> frozenset[str]:
    """The different values of the window that ends at *now*."""
    first = oldest(now, window)
    return frozenset(str(one[0]) for one in values if int(one[1]) >= first)


__all__ = [
    "CELLS",
    "MOST_DISTINCT",
    "Cell",
    "Seen",
    "added",
    "held",
    "known",
    "noted",
    "oldest",
    "total",
    "width",
]
