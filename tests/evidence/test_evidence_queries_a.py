"""Tests of approvals, runs and records tell every seeded exception and nothing else, on SQLite and on DuckDB alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import World
from world_a import SEEDS, TESTS, base, later, resolved, settle

from keyturn.evidence.program.rows import NAMES, TABLES, rows
from keyturn.evidence.program.tables import BadTest, Tables
from keyturn.evidence.testing import load_tests
from keyturn.evidence.withholding import is_open, is_withheld

DUCK = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}
Found = dict[str, list[tuple[str, str]]]


def header(made: Any) -> tuple[Any, ...]:
    one = made.entry
    return (one.index, one.time, one.type, one.session, one.n, len(one.disclosures))


def made_rows(world: World) -> list[list[tuple[str, tuple[Any, ...]]]]:
    """The rows of every entry, from the leaf's own bytes."""
    opened = zip(world.made, world.entries(), strict=True)
    return [rows(header(made), fields) for made, (_, fields) in opened]


def loaded(world: World) -> Tables:
    tables = Tables()
    tables.insert(made_rows(world))
    tables.index()
    return tables


def in_sqlite(world: World, since: int, texts: dict[str, str] | None = None, size: int = 0) -> dict[str, Any]:
    """What each test comes to."""
    tables = loaded(world)
    period = (since, world.now, size or world.index)
    found = {}
    for name in texts or TESTS:
        test = load_tests()[name]
        text = (texts or {}).get(name, test.text)
        found[name] = tables.run(text, test.rests_on, period, test.values())
    tables.close()
    return found


def in_duckdb(world: World, since: int) -> dict[str, list[tuple[Any, ...]]]:
    """All members of each test, in the order in which it gives them."""
    db = duckdb.connect()
    kept: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
    for each in made_rows(world):
        for table, values in each:
            kept[table].append(values)
    for table, columns in TABLES.items():
        named = ", ".join(f'"{name}" {DUCK[kind]}' for name, kind, _ in columns)
        db.execute(f'CREATE TABLE "{table}" ({named})')
        if kept[table]:
            marks = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(kept[table]))
            db.execute(f'INSERT INTO "{table}" VALUES {marks}', [one for row in kept[table] for one in row])
    db.execute("CREATE TABLE period (since_ms BIGINT, until_ms BIGINT, size BIGINT)")
    db.execute("INSERT INTO period VALUES (?, ?, ?)", [since, world.now, world.index])
    found = {}
    for name in TESTS:
        test = load_tests()[name]
        db.execute("CREATE OR REPLACE TABLE setting (name VARCHAR, value DOUBLE)")
        for setting, value in test.values().items():
            db.execute("INSERT INTO setting VALUES (?, ?)", [setting, value])
        found[name] = db.execute(test.text).fetchall()
    db.close()
    return found


def members(world: World, since: int) -> dict[str, list[tuple[Any, ...]]]:
    """All members of each test on SQLite, in the order in which it gives them."""
    tables = loaded(world)
    found = {}
    for name in TESTS:
        test = load_tests()[name]
        tables._set((since, world.now, world.index), test.values())
        found[name] = tables.db.execute(test.text).fetchall()
    tables.close()
    return found


def listed(found: dict[str, Any]) -> Found:
    return {
        name: sorted((subject, words) for _, _, subject, words in one.listed) for name, one in found.items()
    }


@cache
def clean() -> dict[str, Any]:
    return in_sqlite(*base())


@pytest.mark.parametrize("name", TESTS)
def test_a_proper_house_has_a_population_and_no_exception(name: str) -> None:
    found = clean()[name]
    assert (found.population > 0, found.listed, found.untested) == (True, (), 0)


@pytest.mark.parametrize("seed", sorted(SEEDS))
def test_each_seeded_exception_is_found_and_nothing_else(seed: str) -> None:
    world, since = base()
    expected = SEEDS[seed](world)
    settle(world)
    found = in_sqlite(world, since)
    assert listed(found) == resolved(world, [expected])
    assert not any(one.untested for one in found.values())


def test_every_test_has_a_seeded_exception() -> None:
    world, _ = base()
    seeded = {test for make in SEEDS.values() for test in make(world)}
    assert set(TESTS) <= seeded <= set(load_tests())


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(SEEDS)), max_size=12), st.randoms(use_true_random=False))
def test_any_mixture_of_exceptions_is_found_and_nothing_else(names: list[str], random: Any) -> None:
    world, since = base()
    expected = []
    for name in names:
        expected.append(SEEDS[name](world))
        if random.random() < 0.3:
            later(world, 1)
    settle(world)
    assert listed(in_sqlite(world, since)) == resolved(world, expected)


def test_sqlite_and_duckdb_give_the_same_members_in_the_same_order() -> None:
    world, since = everything()
    ours, theirs = members(world, since), in_duckdb(world, since)
    for name in TESTS:
        assert ours[name] == theirs[name], name


def everything() -> tuple[World, int]:
    """One world with every seed."""
    world, since = base()
    for make in SEEDS.values():
        make(world)
    settle(world)
    return world, since


ENDS = {"presence", "reconciled"}
"""Tests that have a member for the end of the period."""


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_a_member_belongs_to_the_one_period_in_which_it_happened(share: int) -> None:
    world, since, tables = whole()
    middle = since + (world.now - since) * share // 10_000
    for name in set(TESTS) - ENDS:
        test = load_tests()[name]
        found = []
        for period in ((since, middle), (middle, world.now), (since, world.now)):
            tables._set((*period, world.index), test.values())
            found.append(tables.db.execute(test.text).fetchall())
        assert sorted(found[0] + found[1]) == sorted(found[2])


@cache
def whole() -> tuple[World, int, Tables]:
    world, since = everything()
    return world, since, loaded(world)


def test_the_house_s_beginning_shows_who_was_enrolled_alone() -> None:
    """What is marked as genesis has nobody who could approve it; the second administrator is a true exception."""
    world, _ = base()
    found = listed(in_sqlite(world, 0))
    alone = ("bea", "person.enrolled by ada alone: there was no other administrator")
    assert {name: words for name, words in found.items() if words} == {"changes_by_two": [alone]}


def test_what_is_not_disclosed_is_no_exception_and_no_pass() -> None:
    world, since = base()
    session = world.session()
    action = world.action(session)
    given = {
        name: value for name, value in action.fields.items() if name not in ("decision", "human", "agent")
    }
    world.add("action.decided", {**given, "id": "a_withheld"}, session=session)
    world.close(session)
    found = in_sqlite(world, since)
    assert not any(one.listed for one in found.values())
    assert {name for name, one in found.items() if one.untested} >= {"fields_complete", "decided_by_policy"}


def test_an_auditor_who_is_shown_digests_only_gets_the_same_results() -> None:
    world, since, whole_tables = whole()
    shown = []
    for made, (head, fields) in zip(world.made, world.entries(), strict=True):
        is_shown = is_open(head.type, fields.get("subject"))
        left = {k: v for k, v in fields.items() if is_shown or not is_withheld(head.type, k, v)}
        shown.append(rows(header(made), left))
    tables = Tables()
    tables.insert(shown)
    tables.index()
    period = (since, world.now, world.index)
    assert tables.count("event") == whole_tables.count("event")
    for name in TESTS:
        test = load_tests()[name]
        ours, theirs = (
            one.run(test.text, test.rests_on, period, test.values()) for one in (whole_tables, tables)
        )
        assert ours == theirs, name
    tables.close()


def test_entries_that_were_cut_off_the_end_are_missed() -> None:
    world, since = base()
    found = in_sqlite(world, since, size=world.index + 5)["log_complete"]
    assert [words for _, _, _, words in found.listed] == ["5 entries after them are missing"]


def test_entries_that_are_missing_in_the_newest_block_are_missed() -> None:
    world, since = base()
    world.lose(2)
    world.heartbeat(interval_s=3600)
    found = in_sqlite(world, since)["log_complete"]
    assert [words for _, _, _, words in found.listed] == ["2 entries are missing"]


def test_an_index_that_is_there_twice_is_told() -> None:
    world, since = base()
    while world.index % 256:
        world.heartbeat(interval_s=3600)
    world.lose(-1)
    world.heartbeat(interval_s=3600)
    world.heartbeat(interval_s=3600)
    found = in_sqlite(world, since)["log_complete"]
    assert [words for _, _, _, words in found.listed] == ["indexes are there twice"]


def test_silence_until_the_end_of_the_period_is_a_gap() -> None:
    world, since = base()
    world.wait(hours=5)
    world.add("person.changed", {"id": "noa", "groups": [], "by": "ada"})
    found = in_sqlite(world, since)["presence"]
    assert [(s, w[:32]) for _, _, s, w in found.listed] == [
        ("end of the period", "nothing was heard for the last 1")
    ]


def test_a_period_without_data_has_no_population() -> None:
    world, _ = base()
    world.wait(days=2)
    since = world.now
    world.wait(days=1)
    found = in_sqlite(world, since)
    assert {name for name, one in found.items() if one.population} <= {"presence", "reconciled"}
    assert NAMES


# --- the tests can fail ------------------------------------------------------------------------------------------------

SAME = {"breakglass_reviewed: l.use_id IS NULL"}
"""Conditions without which a test says the same: they are there to be read."""


def without_each_condition(text: str) -> Iterator[tuple[str, str]]:
    """The test without one of the conditions under which something is an exception, and which that is."""
    begin = text.index("\nWITH") if "\nWITH" in text else text.index("\nSELECT")
    for found in re.finditer(r"\bWHEN (.+?)\s+THEN", text[begin:], re.DOTALL):
        start, end = begin + found.start(1), begin + found.end(1)
        yield " ".join(found[1].split()), text[:start] + "1 = 0" + text[end:]


@cache
def cases() -> list[tuple[Tables, tuple[int, int, int]]]:
    """Worlds and periods in which each condition makes a difference."""
    world, since, tables = whole()
    quiet, begun = base()
    quiet.lose(2)
    quiet.heartbeat(interval_s=3600)
    quiet.wait(hours=5)
    last = quiet.now
    quiet.add("person.changed", {"id": "noa", "groups": [], "by": "ada"})
    twice, first = base()
    while twice.index % 256:
        twice.heartbeat(interval_s=3600)
    twice.lose(-1)
    twice.heartbeat(interval_s=3600)
    twice.heartbeat(interval_s=3600)
    withheld, start = base()
    session = withheld.session()
    fields = withheld.action(session).fields
    kept = {name: value for name, value in fields.items() if name not in ("decision", "human", "agent")}
    withheld.add("action.decided", {**kept, "id": "a_withheld"}, session=session)
    return [
        (tables, (since, world.now, world.index)),
        (loaded(quiet), (begun, quiet.now, quiet.index + 5)),
        (loaded(quiet), (last - 3 * 3_600_000, quiet.now, quiet.index)),
        (loaded(quiet), (begun, quiet.now - 4 * 3_600_000, quiet.index)),
        (loaded(twice), (first, twice.now, twice.index + 5)),
        (loaded(twice), (0, twice.now, twice.index)),
        (loaded(withheld), (start, withheld.now, withheld.index)),
    ]


def comes_to(name: str, text: str) -> list[Any]:
    test = load_tests()[name]
    found: list[Any] = []
    for tables, period in cases():
        try:
            outcome = tables.run(text, test.rests_on, period, test.values())
            found.append((outcome.population, outcome.listed))
        except BadTest as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("name", TESTS)
def test_without_any_one_of_its_conditions_a_test_is_caught(name: str) -> None:
    text = load_tests()[name].text
    proper = comes_to(name, text)
    assert not any(isinstance(one, str) for one in proper)
    missed = {
        f"{name}: {what}" for what, less in without_each_condition(text) if comes_to(name, less) == proper
    }
    assert missed <= SAME


@pytest.mark.parametrize(
    "part", ["uid_span", "shared", "same", "mark", "barred", "outside", "valid", "word", "given"]
)
def test_who_counts_is_worked_out_in_the_same_words_in_every_test(part: str) -> None:
    said = set()
    for name in TESTS:
        found = re.search(
            rf"\n  {part}(?:\([^)]*\))? AS \(.*?\n?\s*\),\n", load_tests()[name].text, re.DOTALL
        )
        said |= {found[0]} if found else set()
    assert len(said) == 1
