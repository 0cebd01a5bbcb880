"""The tables in SQLite: the same rows however they came in, and no test that does anything but read, or that has figures it didn't earn."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from databases import csv
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, START, World

from keyturn.evidence.program import rows as rows_program
from keyturn.evidence.program import tables as program
from keyturn.evidence.program.rows import NAMES, TABLES
from keyturn.evidence.program.sheets import Sums, lines, table_head, table_lines
from keyturn.evidence.program.tables import DAY_MS, FUNCTIONS, BadTest, Tables, opened

TEXT = st.characters(exclude_categories=["Cs"])
FOREVER = (0, 2**50, 10_000)
MEMBERS = (
    "SELECT entry, ts_ms, person AS subject, CASE WHEN alone = 1 THEN 'alone' ELSE '' END AS exception FROM person, period "
    "WHERE ts_ms >= since_ms AND ts_ms < until_ms ORDER BY entry, subject, exception"
)

Rows = list[tuple[tuple[Any, ...], dict[str, Any]]]


def of(world: World) -> Rows:
    return [((h.index, h.time, h.type, h.session, h.n, len(h._sd)), fields) for h, fields in world.entries()]


@pytest.fixture(scope="module")
def entries() -> Rows:
    world = World()
    world.begin()
    session = world.session()
    world.ran(session)
    world.wait(days=1)
    world.approved(session, "cyd")
    world.enrol("zed", alone=True)
    return of(world)


@pytest.fixture
def tables(entries: Rows) -> Iterator[Tables]:
    made = Tables()
    made.load(entries)
    made.index()
    yield made
    made.close()


def all_of(tables: Tables) -> dict[str, bytes]:
    return {table: csv(tables, table) for table in TABLES}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=4), st.booleans())
def test_rows_are_the_same_in_however_many_pieces_they_come(cuts: list[int], indexed: bool) -> None:
    world = World()
    world.begin()
    entries = of(world)
    whole, pieces = Tables(), Tables()
    assert whole.load(entries) == len(entries)
    edges = [0, *sorted(min(cut, len(entries)) for cut in cuts), len(entries)]
    for start, end in pairwise(edges):
        pieces.load(entries[start:end])
        if indexed:
            pieces.index()
    assert all_of(whole) == all_of(pieces)
    whole.close()
    pieces.close()


def test_a_test_has_a_row_for_each_member_and_days_of_utc(tables: Tables) -> None:
    outcome = tables.run(MEMBERS, ("person",), FOREVER, {})
    assert (outcome.population, outcome.exceptions, outcome.untested) == (8, 2, 0)
    assert [one[2:] for one in outcome.listed] == [("bea", "alone"), ("zed", "alone")]
    first = START - START % DAY_MS
    assert outcome.days == ((first, 7, 1, 0), (first + DAY, 1, 1, 0))


def test_the_period_s_end_is_not_in_it(tables: Tables) -> None:
    moment = tables.run(MEMBERS, ("person",), FOREVER, {}).listed[0][1]
    assert tables.run(MEMBERS, ("person",), (moment, moment + 1, 10_000), {}).population == 1
    assert tables.run(MEMBERS, ("person",), (moment - 1, moment, 10_000), {}).population == 0


def test_only_so_many_exceptions_are_listed_and_all_are_counted(tables: Tables) -> None:
    outcome = tables.run(MEMBERS, ("person",), FOREVER, {}, most=1)
    assert (outcome.exceptions, len(outcome.listed)) == (2, 1)


def test_settings_are_read_by_name_and_gone_in_the_next_test(tables: Tables) -> None:
    value = "(SELECT value FROM setting WHERE name = 'most')"
    text = f"SELECT entry, ts_ms, '' AS subject, CASE WHEN n > {value} THEN 'over' ELSE '' END AS exception FROM event"
    assert tables.run(text, ("event",), FOREVER, {"most": 2}).exceptions > 0
    assert tables.run(text, ("event",), FOREVER, {}).exceptions == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "columns are none"),
        ("nonsense", "syntax error"),
        ("SELECT * FROM nowhere", "no such table"),
        ("SELECT 1", "columns are 1"),
        ("SELECT entry, ts_ms, person, '' AS exception FROM person", "columns are"),
        ("SELECT entry, ts_ms, NULL AS subject, '' AS exception FROM person", "are text"),
        ("SELECT entry, ts_ms, person AS subject, 0 AS exception FROM person", "are text"),
        ("SELECT 1000000 AS entry, ts_ms, '' AS subject, '' AS exception FROM person", "outside"),
        ("SELECT entry, -1 AS ts_ms, '' AS subject, '' AS exception FROM person", "outside"),
        ("SELECT entry, 1.5 AS ts_ms, '' AS subject, '' AS exception FROM person", "outside"),
        ("DELETE FROM person", "only reads"),
        ("INSERT INTO period VALUES (0, 1, 2)", "only reads"),
        ("DROP TABLE person", "only reads"),
        ("CREATE TEMP TABLE own (a)", "only reads"),
        ("ATTACH '/tmp/x.db' AS other", "only reads"),
        ("VACUUM INTO '/tmp/x.db'", "only reads"),
        ("PRAGMA user_version = 3", "only reads"),
        ("BEGIN", "only reads"),
        ("EXPLAIN SELECT 1", "columns are"),
        ("SELECT * FROM pragma_database_list", "only reads"),
        ("SELECT name FROM sqlite_master", "sqlite_master can't be read"),
        ("SELECT 1; DELETE FROM person", "one statement"),
        ("SELECT load_extension('x')", "load_extension can't be called"),
        (
            "SELECT entry, ts_ms, hex(randomblob(4)) AS subject, '' AS exception FROM person",
            "randomblob can't be called",
        ),
        (
            "SELECT entry, ts_ms, datetime('now') AS subject, '' AS exception FROM person",
            "datetime can't be called",
        ),
        ("SELECT entry, ts_ms, '\0' AS subject, '' AS exception FROM person", "NUL"),
    ],
)
def test_what_does_more_than_read_or_gives_no_members_has_no_figures(
    tables: Tables, text: str, why: str
) -> None:
    before = all_of(tables)
    with pytest.raises(BadTest, match=why):
        tables.run(text, (), FOREVER, {})
    assert all_of(tables) == before
    assert (
        tables.run(MEMBERS, ("person",), FOREVER, {}).population == 8
    )  # and the next one is none the worse for it


def test_a_test_that_never_ends_is_ended(tables: Tables) -> None:
    numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    text = f"{numbers} SELECT x AS entry, x AS ts_ms, '' AS subject, '' AS exception FROM c WHERE x < 0"
    with pytest.raises(BadTest, match=r"longer than 0.2 seconds"):
        tables.run(text, (), FOREVER, {}, seconds=0.2)


def test_a_value_that_grows_without_end_is_refused(tables: Tables) -> None:
    texts = "WITH RECURSIVE c(x, n) AS (SELECT 'aaaa', 1 UNION ALL SELECT x || x, n + 1 FROM c WHERE n < 40)"
    text = f"{texts} SELECT 0 AS entry, 1 AS ts_ms, x AS subject, '' AS exception FROM c"
    with pytest.raises(BadTest, match="too big"):
        tables.run(text, (), FOREVER, {})


@pytest.mark.parametrize("period", [(5, 5, 1), (6, 5, 1), (-1, 5, 1)])
def test_a_period_that_is_none_is_refused(tables: Tables, period: tuple[int, int, int]) -> None:
    with pytest.raises(BadTest, match="period"):
        tables.run(MEMBERS, ("person",), period, {})


def test_what_is_withheld_can_t_be_tested_by_what_rests_on_it(entries: Rows) -> None:
    made = Tables()
    made.load(
        [
            (h, {k: v for k, v in f.items() if k != "by"} if h[2] == "person.enrolled" else f)
            for h, f in entries
        ]
    )
    people = sum(h[2] == "person.enrolled" for h, _ in entries)
    outcome = made.run(MEMBERS, ("person",), FOREVER, {})
    assert outcome.untested == people == sum(day[3] for day in outcome.days)
    assert made.run(MEMBERS, ("action",), FOREVER, {}).untested == 0
    assert made.run(MEMBERS, ("person",), (0, START, 10_000), {}).untested == 0
    since = 1 + max(header[1] for header, _ in entries)
    later = made.run(MEMBERS, ("person",), (since, since + 1, 10_000), {})  # who is there was enrolled before
    assert (later.untested, later.days) == (people, ((since - since % 86_400_000, 0, 0, people),))
    made.close()


def test_what_was_erased_before_the_period_leaves_later_ones_to_be_tested(entries: Rows) -> None:
    """Or one erasure would leave every test of actions untested for ever."""
    made = Tables()
    made.load([(h, {k: v for k, v in f.items() if k != "reading"}) for h, f in entries])
    actions = sum(h[2] == "action.decided" for h, _ in entries)
    since = 1 + max(header[1] for header, _ in entries)
    assert made.run(MEMBERS, ("action",), FOREVER, {}).untested == actions > 0
    assert made.run(MEMBERS, ("action",), (since, since + 1, 10_000), {}).untested == 0
    made.close()


def test_running_a_test_changes_no_byte_of_the_file(entries: Rows, tmp_path: Path) -> None:
    path = tmp_path / "tables.db"
    made = Tables(path)
    made.load(entries)
    made.index()
    made.close()
    before = path.read_bytes()
    again = Tables(path)
    assert again.run(MEMBERS, ("person",), FOREVER, {}).population == 8
    again.close()
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["tables.db"]


def test_what_is_kept_apart_is_looked_up_and_what_is_lost_counts_as_withheld() -> None:
    kept = {"sha256:a": [{"test": "t"}]}
    fields = opened(
        {"results": {"blob": "sha256:a", "size": 9}, "size": {"blob": "sha256:b", "size": 9}, "id": "e"},
        kept.get,
    )
    assert fields.get("results") == [{"test": "t"}]
    assert fields.get("size") is None
    assert [name in fields for name in ("results", "size", "id", "other")] == [True, False, True, False]
    assert opened(plain := {"id": "e"}, kept.get) is plain


def test_the_csv_is_read_by_another_database_as_the_same_values(tmp_path: Path) -> None:
    world = World()
    world.begin()
    world.enrol('quo"te,\n', by="")
    made = Tables()
    made.load(of(world))
    path = tmp_path / "person.csv"
    path.write_bytes(csv(made, "person"))
    kinds = {name: "BIGINT" if kind == "INTEGER" else "VARCHAR" for name, kind, _ in TABLES["person"]}
    found = duckdb.execute(
        "SELECT * FROM read_csv(?, header = true, columns = ?, quote = '\"', escape = '\"', allow_quoted_nulls = false)",
        [str(path), kinds],
    ).fetchall()
    assert found == made.db.execute("SELECT * FROM person ORDER BY rowid").fetchall()
    made.close()


@given(data=st.data())
def test_lines_made_all_at_once_are_those_of_each_row_by_itself(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(TABLES)))
    texts = st.text(TEXT, max_size=5) | st.sampled_from(["None", '"', "%s", "a,b\n"])
    numbers = st.none() | st.integers(-(2**53), 2**53)
    row = st.tuples(*(texts if kind == "TEXT" else numbers for _, kind, _ in TABLES[table]))
    rows = data.draw(st.lists(row, max_size=6))
    assert table_lines(table, rows) == lines(rows)


@given(st.lists(st.tuples(st.integers(), st.integers(), st.text(TEXT), st.text(TEXT))), st.integers(0, 4))
def test_a_table_is_summed_up_in_two_parts_as_it_lies_in_a_pack(
    made: list[tuple[int, int, str, str]], cut: int
) -> None:
    first, second = Sums(whole=True), Sums(whole=False)
    first.add("blind", made[:cut])
    second.add("blind", made[cut:])
    (size, begin), (more, end) = first.found["blind"], second.found["blind"]
    whole = (table_head("blind") + lines(made)).encode()
    assert size + more == len(whole)
    assert (sha256(whole[:size]).digest(), sha256(whole[size:]).digest()) == (begin, end)
    assert first.found["event"] == (len(head := table_head("event").encode()), sha256(head).digest())


def test_no_column_of_a_table_has_numbers_that_databases_write_differently() -> None:
    assert {kind for columns in TABLES.values() for _, kind, _ in columns} == {"INTEGER", "TEXT"}


def test_every_index_is_over_a_column_that_is_there() -> None:
    assert all(set(columns) <= set(NAMES[table]) for table, columns in program.INDEXES.items())
    assert not {
        name
        for name in FUNCTIONS
        if name in ("random", "randomblob", "date", "time", "datetime", "printf", "group_concat")
    }


def test_it_runs_on_the_standard_library_alone_and_on_an_older_python(tmp_path: Path) -> None:
    texts = [Path(str(one.__file__)).read_text(encoding="utf-8") for one in (rows_program, program)]
    for text in texts:
        ast.parse(text, feature_version=(3, 9))
    whole = "\n".join(
        line for text in texts for line in text.splitlines() if not line.startswith("from keyturn")
    )
    file = tmp_path / "one.py"
    file.write_text(
        whole
        + "\nt = Tables(); t.load([((0, 1, 'session.closed', 's', 2, 1), {'count': 2})]); print(t.count('closed'))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
