"""opencode's line of the dialect tables, proven against the real client."""

from __future__ import annotations

import json

import pytest
from agents_keyturn import KeyturnServer
from agents_other_clients import HELD, RUNS, MakeAgent, proof, script, wired

pytestmark = pytest.mark.agents

PLUGIN = ".config/opencode/plugin/keyturn.js"


def test_an_allowed_action_runs_and_is_recorded_with_its_attribution(
    keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("opencode"))
    run = one.ran(script(RUNS))
    assert proof(one) == "RAN\n", run.said
    (decided,) = keyturn.entries("action.decided", start)
    assert decided["action"]["content"]["script"] == "echo RAN > proof.txt"
    assert decided["gate"]["name"].startswith("hooks:opencode@")
    assert decided["human"]["person"] == "dana"
    assert "please create proof.txt" in decided["instruction"]["text"]
    assert decided["definition"].startswith("sha256:")
    (receipt,) = keyturn.entries("action.receipt", start)
    assert (receipt["outcome"], receipt["exit_code"]) == ("done", 0)
    keyturn.verify()


def test_a_held_action_runs_once_somebody_approved_it(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("opencode"))
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
    one = wired(keyturn, agent("opencode"))
    run = one.start(script(HELD))
    keyturn.deny(keyturn.waiting(), "not before the release")
    run.end()
    assert proof(one) is None
    assert "denied by erin: not before the release" in run.heard
    assert "finished as scripted" in run.said


def test_without_a_server_nothing_runs(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    one = agent("opencode")
    wired(keyturn, one, "--socket", str(one.root / "nobody.sock"))
    run = one.ran(script(RUNS))
    assert proof(one) is None
    assert "no answer from Keyturn" in run.heard, run.said


@pytest.mark.parametrize(
    "plugin", ["throw new Error('x')\n", "export const Keyturn = 1\n", "this is not javascript (\n", None]
)
def test_a_plugin_that_does_not_load_lets_nothing_run(
    plugin: str | None, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    one = wired(keyturn, agent("opencode"))
    path = one.home / PLUGIN
    path.unlink()
    if plugin is not None:
        path.write_text(plugin)
    run = one.ran(script(RUNS))
    assert proof(one) is None, run.said


def test_the_negative_control_without_keyturns_configuration_it_runs(agent: MakeAgent) -> None:
    one = agent("opencode")
    one.ran(script(RUNS))
    assert proof(one) == "RAN\n"


def test_the_plugin_throws_on_an_answer_that_is_not_a_clear_allow(
    keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    one = wired(keyturn, agent("opencode"))
    path = one.home / PLUGIN
    text = path.read_text()
    broken = text.replace("return stdout.toString()", 'return JSON.stringify({ decision: "maybe" })')
    assert broken != text
    path.write_text(broken)
    run = one.ran(script(RUNS))
    assert proof(one) is None
    assert "no clear allow" in run.heard


def test_an_edit_is_asked_about_with_its_bytes(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("opencode"))
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
    assert [edit["operation"] for edit in edits] == ["create", "create"]
    assert "+RAN\n" in edits[0]["diff"]


def test_the_agent_does_not_unhook_itself(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("opencode"))
    mine = str(one.home / ".config" / "opencode" / "opencode.json")
    free = json.dumps({"permission": {"*": "allow"}})
    turns = [{"calls": [one.recipe.write(mine, free)]}, {"shell": f"rm {one.home / PLUGIN}"}]
    run = one.ran(script(*turns))
    assert (one.home / PLUGIN).exists(), run.said
    assert json.loads((one.home / mine).read_text())["permission"] == {"*": "deny"}
    assert {entry["verdict"] for entry in keyturn.entries("action.decided", start)} == {"refuse"}
