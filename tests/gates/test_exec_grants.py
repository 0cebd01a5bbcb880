"""A real `keyturn run` under a grant: it runs again without people, and what runs is ended when the grant is revoked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_exec_run import House

from keyturn.gates.exec.kernel import support
from processes import ended

pytestmark = pytest.mark.skipif(not support().verified, reason=f"no exec gate: {'; '.join(support().why)}")

DEPLOY = """import os, signal, sys, time
if os.fork() == 0:
    if os.fork():
        os._exit(0)
    os.setsid()
    open("orphan", "w").write(str(os.getpid()))
    while True:
        time.sleep(0.01)
os.wait()
while not os.path.exists("orphan"):
    time.sleep(0.01)
open("started", "w").write(str(os.getpid()))
while not os.path.exists("enough"):
    time.sleep(0.01)
os.kill(int(open("orphan").read()), signal.SIGKILL)
"""
AGENT = """#!/bin/bash
( while [ ! -e over ]; do :; done ) &
python3 deploy.py
echo "deploy ended $?"
kill -0 $! && echo "its own work goes on"
: > over
wait
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("grants"))
    for name, text in (("deploy.py", DEPLOY), ("agent.sh", AGENT)):
        (house.work / name).write_text(text)
        (house.work / name).chmod(0o755)
    try:
        yield house
    finally:
        house.stop()


def erin(house: House, *words: str) -> str:
    return house.keyturn(*words, KEYTURN_TOKEN_FILE=str(house.token))


def grant(house: House, request: str) -> None:
    """Erin approves it for ten minutes."""
    shown = json.loads(erin(house, "show", request, "--json"))
    looked = ("--digest", shown["digest"], "--reason", "looked at it")
    erin(house, "approve", request, *looked, "--for", "10m")


def until(path: Path) -> str:
    while not path.exists() or not path.read_text().strip():
        os.sched_yield()
    return path.read_text().strip()


def cleared(house: House) -> None:
    for name in ("orphan", "started", "enough", "over"):
        (house.work / name).unlink(missing_ok=True)


def test_a_granted_program_starts_again_without_people_and_is_ended_when_that_is_revoked(
    house: House,
) -> None:
    cleared(house)
    first = house.start("--agent", "tester", "--", "./agent.sh")
    grant(house, first.held())
    orphan = int(until(house.work / "orphan"))
    until(house.work / "started")
    os.kill(orphan, 0)
    (house.work / "enough").touch()
    done = first.end()
    assert "deploy ended 0" in done.out, done.err
    assert done.told["approved"] >= 1

    cleared(house)
    again = house.start("--agent", "tester", "--", "./agent.sh")  # another session: nobody is asked
    orphan = int(until(house.work / "orphan"))
    until(house.work / "started")
    (one,) = json.loads(erin(house, "grants", "--json"))
    assert one["used"] == 2
    erin(house, "grant", "revoke", one["id"], "--reason", "wrong branch")
    done = again.end()
    assert "deploy ended 137" in done.out, done.err
    assert "its own work goes on" in done.out, "only what ran under the grant was ended"
    assert f"erin revoked the grant {one['id']}: wrong branch What ran under it was ended" in done.err
    assert ended(orphan)

    cleared(house)
    third = house.start("--agent", "tester", "--", "./agent.sh")
    house.decide("deny", third.held())
    assert "deploy ended 126" in third.end().out, "revoked: people are asked again"
