"""Sliding windows beside an oracle that keeps every event."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift import windows
from keyturn.drift.windows import Cell, Value, added, held, known, noted, total, width

WINDOWS = st.sampled_from([10_000, 60_000, 3_600_000, 86_400_000, 61_001])
GAPS = st.lists(st.tuples(st.integers(0, 20_000_000), st.integers(1, 50)), max_size=120)


def timeline(gaps: list[tuple[int, int]], window: int) -> list[tuple[int, int]]:
    """(time, amount) with times that never go back; gaps are scaled so that many events share a window."""
    now, found = 1_700_000_000_000, []
    for gap, amount in gaps:
        now += gap * window // 400_000_000
        found.append((now, amount))
    return found


@given(GAPS, WINDOWS, st.integers(0, 3))
def test_a_count_is_never_too_low_and_too_high_by_a_sixtieth_at_most(
    gaps: list[tuple[int, int]], window: int, later: int
) -> None:
    events = timeline(gaps, window)
    cells: list[Cell] = []
    for number, (time, amount) in enumerate(events):
        cells = added(cells, time, window, amount, 1, number)
        now = time + later * window // 7
        seen = total(cells, now, window)
        assert held(cells, now, window) == seen.amount
        past = events[: number + 1]
        true = sum(a for t, a in past if now - window < t <= now)
        most = sum(a for t, a in past if now - window - width(window) < t <= now)
        assert true <= seen.amount <= most
        assert seen.events <= sum(now - window - width(window) < t for t, _ in past)


@given(GAPS, WINDOWS, st.integers(1, 60))
def test_no_stretch_of_a_window_ever_holds_more_than_was_let_go(
    gaps: list[tuple[int, int]], window: int, most: int
) -> None:
    cells: list[Cell] = []
    gone: list[tuple[int, int]] = []
    for time, amount in timeline(gaps, window):
        if total(cells, time, window).amount + amount <= most:
            cells = added(cells, time, window, amount)
            gone.append((time, amount))
    for end, _ in gone:
        assert sum(a for t, a in gone if end - window < t <= end) <= most


@given(GAPS, WINDOWS)
def test_a_window_takes_the_same_room_after_ten_events_and_after_any_number(
    gaps: list[tuple[int, int]], window: int
) -> None:
    cells: list[Cell] = []
    for time, amount in timeline(gaps, window):
        cells = added(cells, time, window, amount)
        assert len(cells) <= windows.CELLS + 2
        assert [cell[0] for cell in cells] == sorted({cell[0] for cell in cells})


@given(st.lists(st.tuples(st.integers(0, 20_000_000), st.sampled_from("abcdefgh")), max_size=100), WINDOWS)
def test_different_values_are_told_as_by_somebody_who_remembers_everything(
    gaps: list[tuple[int, str]], window: int
) -> None:
    values: list[Value] = []
    past: list[tuple[int, str]] = []
    now = 1_700_000_000_000
    for gap, value in gaps:
        now += gap * window // 400_000_000
        values = noted(values, value, now, window)
        past.append((now, value))
        found = known(values, now, window)
        assert {v for t, v in past if now - window < t} <= found
        assert found <= {v for t, v in past if now - window - width(window) < t}


LATE = st.lists(st.tuples(st.integers(-40, 70), st.integers(-9, 9)), max_size=80)


@given(LATE, st.sampled_from([60_000, 61_001, 3_600_000]))
def test_late_events_and_what_is_taken_back_are_added_as_by_somebody_who_keeps_a_table(
    moves: list[tuple[int, int]], window: int
) -> None:
    now, cells = 1_700_000_000_000, []
    table: dict[int, list[int]] = {}
    for number, (cell, amount) in enumerate(moves):
        at = now + cell * width(window)
        now = max(now, at)
        cells = added(cells, at, window, amount, amount > 0, number)
        _table(table, at // width(window), amount, number)
        assert cells == [[slot, *table[slot]] for slot in sorted(table)]
        assert held(cells, now, window) == total(cells, now, window).amount


def _table(table: dict[int, list[int]], slot: int, amount: int, number: int) -> None:
    """What `added` keeps, the plain way: slot → [amount, events, newest entry]."""
    for old in [one for one in table if one < max([slot, *table]) - windows.CELLS - 1]:
        del table[old]
    if slot in table:
        was = table[slot]
        table[slot] = [max(0, was[0] + amount), max(0, was[1] + (amount > 0)), max(was[2], number)]
    elif amount >= 0 and slot >= max([slot, *table]) - windows.CELLS - 1:
        table[slot] = [amount, int(amount > 0), number]


def test_what_a_receipt_takes_back_is_gone_and_nothing_else() -> None:
    cells = added([], 1_000_000, 60_000, 500)
    cells = added(cells, 1_030_000, 60_000, 500)
    cells = added(cells, 1_000_000, 60_000, -500, 0)
    assert total(cells, 1_030_000, 60_000).amount == 500
    assert added([], 1_000_000, 60_000, -500, 0) == []


def test_a_clock_that_is_set_back_frees_nothing() -> None:
    cells = added([], 2_000_000_000, 60_000, 7)
    assert total(cells, 1_000_000_000, 60_000).amount == 7
