"""Packs that the server builds do not fill its disk."""

import asyncio
from pathlib import Path

import pytest

from keyturn.home import Home
from keyturn.service.pack_building import MOST, Building, PackBuilder


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
