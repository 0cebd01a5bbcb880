"""Tests of agents, credentials, findings, evidence and oversight list exactly what was seeded, and the same in SQLite and DuckDB."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import databases
import pytest
import seeds_agents
import seeds_oversight
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from world import DAY, HOUR, START, World
from world_b import DAYS, FIRST_DAY, LAST_DAY, LATE, LATE_DAY, SEEDS, SETTINGS, UNTIL, House, house

from keyturn.evidence.program.rows import MAKERS, NEEDED
from keyturn.evidence.program.tables import Tables
from keyturn.evidence.testing import Test, load_tests
from keyturn.evidence.withholding import shown

NAMES = (
    "access_reviewed", "agents_own_credentials", "agents_owned", "configurations_approved", "credentials_dormant", "credentials_fresh",
    "definitions_approved", "delegations_bounded", "egress_decided", "environments_apart", "erasure_lawful", "evidence_access",
    "exports_recorded", "findings_in_time", "findings_judged", "gates_known", "gates_probed", "grants_narrow", "instructed", "keys_rotated",
    "limits_kept", "no_secrets", "people_look", "people_told", "privileged_approved", "refusals_explained", "retained",
    "reviews_regular", "stop_works", "tests_regular",
)  # fmt: skip
TESTS = {name: load_tests()[name] for name in NAMES}
APART = {"retained": ("entries before",), "gates_known": ("it does not say its version",)}
"""Exceptions that have a test of their own, because everything in a house would be one."""

SEEDED = (seeds_agents, seeds_oversight)
"""Modules that register seeds."""


def found(
    tables: Tables, test: Test, since: int = START, until: int = UNTIL, **more: float
) -> list[tuple[int, str, str]]:
    """The exceptions of *test*: entry, subject, words."""
    size = 1 + max(row[0] for row in tables.db.execute("SELECT max(entry) FROM event"))
    outcome = tables.run(test.text, test.rests_on, (since, until, size), test.values(SETTINGS | more))
    assert outcome.untested == 0
    return [(entry, subject, words) for entry, _, subject, words in outcome.listed]


def wanted(world: House, test: str) -> list[tuple[int, str, str]]:
    return sorted((entry, subject, words) for name, entry, subject, words in world.expected if name == test)


@cache
def clean() -> tuple[House, Tables]:
    made = house()
    return made, databases.sqlite(made)


@cache
def everything() -> tuple[House, Tables]:
    """A house with every seed."""
    span = LAST_DAY - FIRST_DAY + 1
    chosen = [
        (LATE_DAY if name in LATE else FIRST_DAY + number % span, name) for number, name in enumerate(SEEDS)
    ]
    made = house(chosen, absent=("log", "rights", "tests:37"))
    return made, databases.sqlite(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_proper_house_has_a_population_and_no_exception(name: str) -> None:
    world, tables = clean()
    period = (START, UNTIL, world.index)
    test = TESTS[name]
    outcome = tables.run(test.text, test.rests_on, period, test.values(SETTINGS))
    assert outcome.population > 0
    assert (outcome.listed, outcome.untested) == ((), 0)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_seeded_is_found_and_nothing_else(name: str) -> None:
    world, tables = everything()
    assert wanted(world, name)
    assert found(tables, TESTS[name]) == wanted(world, name)


def test_duckdb_gives_the_same_members() -> None:
    for world, tables in (clean(), everything()):
        other = databases.duck(tables)
        period = (START, UNTIL, world.index)
        for test in TESTS.values():
            here = databases.members(tables, test, period, SETTINGS)
            assert here
            assert databases.members_in_duck(other, test, period, SETTINGS) == here, test.id


absences = st.sets(st.sampled_from(["log", "rights", "tests:5", "tests:90"])).map(sorted)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(sorted(SEEDS)), st.integers(0, 25), st.data(), absences)
def test_any_mixture_of_seeds_is_found_whole(
    order: list[str], count: int, data: st.DataObject, absent: list[str]
) -> None:
    days = st.integers(FIRST_DAY, LAST_DAY)
    chosen = [(LATE_DAY if name in LATE else data.draw(days), name) for name in order[:count]]
    world = house(chosen, absent)
    tables = databases.sqlite(world)
    other = databases.duck(tables)
    for name, test in TESTS.items():
        assert found(tables, test) == wanted(world, name), name
        period = (START, UNTIL, world.index)
        assert databases.members_in_duck(other, test, period, SETTINGS) == databases.members(
            tables, test, period, SETTINGS
        )
    tables.close()


# --- logs of any kind ------------------------------------------------------------------------------------------------

FIELD_NAMES = sorted(
    {
        *(name for names in NEEDED.values() for name in names), "apart", "change", "ends", "expires", "facts", "final", "for", "gesture",
        "labels", "next", "of", "on_behalf_of", "opener", "outcome", "owner", "parent", "patch", "person", "reason", "roles", "scope",
        "session", "subject", "to", "until", "uses", "what",
    }
)  # fmt: skip
WORDS_OF_LOGS = (
    "", "a", "b", "agent", "gate", "high", "critical", "odd", "run", "hold", "refuse", "approve", "deny", "session", "person", "everything",
    "stop", "consumed", "pack", "e_a", "credential.shared", "secret.recorded", "secret.written", "admin", "explained", "approved",
    "expired",
)  # fmt: skip
values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(WORDS_OF_LOGS),
    st.sampled_from([0, 1, START, START + DAY, 2**52, -5, None, True]),
    st.lists(st.sampled_from(WORDS_OF_LOGS), max_size=2),
    st.dictionaries(
        st.sampled_from(
            ["name", "person", "assurance", "verdict", "agent", "session", "action", "credential"]
        ),
        st.sampled_from(WORDS_OF_LOGS),
        max_size=3,
    ),
)
odd_entries = st.lists(
    st.tuples(
        st.sampled_from(sorted(MAKERS)),
        st.dictionaries(st.sampled_from(FIELD_NAMES), values, max_size=10),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([0, 1, 3_600, 90_000]),
    ),
    min_size=5,
    max_size=60,
)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(odd_entries)
def test_whatever_a_log_says_both_databases_agree_and_members_are_members(
    entries: list[tuple[str, dict[str, Any], str | None, int]],
) -> None:
    world = World()
    for kind, fields, session, seconds in entries:
        world.add(kind, fields, session, seconds=seconds)
    tables = databases.sqlite(world)
    other = databases.duck(tables)
    period = (START + HOUR, world.now + DAY, world.index)
    for test in TESTS.values():
        tables.run(test.text, test.rests_on, period, test.values())
        here = databases.members(tables, test, period, {})
        assert databases.members_in_duck(other, test, period, {}) == here, test.id
    tables.close()


# --- negative controls -----------------------------------------------------------------------------------------------


WORDS = re.compile(r"\bTHEN(?=\s+(?P<words>(?:'[^']|[\w.]+ \|\||CAST\()[^\n]*))")


def without(text: str) -> list[tuple[str, str]]:
    """(words, the statement in which that exception is none) of each exception that a statement names."""
    made = []
    for part in WORDS.finditer(text):
        head = text[: part.start()]
        when = head.rindex("WHEN ")
        made.append(
            (
                part["words"],
                f"{head[:when]}WHEN 1 = 0 AND ({head[when + 5 :].rstrip()}) {text[part.start() :]}",
            )
        )
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_that_forgets_one_kind_of_exception_is_caught(name: str) -> None:
    world, tables = everything()
    test = TESTS[name]
    forgetting = [
        one for one in without(test.text) if not any(word in one[0] for word in APART.get(name, ()))
    ]
    assert forgetting or name == "limits_kept"  # which has one kind of exception, the last branch
    for words, text in forgetting:
        assert found(tables, replace(test, text=text)) != wanted(world, name), words


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_that_finds_everything_in_order_is_caught(name: str) -> None:
    world, tables = everything()
    test = TESTS[name]
    blind = re.sub(r"ORDER BY 1, 3, 4\s*$", "", test.text)
    recursive = "RECURSIVE " if "WITH RECURSIVE" in blind else ""
    body = blind[blind.index("\nWITH") + 1 :] if "\nWITH" in blind else blind
    text = f"-- {recursive}\nSELECT entry, ts_ms, subject, '' AS exception FROM (\n{body}\n) ORDER BY 1, 3, 4"
    assert found(tables, replace(test, text=text)) == [] != wanted(world, name)


# --- periods ---------------------------------------------------------------------------------------------------------

OF_ENTRIES = (
    "agents_owned", "configurations_approved", "delegations_bounded", "egress_decided", "erasure_lawful", "evidence_access",
    "exports_recorded", "findings_judged", "instructed", "limits_kept", "no_secrets", "privileged_approved", "stop_works",
)  # fmt: skip
"""Tests whose members are entries of the period, and whose exceptions depend on nothing that comes later."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("days", [(0, 1), (0, 25), (22, 31), (28.5, 90), (60, DAYS), (DAYS - 1, DAYS)])
def test_members_are_within_any_period(name: str, days: tuple[float, float]) -> None:
    world, tables = everything()
    since, until = (START + int(day * DAY) for day in days)
    got = found(tables, TESTS[name], since, until)
    if name in OF_ENTRIES:
        times = dict(tables.db.execute("SELECT entry, ts_ms FROM event"))
        assert got == [one for one in wanted(world, name) if since <= times[one[0]] < until]


def test_duckdb_gives_the_same_members_of_part_of_the_time() -> None:
    world, tables = everything()
    other = databases.duck(tables)
    for days in ((22, 31), (28.5, 90)):
        period = (START + int(days[0] * DAY), START + int(days[1] * DAY), world.index)
        for test in TESTS.values():
            here = databases.members(tables, test, period, SETTINGS)
            assert databases.members_in_duck(other, test, period, SETTINGS) == here, test.id


def test_a_log_of_nothing_but_its_beginning_has_hardly_any_population() -> None:
    world = World()
    world.begin()
    tables = databases.sqlite(world)
    other = databases.duck(tables)
    period = (START, world.now, world.index)
    populated = set()
    for name, test in TESTS.items():
        here = databases.members(tables, test, period, {})
        assert databases.members_in_duck(other, test, period, {}) == here
        assert not any(row[3] for row in here)
        populated |= {name} if here else set()
    assert populated == {
        "agents_own_credentials",
        "credentials_dormant",
        "credentials_fresh",
        "keys_rotated",
        "retained",
    }


def test_what_began_before_counts_in_a_period_as_long_as_it_stands() -> None:
    world = House()
    world.begin()
    session = world.start()
    over, stands = world.finding("order.broken"), world.finding("order.broken", "low")
    _, request = world.approved(session, "cyd")
    world.grant(request, "cyd", minutes=30)
    long_grant = world.grant(request, "cyd", minutes=60 * 24 * 4, uses=3)
    revoked, expired, used_late, good = (world.of_agent(f"agent{day}", days=day) for day in (9, 1, 1, 9))
    world.add("credential.revoked", {"credential": revoked, "by": "mia", "why": "over"})
    gone, _ = world.writes(session, days=0.5)
    late, _ = world.writes(session, days=0.5)
    falls_due, _ = world.writes(session, days=3.5)
    world.writes(session, days=9)
    world.tells("r_before")
    world.tells("r_both", "failed")
    world.add("key.revoked", {"id": world.key_of("eve"), "person": "eve", "by": "eve", "why": "over"})
    world.wait(days=1)
    world.deletes(gone)
    world.settled(over)
    since = START + 3 * DAY
    world.now = START + 5 * DAY
    world.session(agent="agent1", opener=world.opener(used_late))
    world.tells("r_both")
    opened = world.finding("order.broken", "low")
    tables = databases.sqlite(world)

    def subjects(name: str) -> set[str]:
        test = TESTS[name]
        rows = databases.members(tables, test, (since, START + 6 * DAY, world.index), {})
        assert all(since <= row[1] < START + 6 * DAY for row in rows)
        return {row[2] for row in rows}

    assert subjects("findings_in_time") == {stands, opened}
    assert subjects("grants_narrow") == {long_grant}
    of_gate = {row for row in subjects("credentials_fresh") if row not in (used_late, good)}
    assert len(of_gate) == 1
    assert subjects("credentials_fresh") == of_gate | {used_late, good}
    assert subjects("agents_own_credentials") == of_gate | {good}
    assert subjects("retained") == {late, falls_due, "the log"}
    assert subjects("people_told") == {"r_both"}
    assert world.key_of("eve") not in subjects("keys_rotated")
    assert world.key_of("cyd") in subjects("keys_rotated")
    assert expired not in subjects("credentials_dormant")


# --- thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_thresholds_are_used_and_have_a_meaning(name: str) -> None:
    test = TESTS[name]
    used = set(re.findall(r"name = '(\w+)'", test.text)) | {
        f"{kind}_{severity}_{unit}"
        for kind, unit in (("ack", "h"), ("settle", "d"))
        for severity in ("critical", "high", "medium", "low")
        if f"'{kind}_' ||" in test.text
    }
    if name == "keys_rotated":
        used = {"key_d", "log_key_d"}
    used -= {"ack_", "settle_"}
    assert used == {one.name for one in test.settings}
    assert all(one.meaning for one in test.settings)


def test_spans_of_no_time_give_no_population_and_no_endless_loop() -> None:
    world, tables = clean()
    for name, values in (
        ("reviews_regular", {"review_d": 0, "rights_review_d": 0}),
        ("tests_regular", {"tests_h": 0}),
        ("access_reviewed", {"access_review_d": 0, "access_apart_d": 0}),
    ):
        test = TESTS[name]
        for sign in (1, -1):
            given_values = {one: value * sign for one, value in values.items()}
            assert (
                tables.run(test.text, test.rests_on, (START, UNTIL, world.index), given_values).population
                == 0
            )


def test_a_house_may_do_without_reasons_and_ask_for_versions_and_younger_keys() -> None:
    world, tables = everything()
    assert [words for _, _, words in found(tables, TESTS["instructed"], reason_needed=0)] == [
        "no instruction is given"
    ] * 2
    silent = [
        one
        for one in found(tables, TESTS["gates_known"], gate_version=1)
        if one[2] == "it does not say its version"
    ]
    assert world.gate in {subject for _, subject, _ in silent}
    keys = found(tables, TESTS["keys_rotated"], log_key_d=100)
    assert (0, "key of the log", f"in use for {DAYS} days") in keys


@pytest.mark.parametrize("hours", [1, 3, 5])
def test_findings_are_late_as_soon_as_their_time_is_over_and_not_before(hours: int) -> None:
    world = House()
    world.begin()
    finding = world.finding("order.broken", "critical")
    world.now = START + DAY
    tables = databases.sqlite(world)
    opened = tables.db.execute("SELECT ts_ms FROM finding").fetchone()[0]
    late = found(tables, TESTS["findings_in_time"], START, opened + hours * HOUR)
    assert [subject for _, subject, _ in late] == ([finding] if hours > 4 else [])


def test_a_log_whose_beginning_is_gone_is_told() -> None:
    world = World()
    world.begin()
    tables = databases.sqlite(world, leave_out=7)
    assert found(tables, TESTS["retained"], START, world.now) == [(7, "the log", "entries before 7 are gone")]


def test_a_legal_hold_that_comes_too_late_excuses_nothing_and_one_after_another_does() -> None:
    world = House()
    world.begin()
    session = world.session()
    late, _ = world.writes(session, days=1, labels=("late",))
    chained, _ = world.writes(session, days=1, labels=("chained",))
    first = world.holds("label", "chained")
    world.wait(days=4)
    world.holds("label", "late")
    world.holds("label", "chained")
    world.lifts(first)
    world.wait(days=2)
    tables = databases.sqlite(world)
    got = [(subject, words) for _, subject, words in found(tables, TESTS["retained"], START, world.now)]
    assert got == [(late, "it is still there 120 hours after its time")]
    assert chained


def test_an_auditor_who_is_not_shown_content_finds_the_same() -> None:
    world, tables = everything()
    narrow = databases.sqlite(world, of=shown)
    for name, test in TESTS.items():
        assert found(narrow, test) == found(tables, test), name
