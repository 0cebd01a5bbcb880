"""`keyturn plan`: what people approved as a whole, from a terminal and from a script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_house import House, process
from server_process import GateClient

from keyturn.actions import Action, Agent, Attribution, Human, Shell
from keyturn.errors import ExitCode
from keyturn.gates import protocol as wire
from keyturn.resources import Surroundings
from keyturn.service.model import Proposed

Row = dict[str, Any]


def steps_of(gate: GateClient, *scripts: str) -> tuple[Proposed, ...]:
    """Steps of a plan of Dana's agent in /srv/project."""
    who = Attribution(Agent("test-agent"), Human("dana", "os-uid", os.getuid()))
    around = Surroundings("/srv/project", "/srv/project", "/home/dana")
    return tuple(
        Proposed(Action(Shell(one), who, gate.gate, gate.session, "/srv/project"), around) for one in scripts
    )


def test_a_plan_is_read_approved_listed_shown_and_revoked(house: House) -> None:
    gate = GateClient(house.home)
    try:
        steps = steps_of(gate, "rm -r build # \x1b[2J", "ls", "rm -r older")
        answer = gate.ask(wire.ProposePlan(77, steps, "clean up", 600)).plan
        assert answer is not None
        assert answer.request is not None
        shown = house.keyturn("show", answer.request, by="riley").out
        assert "\x1b" not in shown
        for words in (
            "Step 1 of 3: needs people",
            "Step 2 of 3: runs by itself",
            "| rm -r older",
            "clean up",
        ):
            assert words in shown
        said = house.keyturn(
            "approve",
            answer.request,
            "--digest",
            house.digest(answer.request),
            "--reason",
            "seen",
            by="riley",
        )
        assert said.code == ExitCode.DONE, said.err
        (plan,) = house.keyturn("plan", "list", "--json", by="riley").json
        assert (plan["state"], plan["next"], plan["approvers"]) == ("open", 1, ["riley"])
        ran = gate.ask(wire.Authorize(78, steps[0].action, steps[0].around, consume=True)).outcome
        assert ran is not None
        assert ran.verdict == "run"
    finally:
        gate.close()
    assert plan["id"] in house.keyturn("plan", "list", by="riley").out
    listed = house.keyturn("plan", "show", plan["id"], by="riley").out
    assert "\x1b" not in listed
    assert [line.split()[1] for line in listed.splitlines() if line.startswith("    ")] == [
        "used",
        "runs",
        "next",
    ]
    assert house.keyturn("plan", "revoke", plan["id"], by="riley").code == ExitCode.USAGE, (
        "a reason is needed"
    )
    assert house.keyturn("plan", "revoke", plan["id"], "--reason", "wrong host", by="riley").code == 0
    assert house.keyturn("plan", "list", by="riley").out == "No plan is open.\n"
    assert "revoked by riley: wrong host" in house.keyturn("plan", "show", plan["id"], by="riley").out
    again = house.keyturn("plan", "revoke", plan["id"], "--reason", "x", "--json", by="riley")
    assert again.error["code"] == "plan.stopped_already"


def test_an_unknown_plan_is_no_plan(house: House) -> None:
    for verb in (("show", "pl_none"), ("revoke", "../people", "--reason", "x")):
        assert house.keyturn("plan", *verb, by="riley").code == ExitCode.USAGE


PLAN = """
why = "clear the old release"
seconds = 600

[[steps]]
run = "rm -r old"

[[steps]]
run = "ls"

[[steps]]
run = "rm -r older"
"""


def asked(house: House, by: str = "riley") -> Row:
    """The plan that waits, as soon as it does."""
    while True:
        found = [one for one in house.keyturn("requests", "--json", by=by).json if one["subject"] == "plan"]
        if found:
            return found[0]


def started(house: House, folder: Path, text: str, name: str = "plan.toml") -> subprocess.Popen[str]:
    """`keyturn plan run` of *text* in *folder*, where there is something to remove."""
    for one in ("old", "older"):
        (folder / one).mkdir()
    (folder / name).write_text(text)
    return process("plan", "run", name, env=house.environment(), cwd=folder)


@pytest.mark.parametrize("choice", ["approve", "deny"])
def test_a_file_of_commands_is_run_in_order_once_somebody_else_approved(
    house: House, tmp_path: Path, choice: str
) -> None:
    running = started(house, tmp_path, PLAN)
    view = asked(house)
    approve = ("approve", view["id"], "--digest", view["digest"], "--reason", "seen")
    assert house.keyturn(*approve, by="dana").code == ExitCode.REFUSED, "who asks does not approve"
    assert (tmp_path / "old").exists(), "nothing runs before"
    decide = approve if choice == "approve" else ("deny", view["id"], "--reason", "not today")
    said = house.keyturn(*decide, by="riley")
    assert said.code == ExitCode.DONE, said
    out, err = running.communicate(timeout=120)
    assert running.returncode == (ExitCode.DONE if choice == "approve" else ExitCode.REFUSED), err
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == (["plan.toml"] if choice == "approve" else ["old", "older", "plan.toml"])
    assert ("older" in out) == (choice == "approve")


def test_a_command_that_fails_ends_the_run_with_its_code(house: House, tmp_path: Path) -> None:
    running = started(
        house, tmp_path, '{"steps": [{"run": "rm -r none"}, {"run": "rm -r old"}]}', "plan.json"
    )
    view = asked(house)
    house.keyturn("approve", view["id"], "--digest", view["digest"], "--reason", "seen", by="riley")
    _, err = running.communicate(timeout=120)
    assert running.returncode == 1, err
    assert (tmp_path / "old").exists()


@pytest.mark.parametrize("text", ["steps = 3", "[[steps]]\nwalk = 'x'", "\x00", "steps = []"])
def test_a_file_that_is_no_plan_runs_nothing(house: House, tmp_path: Path, text: str) -> None:
    running = started(house, tmp_path, text)
    _, err = running.communicate(timeout=120)
    assert running.returncode != 0
    assert "Traceback" not in err
    assert (tmp_path / "old").exists()


def test_a_revocation_kills_what_runs_of_it(house: House, tmp_path: Path) -> None:
    running = started(house, tmp_path, '{"steps": [{"run": "rm -r old && sleep 600"}]}', "plan.json")
    view = asked(house)
    house.keyturn("approve", view["id"], "--digest", view["digest"], "--reason", "seen", by="riley")
    while (tmp_path / "old").exists():
        assert running.poll() is None
    (plan,) = house.keyturn("plan", "list", "--all", "--json", by="riley").json[:1]
    assert plan["request"] == view["id"]
    assert house.keyturn("plan", "revoke", plan["id"], "--reason", "wrong folder", by="riley").code == 0
    _, err = running.communicate(timeout=120)
    assert running.returncode == ExitCode.REFUSED, err
    assert "What ran was killed" in err
    assert "wrong folder" in err
