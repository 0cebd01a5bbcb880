"""Re-performing a pack's tests by hand, with DuckDB over the unzipped pack, gives the figures that the pack states."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from packing_house import House, lived_in

from keyturn.evidence import pack_contents
from keyturn.evidence.program.rows import TABLES


@pytest.fixture
def unzipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack of a house in which text is as awkward as it gets, unzipped, with the working folder in it."""
    monkeypatch.setattr(pack_contents, "pdf", lambda page: b"%PDF")
    house = lived_in(tmp_path)
    _awkward(house)
    house.pack(framework="nist-800-53")
    house.close()
    folder = tmp_path / "unzipped"
    with zipfile.ZipFile(tmp_path / "pack.zip") as read:
        read.extractall(folder)
    monkeypatch.chdir(folder)
    return folder


def _awkward(house: House) -> None:
    world = house.world
    for agent in (
        'quo"ted, and more',
        "two\nlines",
        "",
        "\u00e4\u2028\U0001f511",
        "; drop table x",
        " blank ",
        "NULL",
    ):
        session = world.session(agent=agent)
        world.ran(session, agent=agent)
        world.approved(session, "mia", agent=agent)
        world.close(session)
    house.record()


def loaded(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute((folder / "tables/load.sql").read_text())
    return connection


def test_every_test_of_the_pack_gives_the_same_figures_by_hand(unzipped: Path) -> None:
    results = json.loads((unzipped / "results.json").read_text())
    connection = loaded(unzipped)
    performed = wrong = 0
    for one in results["tests"]:
        text = unzipped / f"queries/{one['test']}.sql"
        if not text.exists():
            assert one["test"] in ("log_intact", "kept_elsewhere")
            continue
        members = connection.execute(text.read_text()).fetchall()
        bad = [member for member in members if member[3]]
        assert (len(members), len(bad)) == (one["population"], one["exceptions"]), one["test"]
        performed += 1
        wrong += len(bad)
    assert performed > 40
    assert wrong > 5


def test_every_row_of_every_table_arrives_as_it_was(unzipped: Path) -> None:
    connection = loaded(unzipped)
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (_size(unzipped),)
    agents = {agent for (agent,) in connection.execute("SELECT DISTINCT agent FROM action").fetchall()}
    assert {'quo"ted, and more', "two\nlines", "NULL", " blank ", ""} <= agents
    for table, columns in TABLES.items():
        found = connection.execute(f"DESCRIBE {table}").fetchall()
        kinds = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}
        assert [(name, kind) for name, kind, *_ in found] == [
            (name, kinds[kind]) for name, kind, _ in columns
        ]
        texts = [name for name, kind, _ in columns if kind == "TEXT"]
        for name in texts:
            counted: Any = connection.execute(
                f'SELECT count(*) FROM "{table}" WHERE "{name}" IS NULL'
            ).fetchone()
            assert counted == (0,), (table, name)


def _size(folder: Path) -> int:
    size: int = json.loads((folder / "results.json").read_text())["size"]
    return size
