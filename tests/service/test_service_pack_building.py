"""Packs that the server builds do not fill its disk."""

import asyncio
from pathlib import Path

import pytest

from keyturn.home import Home
from keyturn.service.pack_building import ENDED, MOST, Building, NotBuilt, PackBuilder


@pytest.mark.parametrize(("there", "stage"), [(MOST - 1, "waiting"), (MOST, "failed")])
def test_no_more_files_are_made_than_there_is_room_for(tmp_path: Path, there: int, stage: str) -> None:
    home = Home(tmp_path)
    home.packs.mkdir(parents=True)
    for number in range(there):
        (home.packs / f"e_{number}.zip").touch()

    async def asked() -> Building:
        builder = PackBuilder(home)
        found = builder.start("e_more")
        await builder.close()
        return found

    found = asyncio.run(asked())
    assert found.stage == stage
    assert ("delete those that were fetched" in found.why) is (stage == "failed")


def test_what_a_killed_server_left_is_removed_and_said_and_what_it_finished_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (home.packs / ".e_half.zip.x1").mkdir(parents=True)
    (home.packs / ".e_half.zip.x1" / "pack").write_bytes(b"half")
    for name in (".e_half.wanted", ".e_done.wanted", "e_done.zip"):
        (home.packs / name).write_bytes(b"")
    builder = PackBuilder(home)
    assert builder.look("e_half") == Building("failed", 0, ENDED)
    assert builder.look("e_done") == Building("ready")
    assert builder.look("e_other") == Building("none"), "negative control"
    with pytest.raises(NotBuilt):
        builder.path("e_half")
    assert [one.name for one in home.packs.iterdir()] == ["e_done.zip"]
