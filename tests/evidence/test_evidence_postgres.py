"""A pack is of a log, not of the place where the log lies: in PostgreSQL it gives what it gives in SQLite, and is verified alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from packing_house import SIGNER, House, files_of, lived_in, verdicts_of
from test_evidence_verify_log import verdict

from keyturn.evidence import pack, pack_contents
from keyturn.evidence.examining import Asked, examine
from keyturn.evidence.pack_errors import LogDamaged
from keyturn.evidence.testing import load_tests

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def unprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PDF takes seconds, and is tested where reports are."""
    monkeypatch.setattr(pack_contents, "pdf", lambda page: b"%PDF")


@pytest.fixture
def houses(tmp_path: Path, postgres_url: str) -> Iterator[tuple[House, House]]:
    """The same world twice: in a file, and in a real PostgreSQL."""
    folders = tmp_path / "file", tmp_path / "database"
    for folder in folders:
        folder.mkdir()
    made = lived_in(folders[0], sessions=8), lived_in(folders[1], sessions=8, url=postgres_url)
    yield made
    for house in made:
        house.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_the_same_world_gives_the_same_pack_wherever_it_lies(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(pack, "FEW", 0)  # processes of their own read a small log, too
    filed, stored = (Path(house.pack(processes=processes).path) for house in houses)
    assert houses[1].tree.size > 256
    assert stored.read_bytes() == filed.read_bytes()
    assert verdicts_of(stored)["no_self_approval"] == "fail"
    code, said = verdict(stored)
    assert (code, said["verified"]) == (0, True)
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)
    assert verdict(stored)[0] == 7, "negative control: one bit"


def test_every_control_test_comes_to_the_same_wherever_the_log_lies(houses: tuple[House, House]) -> None:
    tests = list(load_tests().values())

    def found(house: House) -> object:
        until = house.world.made[-1].stored.time + 1
        return examine(
            house.store, str(SIGNER.key), house.folder / "kept", tests, Asked(0, until), until
        ).results

    filed, stored = map(found, houses)
    assert stored == filed


def test_what_somebody_altered_in_the_database_gives_no_pack(
    houses: tuple[House, House], postgres_url: str
) -> None:
    import psycopg

    house = houses[1]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("delete from entry where idx = 100")
    with pytest.raises(LogDamaged):
        house.pack()
    assert sorted(house.folder.iterdir()) == []
    until = house.world.made[80].stored.time  # negative control: what is whole is packed
    house.pack("small.zip", size=90, until=until)
    assert "results.json" in files_of(house.folder / "small.zip")
