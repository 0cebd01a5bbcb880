"""Real clients under the exec gate: what they start to live is known, what their hooks allowed starts once, the rest is asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agents_clients import RECIPES, modules
from agents_keyturn import KeyturnServer
from agents_other_clients import RunAgent, prepared, proof, script, summary, wired

pytestmark = pytest.mark.agents

CLIENTS = ("claude-code", "copilot", "gemini", "opencode")
MakeRun = Callable[..., RunAgent]

READS = {
    "text": "I look around.",
    "shell": "ls | head -3 && grep -r deploy . > /dev/null; find . -name '*.sh'",
}
WRITES = {"text": "I will create it.", "shell": "echo RAN > proof.txt"}
SCRIPT = {"text": "I run it.", "shell": "./job.sh"}


@pytest.fixture
def client(tmp_path: Path, keyturn: KeyturnServer) -> MakeRun:
    """Makes a client that `keyturn run` starts as a child with its hooks, in a work folder under git."""

    def make(name: str, *options: str) -> RunAgent:
        if not (modules() / ".bin" / RECIPES[name].program).exists():
            pytest.skip(f"{name} is not in {modules()}: `make agents` installs the clients.")
        one = RunAgent(RECIPES[name], tmp_path)
        one.keyturn_home = str(keyturn.home.root)
        one.run_options = ("--json", *options)
        one.prompted = False
        subprocess.run(["git", "init", "-q", str(one.work)], check=True)
        return wired(keyturn, one) if name == "gemini" else prepared(one)

    return make


def decided(keyturn: KeyturnServer, start: int) -> list[tuple[str, str]]:
    """(gate, script) of what was asked since *start*."""
    found: list[dict[str, Any]] = keyturn.entries("action.decided", start)
    return [(one["gate"]["name"].split(":")[0], one["action"]["content"]["script"]) for one in found]


@pytest.mark.parametrize("name", CLIENTS)
def test_an_allowed_command_runs_without_a_second_question(
    name: str, keyturn: KeyturnServer, client: MakeRun
) -> None:
    start = keyturn.size
    run = client(name).start(script(READS, WRITES))
    assert run.end() == 0, run.said
    told = summary(run.said)
    assert (told["client"], told["begun"], told["refused"], told["allowed"]) == (name, 2, 0, 0), run.said
    assert [gate for gate, _ in decided(keyturn, start)] == ["hooks", "hooks"]
    assert "finished as scripted" in run.said
    started = [entry["action"] for entry in keyturn.entries("action.started", start)]
    receipts = keyturn.entries("action.receipt", start)
    assert sorted(started) == sorted(entry["action"] for entry in receipts)
    assert {entry["outcome"] for entry in receipts} == {"done"}
    outer = keyturn.entries("session.opened", start)[0]
    assert outer["gate"]["name"].startswith(f"run:{name}@")
    assert outer["gate"]["version"].endswith("+seccomp")
    keyturn.verify()


@pytest.mark.parametrize("name", ["claude-code", "copilot"])
def test_what_an_allowed_script_starts_is_authorized_too(
    name: str, keyturn: KeyturnServer, client: MakeRun
) -> None:
    start = keyturn.size
    one = client(name)
    (one.work / "job.sh").write_text('#!/bin/sh\nX=$(cat what)\nsh -c "$X"\necho RAN > proof.txt\n')
    (one.work / "job.sh").chmod(0o755)
    (one.work / "what").write_text("su -c 'echo LEFT > left.txt'")
    run = one.start(script(SCRIPT))
    first = keyturn.waiting()
    assert first["gate"].startswith("hooks:")
    keyturn.approve(first)
    second = keyturn.waiting_after(first)
    assert second["gate"].startswith("run:")
    assert "su -c" in second["text"]
    keyturn.deny(second, "not as another user")
    assert run.end() == 0, run.said
    assert proof(one) == "RAN\n", run.said
    assert not (one.work / "left.txt").exists()
    told = summary(run.said)
    assert (told["begun"], told["refused"]) == (1, 1), run.said
    assert [gate for gate, _ in decided(keyturn, start)].count("hooks") == 1


@pytest.mark.parametrize("gated", [True, False])
def test_a_client_that_lost_its_hooks_runs_nothing_unseen(
    gated: bool, keyturn: KeyturnServer, client: MakeRun
) -> None:
    """Claude Code with other settings than the wired ones, and its own tool granted; without the gate it runs."""
    start = keyturn.size
    one = client("claude-code", *([] if gated else ["--no-exec-gate"]))
    one.options = ["--settings", "{}", "--allowedTools", "Bash"]
    command = one.command
    one.command = lambda prompt: [*command(prompt), *one.options]  # type: ignore[method-assign]
    run = one.start(script({"text": "I deploy it.", "shell": "./deploy.sh"}))
    assert run.end() == 0, run.said
    assert proof(one) == (None if gated else "RAN\n"), run.said
    assert keyturn.entries("action.started", start) == []
    held = [one["gate"]["name"].split("@")[0] for one in keyturn.entries("request.opened", start)]
    assert held == (["run:claude-code"] if gated else [])
    if gated:
        assert "EPERM" in run.heard, "what the client makes of it is its own words"
