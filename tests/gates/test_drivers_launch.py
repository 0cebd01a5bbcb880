"""How clients are started: which one a command is, which options are refused, and what is wired for a run."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from keyturn.gates.drivers import launch
from keyturn.gates.hooks.wiring import Wire

WIRE = Wire(
    "/usr/bin/python3",
    "/home/dana/.keyturn/run/wiring-x/keyturn_hook.py",
    "/home/dana/.keyturn/run/gate.sock",
)


@pytest.mark.parametrize(
    ("command", "client"),
    [
        (["claude"], "claude-code"),
        (["/opt/bin/codex", "exec"], "codex"),
        (["npx", "@google/gemini-cli"], "gemini"),
        (["npx", "-y", "@google/gemini-cli@0.61.0"], "gemini"),
        (["node", "/x/gemini.js", "-p", "x"], "gemini"),
        (["env", "A=1", "opencode"], "opencode"),
        (["copilot", "claude"], "copilot"),
        (["bash", "-c", "claude"], None),
        (["vim", "claude"], None),
        (["python", "codex"], None),
        (["claude-evil"], None),
    ],
)  # fmt: skip
def test_a_client_is_known_by_its_program(command: list[str], client: str | None) -> None:
    assert launch.client_of(command) == client


@pytest.mark.parametrize(
    ("client", "option", "driven"),
    [
        ("claude-code", "--dangerously-skip-permissions", False),
        ("claude-code", "--bare", False),
        ("codex", "--dangerously-bypass-approvals-and-sandbox", True),
        ("gemini", "--yolo", True),
        ("gemini", "--approval-mode=yolo", True),
        ("copilot", "--allow-all-tools", False),
        ("copilot", "--allow-tool", True),
        ("opencode", "--auto", False),
        ("opencode", "--pure", False),
    ],
)
def test_an_option_with_which_the_client_would_not_ask_is_refused(
    client: str, option: str, driven: bool
) -> None:
    with pytest.raises(launch.SelfGranting) as told:
        launch.check_options(client, ["x", option], driven=driven)
    assert option.partition("=")[0] in str(told.value)
    launch.check_options(client, ["x", "--model", "y"], driven=driven)


def test_a_driven_client_stands_its_own_hooks_back_and_is_told_to_ask() -> None:
    assert launch.driven("gemini", ["gemini", "-m", "x"], 1, {}).argv == ("gemini", "-m", "x", "--acp")
    without = ("--disable", "hooks", "--disable", "unified_exec_tty")
    assert launch.driven("codex", ["codex"], 1, {}).argv == ("codex", *without, "app-server")
    given = {"OPENCODE_CONFIG_CONTENT": json.dumps({"model": "a/b", "permission": {"*": "allow"}})}
    started = launch.driven("opencode", ["opencode"], 4100, given)
    assert started.argv[-4:] == ("--hostname", "127.0.0.1", "--port", "4100")
    config = json.loads(started.environment["OPENCODE_CONFIG_CONTENT"] or "")
    assert config == {"model": "a/b", "permission": {"*": "ask"}}
    assert started.environment["OPENCODE_PURE"] == "1"
    assert launch.driven("copilot", ["copilot"], 1, {}).environment == {"COPILOT_ALLOW_ALL": None}


@pytest.mark.parametrize("client", ["codex", "gemini"])
def test_a_client_whose_hooks_can_not_be_wired_for_one_run_is_refused(client: str, tmp_path: Path) -> None:
    with pytest.raises(launch.HooksMissing) as told:
        launch.hooked(client, [client], str(tmp_path), WIRE, {})
    assert f"keyturn hook install {client}" in told.value.do_next


def test_the_wiring_of_a_run_holds_every_gate(tmp_path: Path) -> None:
    claude = launch.hooked("claude-code", ["claude", "-p", "x"], str(tmp_path), WIRE, {})
    assert claude.argv == ("claude", "--settings", f"{tmp_path}/claude-settings.json", "-p", "x")
    (settings,) = (json.loads(data) for data in claude.files.values())
    assert settings["hooks"]["PreToolUse"][0]["hooks"][0]["onFailure"] == "block"
    copilot = launch.hooked("copilot", ["copilot"], str(tmp_path), WIRE, {})
    hooks = json.loads(copilot.files[f"{tmp_path}/copilot/hooks.json"])
    assert {"preToolUse", "permissionRequest"} <= set(hooks["hooks"])
    given = {"OPENCODE_CONFIG_CONTENT": json.dumps({"plugin": ["mine"], "permission": {"*": "allow"}})}
    opencode = launch.hooked("opencode", ["opencode"], str(tmp_path), WIRE, given)
    config = json.loads(opencode.environment["OPENCODE_CONFIG_CONTENT"] or "")
    assert config == {"plugin": ["mine", f"file://{tmp_path}/keyturn.js"], "permission": {"*": "deny"}}
    assert opencode.environment["OPENCODE_PURE"] is None


def test_a_runs_files_are_its_owners_and_never_replace_anything(tmp_path: Path) -> None:
    started = launch.hooked("claude-code", ["claude"], str(tmp_path), WIRE, {})
    launch.write(started)
    (name,) = started.files
    assert stat.S_IMODE(Path(name).stat().st_mode) == 0o400
    with pytest.raises(FileExistsError):
        launch.write(started)


def test_an_instruction_is_given_as_the_client_takes_it() -> None:
    assert launch.prompted("claude-code", ["claude"], "do") == ("claude", "-p", "do")
    assert launch.prompted("codex", ["codex"], "do") == ("codex", "exec", "do")
    assert launch.prompted("opencode", ["opencode"], "do") == ("opencode", "run", "do")
    assert launch.prompted("gemini", ["gemini"], None) == ("gemini",)
