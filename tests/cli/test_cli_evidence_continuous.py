"""A real server tests its controls by itself and says that it is there; what it did not see is a gap, also when it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from cli_house import House

LIMIT = 180.0
"""Seconds that the server may take to get there: other programs run on the machine, too."""


def until(house: House, there: Callable[[dict[str, Any]], bool], *command: str) -> dict[str, Any]:
    """What the command says as soon as *there* is so."""
    end = time.monotonic() + LIMIT
    while True:
        found: dict[str, Any] = house.keyturn("evidence", *command, "--json").json
        if there(found):
            return found
        assert time.monotonic() < end, found


@pytest.mark.slow
@pytest.mark.timeout(800)
def test_it_runs_on_a_schedule_and_a_server_that_was_killed_leaves_a_gap(own_house: House) -> None:
    house = own_house
    house.server.stop()
    house.home.settings.write_text("[evidence]\nevery = 2\nheartbeat = 1\n")
    house.server.start()
    first = until(house, lambda found: found["run"]["entry"] >= 0, "controls")["run"]
    assert (first["why"], first["every"]) == ("schedule", 2)
    until(house, lambda found: found["run"]["entry"] > first["entry"], "controls")

    def passes(found: dict[str, Any]) -> bool:
        return any(one["state"] == "pass" for one in found["intervals"])

    until(house, passes, "history", "soc2/CC7.5")  # the log's own test among others
    house.server.kill()
    killed = int(time.time() * 1000)
    while (
        time.time() * 1000 < killed + 7_000
    ):  # three intervals of both signs have to go by: the time is what is tested
        time.sleep(0.5)
    again = int(time.time() * 1000)
    house.server.start()
    later = until(house, lambda found: found["run"]["time"] > killed, "controls")["run"]
    assert later["trouble"] == ""

    def gap(found: dict[str, Any]) -> bool:
        every = found["intervals"]
        away = [
            one for one in every if one["state"] == "gap" and one["start"] < again and one["end"] > killed
        ]
        return bool(away) and every[-1]["state"] != "gap"

    found = until(house, gap, "history", "soc2/CC7.5")
    assert len(found["operated"]) >= 2  # before and after, and nothing that bridges the two
    assert house.keyturn("ledger", "verify").code == 0
