"""What a client's own search tools may read unasked: names anywhere that can be listed, contents only where files may be read."""

from __future__ import annotations

from typing import Any

import pytest
from hooks_captured import GATES, tool
from hooks_recording import call

from keyturn.actions import FileEdit
from keyturn.gates.hooks.dialects import DIALECTS
from keyturn.gates.hooks.payload import HookMalformed
from keyturn.policy import STARTER, load
from keyturn.policy.decision import Facts
from keyturn.readers import read_afresh
from keyturn.resources import Surroundings

POLICY = load(STARTER)
WORK = "/home/dev/ws"
AROUND = Surroundings(cwd=WORK, workspace=WORK, home="/home/dev", labels=POLICY.labels)


def verdict(client: str, name: str, given: dict[str, Any]) -> str:
    event = DIALECTS[client].parse(call(client, GATES[client], tool(client, name, given, WORK)))
    if event.unknown:
        return "unknown"
    verdicts = {
        POLICY.decide("file", read_afresh(one.content, AROUND), Facts(agent="a", human="dev")).verdict
        for one in event.proposals
        if isinstance(one.content, FileEdit)
    }
    return verdicts.pop() if len(verdicts) == 1 else str(verdicts)


OUTSIDE = [
    ("claude-code", "Grep", {"pattern": "KEY", "path": "/"}),
    ("claude-code", "Grep", {"pattern": "KEY", "path": "/etc"}),
    ("claude-code", "Grep", {"pattern": "KEY", "path": "/home"}),
    ("claude-code", "Grep", {"pattern": "KEY", "path": "/home/dev"}),
    ("claude-code", "Grep", {"pattern": "KEY", "path": "/proc/self"}),
    ("claude-code", "Grep", {"pattern": "KEY", "path": "/run/secrets"}),
    ("gemini", "grep_search", {"pattern": "KEY", "dir_path": "/"}),
    ("gemini", "grep_search", {"pattern": "KEY", "path": "/home/dev"}),
]
HIDDEN = [
    ("claude-code", "Grep", {"pattern": ".", "glob": ".env"}),
    ("claude-code", "Grep", {"pattern": ".", "glob": "**/.env"}),
    ("claude-code", "Grep", {"pattern": ".", "glob": "*env"}),
    ("claude-code", "Grep", {"pattern": ".", "glob": ".e*"}),
    ("claude-code", "Grep", {"pattern": ".", "glob": ".{env,x}"}),
    ("claude-code", "Grep", {"pattern": ".", "glob": "**/*"}),
    ("claude-code", "Grep", {"pattern": ".", "glob": "*.pem"}),
    ("gemini", "grep_search", {"pattern": ".", "include": ".env"}),
    ("gemini", "grep_search", {"pattern": ".", "include_pattern": ".npmrc"}),
]
FINE = [
    ("claude-code", "Grep", {"pattern": "def "}),
    ("claude-code", "Grep", {"pattern": "def ", "path": WORK + "/src"}),
    ("claude-code", "Grep", {"pattern": "def ", "glob": "*.py"}),
    ("claude-code", "Grep", {"pattern": "def ", "glob": "**/*.{ts,tsx}"}),
    ("claude-code", "Grep", {"pattern": "def ", "path": "/usr/include"}),
    ("claude-code", "Glob", {"pattern": "**/*.py"}),
    ("gemini", "grep_search", {"pattern": "def ", "include": "*.py"}),
    ("claude-code", "Read", {"file_path": WORK + "/app/[id].tsx"}),
]


@pytest.mark.parametrize(("client", "name", "given"), OUTSIDE + HIDDEN)
def test_a_search_reads_no_more_unasked_than_a_command_may(
    client: str, name: str, given: dict[str, Any]
) -> None:
    assert verdict(client, name, given) != "run"


@pytest.mark.parametrize(("client", "name", "given"), FINE)
def test_a_search_of_the_work_runs(client: str, name: str, given: dict[str, Any]) -> None:
    """Negative control of the test above."""
    assert verdict(client, name, given) == "run"


def test_a_search_for_names_above_its_folder_is_refused() -> None:
    with pytest.raises(HookMalformed):
        verdict("claude-code", "Grep", {"pattern": "x", "glob": "../../**"})


def test_leaving_the_clients_own_sandbox_is_not_hidden_in_an_ordinary_command() -> None:
    given = {"command": "ls", "dangerouslyDisableSandbox": True}
    assert verdict("claude-code", "Bash", given) == "unknown"


@pytest.mark.parametrize("path", ["/dev/fd/1", "/dev/stdout", "/proc/self/fd/1", "/proc/self/cwd/x"])
def test_a_file_that_is_another_one_in_every_process_is_never_written_unasked(path: str) -> None:
    reading = read_afresh(FileEdit(path, "write"), AROUND)
    assert POLICY.decide("file", reading, Facts(agent="a", human="dev")).verdict != "run"


@pytest.mark.parametrize("name", ["claude.md", ".GIT/hooks/pre-commit", ".Claude/settings.json", "Agents.MD"])
def test_capitals_do_not_hide_a_file_that_programs_obey(name: str) -> None:
    """Some file systems don't tell them apart."""
    reading = read_afresh(FileEdit(f"{WORK}/{name}", "write"), AROUND)
    assert POLICY.decide("file", reading, Facts(agent="a", human="dev")).verdict == "hold"
