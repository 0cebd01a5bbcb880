"""Baselines and drift from the command line and over the API of a real server: measured, proposed, approved by somebody else, shown."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_house import House, environment
from server_process import Process

from keyturn.cli.init import create
from keyturn.errors import ExitCode
from keyturn.home import Home
from keyturn.ledger.entries import Draft
from keyturn.server import open_service
from keyturn.service.settings import Settings

DAY = 86_400_000


@pytest.fixture(scope="module")
def watched() -> Iterator[House]:
    """A server that measured 45 sessions of the agent `coder` in fifteen days."""
    with tempfile.TemporaryDirectory(prefix="kt-") as folder:
        home = Home(Path(folder).resolve() / "home")
        create(home, "dana", "Dana", "enforce")
        asyncio.run(_seed(home))
        server = Process(home, environ=environment())
        try:
            house = House(server.start())
            house.enrol("riley", "policy")
            yield house
        finally:
            server.stop()


async def _seed(home: Home) -> None:
    service = open_service(home, Settings())
    try:
        now = service.core.now()
        for number in range(45):
            ended = now - (45 - number) * DAY // 3
            fields = {
                "session": f"s_{number}", "part": 1, "agent": "coder", "definition": "", "policy": "sha256:p", "why": "closed",
                "actions": 2, "sensitive": 0, "first": 1, "last": 1, "began": ended - 1_000, "ended": ended, "digest": "sha256:d",
                "categories": ["shell ls reads:workspace"], "sequence": [0, 0], "effects": ["reads:workspace"], "baseline": "", "peer": "",
                "day": ended // DAY, "score": 0, "novel": [], "promise": [0, 0], "evidence": {}, "telling": {},
            }  # fmt: skip
            await service.core.ledger.append([Draft("session.measured", fields)])
    finally:
        service.core.ledger.close()


def test_from_the_first_session_to_a_pinned_baseline(watched: House) -> None:
    assert "no baseline: one can be proposed" in watched.keyturn("drift", "list").out
    assert "No baseline is pinned." in watched.keyturn("baseline", "list").out
    unknown = watched.keyturn("baseline", "show", "coder")
    assert unknown.code == ExitCode.USAGE
    assert "No baseline of 'coder' is pinned" in unknown.err
    said = watched.keyturn("baseline", "propose", "coder", "--why", "It settled down.", "--json")
    assert said.code == ExitCode.DONE, said.all
    asked = said.json
    assert asked["subject"] == "baseline"
    read = ("--digest", watched.digest(asked["id"]))
    own = watched.keyturn("approve", asked["id"], *read, "--reason", "Mine.")
    assert own.code == ExitCode.REFUSED
    approved = watched.keyturn("approve", asked["id"], *read, "--reason", "Read it.", by="riley")
    assert approved.code == ExitCode.DONE, approved.all
    shown = watched.keyturn("baseline", "show", "coder").out
    assert "shell ls reads:workspace" in shown
    assert "Approved by riley" in shown
    assert watched.keyturn("baseline", "list", "--json").json[0]["approvers"] == ["riley"]
    course = watched.keyturn("drift", "show", "coder", "--check")
    assert course.code == ExitCode.DONE
    assert "One false alarm of all agents in 30 days" in course.out
    assert "hours        e-value" in course.out
    assert watched.keyturn("drift", "show", "coder", "--json").json["line"]["measured_against"] == "coder"


def test_what_is_too_little_or_unknown_is_said_in_words(watched: House) -> None:
    little = watched.keyturn("baseline", "propose", "stranger", "--why", "Why not.")
    assert little.code == ExitCode.REFUSED
    assert "[baseline.too_little]" in little.err
    assert watched.keyturn("drift", "show", "stranger").code != ExitCode.DONE
    empty = watched.keyturn("baseline", "propose", "coder", "--why", " ")
    assert empty.code == ExitCode.USAGE
