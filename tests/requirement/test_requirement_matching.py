"""Placing people: as many as brute force can place, each at one stage, and nobody loses a place by somebody else's coming."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.requirement import place

wishes = st.lists(st.sets(st.integers(0, 2)), max_size=6)
needs = st.lists(st.integers(0, 2), min_size=3, max_size=3)


def most(people: list[set[int]], places: list[int]) -> int:
    """The largest number that can be placed, by trying everything."""
    best = 0
    for choice in product(*[[None, *sorted(mine)] for mine in people]):
        if all(choice.count(stage) <= places[stage] for stage in range(len(places))):
            best = max(best, sum(stage is not None for stage in choice))
    return best


@settings(max_examples=300)
@given(wishes, needs)
def test_as_many_are_placed_as_brute_force_can_place(people: list[set[int]], places: list[int]) -> None:
    placed = place(people, places)
    assert sum(stage is not None for stage in placed) == most(people, places)
    assert all(stage is None or stage in mine for stage, mine in zip(placed, people, strict=True))
    assert all(placed.count(stage) <= places[stage] for stage in range(len(places)))


@given(wishes, st.sets(st.integers(0, 2)), needs)
def test_nobody_loses_their_place_to_a_newcomer(
    people: list[set[int]], newcomer: set[int], places: list[int]
) -> None:
    before = place(people, places)
    after = place([*people, newcomer], places)
    assert all(now is not None for was, now in zip(before, after[:-1], strict=True) if was is not None)


def test_first_come_first_placed_would_block_and_brute_force_sees_it() -> None:
    """Negative control: the greedy way places one of two here."""
    people, places = [{0, 1}, {0}], [1, 1]
    greedy: list[int] = []
    for mine in people:
        free = [stage for stage in sorted(mine) if greedy.count(stage) < places[stage]]
        greedy += free[:1]
    assert len(greedy) < most(people, places) == len([x for x in place(people, places) if x is not None])
