"""Findings from the command line and over the API of a real server: listed, looked at, settled by somebody else, and how fast."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_house import House, environment
from server_process import Process

from keyturn.actions import Agent, Gate, Human
from keyturn.cli.init import create
from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.errors import ExitCode
from keyturn.home import Home
from keyturn.policy.folder import read_folder
from keyturn.server import open_service
from keyturn.service import findings, responses
from keyturn.service.settings import Settings

STARTER = Path(responses.__file__).parents[1] / "policy" / "starter"
RULES = b'[response.watch]\nkinds = ["credential.shared"]\ndo = "step-up"\napprove = "1 of reviewers"\n'


@pytest.fixture(scope="module")
def found() -> Iterator[tuple[House, dict[str, str]]]:
    """A server with three findings about Dana's agent, by their keys."""
    with tempfile.TemporaryDirectory(prefix="kt-") as folder:
        home = Home(Path(folder).resolve() / "home")
        create(home, "dana", "Dana", "enforce", policy={**read_folder(STARTER), "drift.toml": RULES})
        ids = asyncio.run(_seed(home))
        server = Process(home, environ=environment())
        try:
            house = House(server.start())
            for person in ("riley", "robin"):
                house.enrol(person, "reviewers")
            yield house, ids
        finally:
            server.stop()


async def _seed(home: Home) -> dict[str, str]:
    service = open_service(home, Settings())
    try:
        session = await service.open_session(
            agent=Agent("claude-code"),
            human=Human("dana", "os-uid", os.getuid()),
            gate=Gate("hooks:test@here", "cooperative"),
            cwd="/",
        )
        now, ids = service.core.now(), {}
        for key, kind in (
            ("one", "credential.shared"),
            ("two", "lag.unseen"),
            ("evil", "breakglass.unreviewed"),
        ):
            drift = Drift(
                kind,
                (key,),
                "Seen \x1b[2J‮here." if key == "evil" else f"Seen {key}.",
                {"agent": "claude-code", "session": session.id, "finding": "f_none"},
                observed="this",
                expected="that",
                since=Since(now - 60_000, now - 30_000),
                magnitude=Magnitude(0.4, 0.1, "share of actions", 100_000.0),
                entries=(2,),
            )
            await findings.record(service.core, drift)
            ids[key] = findings.views(service.core)[0].id
        return ids
    finally:
        service.core.ledger.close()


def test_they_are_listed_with_filters_and_a_check_for_scripts(found: tuple[House, dict[str, str]]) -> None:
    house, ids = found
    listed = house.keyturn("findings", "--kind", "breakglass.unreviewed", "--json").json
    assert [one["id"] for one in listed] == [ids["evil"]]
    shown = house.keyturn("findings", "--agent", "claude-code").out
    assert ids["evil"] in shown
    assert "\x1b" not in shown, "what was recorded does not steer a terminal"
    assert house.keyturn("findings", "--agent", "nobody").out == "Nothing was found.\n"
    assert house.keyturn("findings", "--check", "--kind", "lag.unseen").code == ExitCode.DRIFT
    assert house.keyturn("findings", "--check", "--agent", "nobody").code == ExitCode.DONE


def test_the_first_look_is_recorded_of_somebody_who_has_no_part_in_it(
    found: tuple[House, dict[str, str]],
) -> None:
    house, ids = found
    mine = house.keyturn("findings", "show", ids["two"], "--json").json
    assert mine["viewed"] is None, "it ran for Dana: her look is none that counts"
    assert "part in what this finding is about" in mine["own"]
    program = house.keyturn("findings", "show", ids["two"], "--json", by="riley").json
    assert program["viewed"] is None, "a program read it"
    assert "first look" in house.keyturn("findings", "show", ids["two"], by="riley").out
    looked = house.keyturn("findings", "show", ids["two"], "--json", by="riley").json
    assert (looked["viewed"]["by"], looked["own"]) == ("riley", "")
    again = house.keyturn("findings", "show", ids["two"], "--json", by="robin").json
    assert again["viewed"]["by"] == "riley"
    text = house.keyturn("findings", "show", ids["two"]).out
    for words in (
        "observed   this",
        "expected   that",
        "between",
        "odds of 100,000 to 1",
        "explained  by nothing",
    ):
        assert words in text


def test_somebody_else_settles_it_and_its_response_stays_until_people_lift_it(
    found: tuple[House, dict[str, str]],
) -> None:
    house, ids = found
    one = ids["one"]
    assert house.keyturn("findings", "acknowledge", one).out == f"{one} is acknowledged.\n"
    refused = house.keyturn("findings", "close", one, "--reason", "mine", "--json")
    assert (refused.code, refused.error["code"]) == (ExitCode.REFUSED, "finding.own")
    assert "--reason" in house.keyturn("findings", "close", one, by="riley").err
    wrong = house.keyturn(
        "findings", "explain", one, "--reason", "x", "--change", "r_none", "--json", by="riley"
    )
    assert wrong.error["code"] == "finding.change_unknown"
    assert house.keyturn("findings", "accept", one, "--reason", "x", "--until", "soon", by="riley").code == 2
    accepted = house.keyturn("findings", "accept", one, "--reason", "known", "--until", "30d", by="riley")
    assert "is accepted until" in accepted.out
    assert "Its response watch stays" in accepted.out
    assert house.keyturn("findings", "reopen", one, "--reason", "no").code == ExitCode.DONE
    closed = house.keyturn(
        "findings", "close", one, "--reason", "new token", "--as-outcome", "false-alarm", by="riley"
    )
    assert closed.code == ExitCode.DONE
    on = house.keyturn("findings", "responses", "--json").json
    assert [row["state"] for row in on] == ["on"], "it never ended, so it did not begin anew"
    asked = house.keyturn("findings", "lift", on[0]["id"], "--reason", "done", "--json").json
    digest = house.digest(asked["id"])
    no = house.keyturn("approve", asked["id"], "--digest", digest, "--reason", "x", "--json")
    assert no.error["code"].startswith("approver."), "Dana has a part in it"
    yes = house.keyturn("approve", asked["id"], "--digest", digest, "--reason", "looked", by="riley")
    assert yes.code == ExitCode.DONE, yes.all
    assert house.keyturn("findings", "responses").out == "Nothing is stepped up, suspended or stopped.\n"
    said = house.keyturn("findings", "show", one).out
    assert "watch: step-up, lifted since" in said
    assert "it met no action" in said
    assert ", asked by dana: done" in said


def test_lag_says_what_waits(found: tuple[House, dict[str, str]]) -> None:
    house, _ = found
    told = house.keyturn("findings", "lag", "--json").json
    clocks = {(line["area"], line["clock"]) for line in told["lines"]}
    assert ("separation of duties", "viewed") in clocks
    assert told["findings"] >= 3
    waiting = [line for line in told["lines"] if line["clock"] == "viewed" and line["running"]]
    assert waiting
    assert "still waiting" in house.keyturn("findings", "lag").out
