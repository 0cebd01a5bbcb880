"""The nine queries find what was planted, and give the same on DuckDB, on a real PostgreSQL and on ClickHouse's engine."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.analytics_events import BASE, SINCE, UNTIL, make  # noqa: E402

from keyturn.store.analytics import NAMES, duck, query  # noqa: E402
from keyturn.store.analytics.engine import DEFAULTS, over  # noqa: E402
from keyturn.store.analytics.tables import TABLES, blank, types  # noqa: E402

COUNT = 40_000
FEWER = {"least_actions": 50, "least_rows": 9_000}
VALUES: dict[str, dict[str, Any]] = {
    name: {"since": SINCE if name in ("mix", "first_seen", "reconciled") else BASE, "until": UNTIL}
    for name in NAMES
} | {"session": {"session": "s_1234"}, "volume": {"since": BASE, "until": UNTIL, **FEWER}}
Rows = list[list[Any]]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make(tmp_path_factory.mktemp("past"), COUNT, each=COUNT // 2)


@pytest.fixture(scope="module")
def golden(parts: list[Path]) -> dict[str, Rows]:
    with over(parts, 0, parts[0].parent) as database:
        return {name: plain(database.ask(name, **VALUES[name]).rows) for name in NAMES}


def plain(rows: Any) -> Rows:
    """Rows as JSON has them, in an order that does not depend on how an engine sorts text."""
    made = [[_plain(cell) for cell in row] for row in rows]
    return sorted(made, key=lambda row: json.dumps([_rounded(cell) for cell in row]))


def _plain(cell: Any) -> Any:
    return float(cell) if isinstance(cell, Decimal) else cell


def _rounded(cell: Any) -> Any:
    return round(cell, 4) if isinstance(cell, float) else cell


def same(one: Rows, other: Rows) -> bool:
    return len(one) == len(other) and all(
        len(a) == len(b) and all(map(_same, a, b)) for a, b in zip(one, other, strict=True)
    )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return bool(a == b)


def test_every_query_finds_what_was_planted(golden: dict[str, Rows]) -> None:
    most = max(golden["mix"], key=lambda row: row[3])
    assert most[0] == "agent-07"
    assert most[3] > 0.9 > sorted(row[3] for row in golden["mix"])[-2]
    assert {row[0] for row in golden["first_seen"] if row[1] == "shred"} == {"agent-07"}
    assert "agent-03" in {row[0] for row in golden["volume"] if row[1] == "db-7"}
    used = {row[0]: row for row in golden["rules"] if row[1] == "run"}
    assert used["rule-39"][8] > 0
    assert {name for name, row in used.items() if row[8]} == {"rule-39"}
    assert used["rule-01"][2] > 0
    assert len(golden["attribution"]) == 40 * 90
    assert {row[0] for row in golden["separation"]} == {
        "own agent",
        "own request",
        "too few people",
        "each other",
    }
    assert {(row[1], row[2]) for row in golden["separation"] if row[0] == "each other"} == {("kim", "lee")}
    assert {row[6] for row in golden["reconciled"] if row[0] == "in the target"} == {1.0}
    assert [(row[3], row[8]) for row in golden["changes"]] == [
        ("policy-7", "approved by who asked"),
        ("policy-8", "after its window"),
        ("policy-9", "no approval"),
    ]
    assert {row[2] for row in golden["session"]} >= {"session", "action"}


def test_a_day_with_a_bypass_is_told_from_one_without(parts: list[Path]) -> None:
    day = next(one for one in range(BASE, UNTIL, 86_400) if one // 86_400 % 20 == 0)
    with over(parts, 0, parts[0].parent) as database:
        rows = database.ask("reconciled", since=day, until=day + 86_400).records()
        planted = database.select(
            f"select count(*) from target_event where action = '' and happened_s >= {day} and happened_s < {day + 86_400}"
        ).rows[0][0]
    assert planted > 0
    assert sum(row["without_the_other"] for row in rows if row["what"] == "in the target") == planted


def test_hours_are_found_wherever_on_the_clock_they_begin(tmp_path: Path) -> None:
    random, rows = Random(7), []
    for agent in range(300):
        about = random.randrange(BASE, UNTIL)
        about -= about % 3_600
        edges = [-3_600, -1_800, -1, 0, 1, 1_799, 1_800, 3_599, 3_600, 5_400]
        times = edges if agent % 2 else range(-2_400, 4_800)
        for _ in range(random.randrange(14)):
            at = about + random.choice(times)
            rows.append((at, f"agent-{agent}", random.randrange(40)))
    lines = [
        {**blank("action"), "entry": entry, "ts_s": at, "agent": who, "target": "db", "row_count": many}
        for entry, (at, who, many) in enumerate(sorted(rows))
    ]
    for table in TABLES:
        text = "".join(json.dumps(line) + "\n" for line in lines) if table == "action" else ""
        (tmp_path / f"{table}.jsonl").write_text(text)
    duck.write(tmp_path)
    with over([tmp_path], 0, tmp_path) as database:
        for actions, many in ((6, 120), (6, 10_000), (100, 120)):
            found = database.ask("volume", least_actions=actions, least_rows=many).rows
            true = sorted(
                one for agent in range(300) for one in _hours(lines, f"agent-{agent}", actions, many)
            )
            assert 20 < len(true) < 250
            assert [list(row) for row in found] == true


def _hours(lines: list[dict[str, Any]], agent: str, actions: int, rows: int) -> Rows:
    """What `volume` has to say of *agent*, by looking at the hour that ends at each of its actions."""
    own = [line for line in lines if line["agent"] == agent]
    hits = []
    for line in own:
        hour = [one["row_count"] for one in own if line["ts_s"] - 3_600 < one["ts_s"] <= line["ts_s"]]
        if len(hour) >= actions or sum(hour) >= rows:
            hits.append((len(hour), sum(hour), line["ts_s"], line["entry"]))
    if not hits:
        return []
    counts, sums, times, entries = zip(*hits, strict=True)
    return [[agent, "db", max(counts), max(sums), min(times), max(times), min(entries)]]


def test_postgresql_gives_the_same(parts: list[Path], golden: dict[str, Rows], postgres_url: str) -> None:
    import duckdb
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        for table in TABLES:
            columns = ", ".join(f'"{name}" {_POSTGRES[kind]}' for name, kind in types(table).items())
            connection.execute(f"create table {table} ({columns})")
            files = [str(part / f"{table}.parquet") for part in parts]
            with connection.cursor().copy(f"copy {table} from stdin (format csv, null '\\N')") as out:
                target = parts[0].parent / f"{table}.csv"
                duckdb.sql(
                    f"copy (from read_parquet({files})) to '{target}' (format csv, header false, nullstr '\\N')"
                )
                out.write(target.read_bytes())
        connection.execute("analyze")
        for name in NAMES:
            sql = query(name).sql(
                {**DEFAULTS.get(name, {}), "since": 0, "until": UNTIL, **VALUES[name]}, "postgres"
            )
            assert same(plain(connection.execute(sql).fetchall()), golden[name]), name


_POSTGRES = {"BIGINT": "bigint", "DOUBLE": "double precision", "VARCHAR": "text"}


def test_clickhouse_gives_the_same(parts: list[Path], golden: dict[str, Rows]) -> None:
    pytest.importorskip("chdb", reason="chdb (ClickHouse's engine) is not installed")
    views = [
        f"create view {table} as select * from file('{parts[0].parent}/*/{table}.parquet', Parquet)"
        for table in TABLES
    ]
    asked = {
        name: query(name).sql(
            {**DEFAULTS.get(name, {}), "since": 0, "until": UNTIL, **VALUES[name]}, "clickhouse"
        )
        for name in NAMES
    }
    given = json.dumps({"views": views, "queries": asked})
    ran = subprocess.run(
        [sys.executable, "-c", _CHDB], input=given, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    for name in NAMES:
        assert same(plain(found[name]), golden[name]), name


_CHDB = """
import json, sys
from chdb import session
given = json.load(sys.stdin)
one = session.Session()
for setting in ("max_memory_usage = 600000000", "max_threads = 1", "join_use_nulls = 1", "output_format_json_quote_64bit_integers = 0"):
    one.query(f"set {setting}")
one.query("create database d")
one.query("use d")
for view in given["views"]:
    one.query(view)
print(json.dumps({name: json.loads(str(one.query(sql, "JSONCompact")))["data"] for name, sql in given["queries"].items()}))
"""


@pytest.mark.parametrize("table", TABLES)
def test_columns_have_the_three_portable_types_and_a_meaning(table: str) -> None:
    assert {column.type for column in TABLES[table]} <= {"BIGINT", "DOUBLE", "VARCHAR"}
    assert len({column.name for column in TABLES[table]}) == len(TABLES[table])
    assert all(column.meaning for column in TABLES[table])
