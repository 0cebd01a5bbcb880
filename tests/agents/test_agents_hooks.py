"""Each line of the dialect tables, proven against the real client: what Keyturn says is what happens.

Nothing is granted in the clients beside what makes them offer their tools at all, and the network is a namespace with
nothing but the scripted model in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agents_clients import Agent, has_overlays
from agents_keyturn import KeyturnServer

pytestmark = pytest.mark.agents

CLIENTS = ("claude-code", "codex", "gemini")
MakeAgent = Callable[[str], Agent]

WHY = "I reason that the user wants proof.txt."
RUNS = {"reasoning": WHY, "text": "I will create it.", "shell": "echo RAN > proof.txt"}
HELD = {"reasoning": WHY, "text": "I will deploy it.", "shell": "./deploy.sh"}


def script(*turns: dict[str, Any]) -> dict[str, Any]:
    return {"turns": list(turns), "final": "finished as scripted"}


def wired(keyturn: KeyturnServer, agent: Agent) -> Agent:
    """The agent with Keyturn's hooks installed as its user would."""
    keyturn.command(
        "hook", "install", agent.recipe.name, "--yes", environment=agent.environment, cwd=agent.work
    )
    deploy = agent.work / "deploy.sh"
    deploy.write_text("#!/bin/sh\nrm -rf released\necho RAN > proof.txt\n")
    deploy.chmod(0o755)
    return agent


def proof(agent: Agent) -> str | None:
    path = agent.work / "proof.txt"
    return path.read_text() if path.exists() else None


@pytest.mark.parametrize("name", CLIENTS)
def test_an_allowed_action_runs_and_is_recorded_with_its_attribution(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent(name))
    run = one.ran(script(RUNS))
    assert proof(one) == "RAN\n", run.said
    (decided,) = keyturn.entries("action.decided", start)
    assert decided["verdict"] == "run"
    assert decided["action"]["content"] == {
        "kind": "shell",
        "script": "echo RAN > proof.txt",
        "dialect": "bash",
    }
    assert decided["gate"]["name"].startswith(f"hooks:{name}@")
    assert decided["human"]["person"] == "dana"
    assert decided["human"]["how"] == "os-uid"
    assert decided["instruction"]["text"] == "please create proof.txt"
    assert decided["agent"]["name"] == name
    assert decided["definition"].startswith("sha256:")
    assert WHY in decided["reasoning"]["text"]
    assert decided["missing"] == []
    assert len(keyturn.entries("permit.consumed", start)) == 1
    (receipt,) = keyturn.entries("action.receipt", start)
    assert (receipt["outcome"], receipt["ran"]) == ("done", decided["digest"])
    (opened,) = keyturn.entries("session.opened", start)
    assert len(keyturn.entries("session.closed", start)) == 1
    assert opened["session"] == decided["session"]
    keyturn.verify()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_held_action_runs_once_somebody_approved_it(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent(name))
    run = one.start(script(HELD))
    request = keyturn.waiting()
    assert proof(one) is None
    keyturn.approve(request)
    run.end()
    assert proof(one) == "RAN\n", run.said
    assert len(keyturn.entries("permit.consumed", start)) == 1
    assert "finished as scripted" in run.said


@pytest.mark.parametrize("name", CLIENTS)
def test_a_denied_action_does_not_run_and_the_model_hears_why(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent(name))
    run = one.start(script(HELD))
    keyturn.deny(keyturn.waiting(), "not before the release")
    run.end()
    assert proof(one) is None
    assert "denied by erin: not before the release" in run.heard
    assert "finished as scripted" in run.said
    assert keyturn.entries("permit.consumed", start) == []


def test_a_held_action_outlives_the_server(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("codex"))
    run = one.start(script(HELD))
    before = keyturn.waiting()
    keyturn.stop()
    keyturn.start()
    request = keyturn.waiting()
    assert request["id"] == before["id"]
    keyturn.approve(request)
    run.end()
    assert proof(one) == "RAN\n", run.said
    assert len(keyturn.entries("permit.consumed", start)) == 1


@pytest.mark.parametrize("name", CLIENTS)
def test_a_file_written_by_the_clients_own_tool_is_asked_about_with_its_bytes(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent(name))
    workflow = one.work / ".github" / "workflows" / "ci.yml"
    turns = [
        {"calls": [one.recipe.write(str(one.work / "proof.txt"), "RAN\n")]},
        {"calls": [one.recipe.write(str(workflow), "evil\n")]},
    ]
    run = one.start(script(*turns))
    keyturn.deny(keyturn.waiting(), "workflows are ours")
    run.end()
    assert proof(one) == "RAN\n", run.said
    assert not workflow.exists()
    assert "workflows are ours" in run.heard
    edits = [entry["action"]["content"] for entry in keyturn.entries("action.decided", start)]
    assert [edit["operation"] for edit in edits] == ["create", "create"]
    assert "+RAN\n" in edits[0]["diff"]
    assert keyturn.entries("action.receipt", start)[0].get("ran"), "the file is what was shown"


@pytest.mark.parametrize("name", CLIENTS)
def test_the_script_that_was_read_is_the_one_that_runs(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    start = keyturn.size
    one = wired(keyturn, agent(name))
    run = one.ran(script({"shell": "echo    RAN     >proof.txt"}))
    assert proof(one) == "RAN\n", run.said
    (receipt,) = keyturn.entries("action.receipt", start)
    assert receipt["note"] == "it ran in its re-emitted form"


def test_a_patch_is_applied_only_if_all_its_files_may_be_changed(
    keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    one = wired(keyturn, agent("codex"))
    files = "*** Add File: proof.txt\n+RAN\n*** Add File: .github/workflows/ci.yml\n+evil\n"
    call = {"tool": "apply_patch", "raw": f"*** Begin Patch\n{files}*** End Patch\n"}
    run = one.start(script({"calls": [call]}))
    keyturn.deny(keyturn.waiting(), "workflows are ours")
    run.end()
    assert proof(one) is None
    assert "does 2 things" in run.heard


def test_settings_that_an_agent_changes_do_not_unhook_it(keyturn: KeyturnServer, agent: MakeAgent) -> None:
    start = keyturn.size
    one = wired(keyturn, agent("claude-code"))
    path = one.work / ".claude" / "settings.local.json"
    path.parent.mkdir()
    # Python, which is not read: a shell script that does this is understood, and refused.
    (one.work / "deploy.sh").write_text(
        f"#!{sys.executable}\nimport time\n"
        f"open({str(path)!r}, 'w').write('{{\"disableAllHooks\": true}}')\ntime.sleep(6)\n"
    )
    run = one.start(script(HELD, {"shell": "echo RAN > proof.txt"}))
    keyturn.approve(keyturn.waiting())
    run.end()
    assert path.exists(), run.said
    decided = [entry["action"]["content"] for entry in keyturn.entries("action.decided", start)]
    assert decided[-1].get("script") == "echo RAN > proof.txt", "the next action was still asked about"
    assert any(content.get("tool") == "ConfigChange" for content in decided)


@pytest.mark.parametrize("name", CLIENTS)
def test_without_a_server_nothing_runs(
    name: str, keyturn: KeyturnServer, agent: MakeAgent, tmp_path: Path
) -> None:
    one = agent(name)
    environment, socket = one.environment, str(tmp_path / "nobody.sock")
    keyturn.command(
        "hook", "install", name, "--yes", "--socket", socket, environment=environment, cwd=one.work
    )
    run = one.ran(script(RUNS, RUNS))
    assert proof(one) is None
    assert "gate.unreachable" in run.heard, run.said


UNHOOKING = {
    "claude-code": ["--setting-sources", "", "--allowedTools", "Bash"],
    "codex": ["--disable", "hooks", "-c", "features.hooks=false"],
}


@pytest.mark.parametrize("name", UNHOOKING)
def test_managed_hooks_are_not_switched_off_by_the_clients_own_flags(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    if not has_overlays():
        pytest.skip("nothing can be laid over /etc here")
    one = agent(name)
    one.options = UNHOOKING[name]
    environment = {**one.environment, "KEYTURN_HOOK_ROOT": str(one.root / "system")}
    words = ("hook", "install", name, "--managed", "--yes", "--socket", str(one.root / "nobody.sock"))
    keyturn.command(*words, environment=environment, cwd=one.work)
    one.etc = one.root / "system" / "etc"
    run = one.ran(script(RUNS))
    assert proof(one) is None, run.said
    assert "gate.unreachable" in run.heard, run.said


@pytest.mark.parametrize("name", UNHOOKING)
def test_the_users_own_hooks_are_switched_off_by_those_flags(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    """The control of the test above, and the hole that the installer names."""
    one = wired(keyturn, agent(name))
    one.options = UNHOOKING[name]
    start = keyturn.size
    one.ran(script(RUNS))
    assert proof(one) == "RAN\n"
    assert keyturn.entries("action.decided", start) == []


CRASHES = {
    "crash": "raise RuntimeError('boom')",
    "signal": "import posix; posix.kill(posix.getpid(), 11)",
    "exit 7": 'print(\'{"decision": "allow"}\', flush=True); import posix; posix._exit(7)',
}


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_hook_that_crashes_lets_nothing_run(
    name: str, crash: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    one = wired(keyturn, agent(name))
    broken(keyturn, CRASHES[crash])
    try:
        run = one.ran(script(RUNS))
    finally:
        mended(keyturn)
    assert proof(one) is None, run.said


@pytest.mark.parametrize("name", ["claude-code", "gemini"])
def test_a_hook_wired_without_care_lets_a_crash_run(
    name: str, keyturn: KeyturnServer, agent: MakeAgent
) -> None:
    """The control: the same crash, without what the installer puts around the hook process, and with the tool granted."""
    one = wired(keyturn, agent(name))
    path = one.home / {"claude-code": ".claude/settings.json", "gemini": ".gemini/settings.json"}[name]
    settings = json.loads(path.read_text())
    for groups in settings["hooks"].values():
        for handler in (handler for group in groups for handler in group["hooks"]):
            handler.pop("onFailure", None)
            if name == "gemini":
                handler["command"] = f"/usr/bin/python3 -I -S {hook_file(keyturn)}"
    path.write_text(json.dumps(settings))
    one.options = ["--allowedTools", "Bash"] if name == "claude-code" else []
    broken(keyturn, CRASHES["crash"])
    try:
        run = one.ran(script(RUNS))
    finally:
        mended(keyturn)
    assert proof(one) == "RAN\n", run.said


@pytest.mark.parametrize("name", CLIENTS)
def test_a_missing_hook_lets_nothing_run(name: str, keyturn: KeyturnServer, agent: MakeAgent) -> None:
    one = wired(keyturn, agent(name))
    hook_file(keyturn).rename(hook_file(keyturn).with_suffix(".away"))
    try:
        run = one.ran(script(RUNS))
    finally:
        hook_file(keyturn).with_suffix(".away").rename(hook_file(keyturn))
    assert proof(one) is None, run.said


def hook_file(keyturn: KeyturnServer) -> Path:
    return keyturn.home.root / "hooks" / "keyturn_hook.py"


def broken(keyturn: KeyturnServer, body: str) -> None:
    path = hook_file(keyturn)
    path.rename(path.with_suffix(".kept"))
    path.write_text(body + "\n")


def mended(keyturn: KeyturnServer) -> None:
    path = hook_file(keyturn)
    path.with_suffix(".kept").replace(path)
