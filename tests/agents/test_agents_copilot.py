"""Copilot CLI's line of the dialect tables, proven against the real client, with nothing granted to it."""

from __future__ import annotations

import pytest
from agents_keyturn import KeyturnServer
from agents_other_clients import HELD, RUNS, WHY, MakeAgent, proof, script, wired

pytestmark = pytest.mark.agents


def test_an_allowed_action_runs_and_is_recorded_with_its_attribution(
    keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("copilot"))
    run = one.ran(script(RUNS))
    assert proof(one) == "RAN\n", run.said
    (decided,) = keyturn.entries("action.decided", start)
    assert decided["action"]["content"]["script"] == "echo RAN > proof.txt"
    assert decided["gate"]["name"].startswith("hooks:copilot@")
    assert decided["human"]["person"] == "dana"
    assert decided["instruction"]["text"] == "please create proof.txt"
    assert WHY in decided["reasoning"]["text"]
    assert decided["missing"] == []
    (receipt,) = keyturn.entries("action.receipt", start)
    assert (receipt["outcome"], receipt["ran"]) == ("done", decided["digest"])
    assert len(keyturn.entries("session.closed", start)) == 1
    keyturn.verify()


def test_a_held_action_runs_once_somebody_approved_it(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("copilot"))
    run = one.start(script(HELD))
    request = keyturn.waiting()
    assert proof(one) is None
    keyturn.approve(request)
    run.end()
    assert proof(one) == "RAN\n", run.said
    assert len(keyturn.entries("permit.consumed", start)) == 1


def test_a_denied_action_does_not_run_and_the_model_hears_why(
    keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    one = wired(keyturn, agent("copilot"))
    run = one.start(script(HELD))
    keyturn.deny(keyturn.waiting(), "not before the release")
    run.end()
    assert proof(one) is None
    assert "denied by erin: not before the release" in run.heard
    assert "finished as scripted" in run.said


def test_without_a_server_nothing_runs(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    one = agent("copilot")
    wired(keyturn, one, "--socket", str(one.root / "nobody.sock"))
    run = one.ran(script(RUNS))
    assert proof(one) is None
    assert "gate.unreachable" in run.heard, run.said


def test_without_hooks_nothing_runs_because_nothing_is_granted(agent: MakeAgent) -> None:
    one = agent("copilot")
    run = one.ran(script(RUNS))
    assert proof(one) is None, run.said


def test_the_negative_control_with_everything_granted_it_runs(agent: MakeAgent) -> None:
    one = agent("copilot")
    (one.home / ".copilot").mkdir(exist_ok=True)
    one._variables["COPILOT_ALLOW_ALL"] = "true"
    one.ran(script(RUNS))
    assert proof(one) == "RAN\n"


def test_an_edit_that_copilot_asks_about_twice_runs_and_is_shown_with_its_bytes(
    keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("copilot"))
    turns = [
        {"calls": [one.recipe.write(str(one.work / "proof.txt"), "RAN\n")]},
        {"calls": [one.recipe.write(str(one.work / ".git" / "hooks" / "pre-commit"), "evil\n")]},
    ]
    run = one.start(script(*turns))
    keyturn.deny(keyturn.waiting(), "hooks are ours")
    run.end()
    assert proof(one) == "RAN\n", run.said
    assert not (one.work / ".git" / "hooks" / "pre-commit").exists()
    edits = [entry["action"]["content"] for entry in keyturn.entries("action.decided", start)]
    assert all(edit["kind"] == "file" for edit in edits)
    assert "+RAN\n" in edits[0]["diff"]


def test_a_held_edit_is_held_once_and_runs_once_it_is_approved(
    keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("copilot"))
    (one.work / ".github" / "workflows").mkdir(parents=True)
    target = one.work / ".github" / "workflows" / "ci.yml"
    run = one.start(script({"calls": [one.recipe.write(str(target), "on: push\n")]}))
    keyturn.approve(keyturn.waiting())
    run.end()
    assert target.read_text() == "on: push\n", run.said
    assert len(keyturn.entries("action.decided", start)) == 1
    assert len(keyturn.entries("permit.consumed", start)) == 1
