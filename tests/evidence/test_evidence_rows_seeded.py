"""Every row of every catalogue that comes with Keyturn, over packs of worlds with what it is there to find: all of that, and nothing else.

Each row is judged by what a real pack's register of exceptions says. Run with `-rP -k table` for the figures of every row.
"""

from __future__ import annotations

import pytest
import row_worlds
from row_worlds import FIRST, HOLES, SECOND, Outcome, clean_words, family, judged, packed
from world_a import SEEDS

from keyturn.evidence import catalogue
from keyturn.evidence.controls import VERIFIED, Control
from keyturn.evidence.pack_errors import LogDamaged
from keyturn.evidence.testing import load_tests
from keyturn.store.errors import StoreUnwritable

ROWS = tuple(catalogue.load().controls())
by_id = pytest.mark.parametrize("row", ROWS, ids=[f"{one.framework}:{one.id}" for one in ROWS])


def seeds_of(row: Control) -> list[str]:
    """The row's tests that a pack can have exceptions of: `log_intact` has none, since no pack is made of a log that is not intact."""
    return [name for name in row.tests if name != "log_intact"]


def figures(row: Control) -> tuple[int, int, int]:
    """Exceptions seeded for a row, those of them that its packs list, and those that they list besides."""
    seeded = found = false = 0
    for test in seeds_of(row):
        world = packed(family(test), test)
        for name in _there(row, world):
            wanted, got = world.wanted[name], world.found(name)
            seeded += wanted.total()
            found += (wanted & got).total()
            false += (got - wanted).total()
        if test in VERIFIED:
            seeded, found = seeded + 1, found + world.counted[test]
    for house in {family(test) for test in row.tests}:
        world = packed(house)
        false += sum(world.found(name).total() for name in _there(row, world))
    return seeded, found, false


def _there(row: Control, world: Outcome) -> list[str]:
    return [name for name in row.tests if name in world.wanted]


@by_id
def test_a_row_finds_every_exception_that_was_seeded_for_it_and_nothing_else(row: Control) -> None:
    seeded, found, false = figures(row)
    assert seeded > 0 or row.tests == ("log_intact",)
    assert (found, false) == (seeded, 0)


@by_id
def test_each_of_a_row_s_tests_alone_fails_it_and_is_named(row: Control) -> None:
    for test in seeds_of(row):
        world = packed(family(test), test)
        words = clean_words() | {name: world.words[name] for name in (*_there(row, world), test)}
        verdict, why = judged(row, words)
        failed = [name for name in row.tests if words[name] == "fail"]
        assert (verdict, test in failed) == ("fail", True)
        assert why == f"Failed: {', '.join(failed)}."


@by_id
def test_a_row_passes_over_a_clean_world_whose_every_test_had_something_to_look_at(row: Control) -> None:
    assert judged(row, clean_words()) == ("pass", "")
    assert all(packed(family(name)).population[name] > 0 for name in row.tests)


@by_id
def test_a_row_that_tests_show_in_part_says_what_a_person_has_to_add(row: Control) -> None:
    assert row.how in ("automatic", "partial")
    assert (row.how == "partial") == bool(row.also)


def test_table() -> None:
    """How many rows, and what was seeded for each, found, and found besides: the printed table."""
    print(f"{'row':34} {'how':10} {'seeded':>7} {'found':>7} {'false':>7}")
    total = (0, 0, 0)
    for row in ROWS:
        one = figures(row)
        total = (total[0] + one[0], total[1] + one[1], total[2] + one[2])
        print(f"{row.framework + ' ' + row.id:34} {row.how:10} {one[0]:7} {one[1]:7} {one[2]:7}")
    print(f"{len(ROWS)} rows{'':38} {total[0]:7} {total[1]:7} {total[2]:7}")
    assert len(ROWS) >= 72
    assert total[0] == total[1] > 0 == total[2]


def test_every_test_of_a_catalogue_has_a_world_of_its_own() -> None:
    used = {name for row in ROWS for name in row.tests}
    assert used <= {*load_tests(), *VERIFIED}
    for name in used - set(VERIFIED):
        assert packed(family(name), name).wanted[name].total() > 0, name


@pytest.mark.parametrize("seed", sorted(HOLES))
def test_no_pack_is_made_of_a_log_with_a_hole(seed: str) -> None:
    """What stands in for an exception of such a seed: there is nothing that could be taken for evidence."""
    with pytest.raises((LogDamaged, StoreUnwritable)):
        row_worlds.pack_of_seed(SEEDS[seed])


@pytest.mark.parametrize("house", [FIRST, SECOND])
def test_a_register_that_loses_or_adds_one_exception_is_caught(house: str) -> None:
    """Negative control: the comparison that every row rests on sees one exception too few, and one too many."""
    test = "no_self_approval" if house == FIRST else "findings_judged"
    row = next(one for one in ROWS if test in one.tests)
    world = packed(house, test)
    register = world.found(test)
    one = next(iter(register))
    for change, expected in ((-1, (1, 0)), (1, (0, 1))):
        register[one] += change
        try:
            seeded, found, false = figures(row)
        finally:
            register[one] -= change
        assert (seeded - found, false) == expected
