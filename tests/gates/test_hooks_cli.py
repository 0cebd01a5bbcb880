"""`keyturn hook`: what a person sees and what a script gets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keyturn.gates.hooks.probe import NotProbeable, probe
from keyturn.gates.hooks.wiring import Wire


class Shell:
    """`keyturn …` in a home of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "home").mkdir()
        self.environment = {
            "HOME": str(root / "home"),
            "KEYTURN_HOME": str(root / "kt"),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

    def __call__(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "keyturn", "hook", *words]
        environment = self.environment | more
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def hook(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_install_shows_the_change_and_what_it_cant_stop(hook: Shell) -> None:
    ran = hook("install", "claude-code", "--yes")
    assert ran.returncode == 0, ran.stderr
    assert "+++ " in ran.stdout
    assert "What this can't stop" in ran.stdout
    assert "--managed is the boundary" in ran.stdout
    assert "wired already" in hook("install", "claude-code", "--yes").stdout
    assert "claude-code  wired (user), cooperative" in hook("status").stdout
    ran = hook("uninstall", "claude-code")
    assert "restored exactly" in ran.stdout
    assert list((hook.root / "home").iterdir()) == []


def test_json_for_scripts(hook: Shell) -> None:
    done: dict[str, Any] = json.loads(hook("install", "gemini", "--json").stdout)
    assert done["client"] == "gemini"
    assert done["changes"][0]["path"].endswith(".gemini/settings.json")
    assert json.loads(hook("status", "gemini", "--json").stdout)[0]["installed"] is True
    (hook.root / "home/.gemini/settings.json").write_text("{")
    ran = hook("install", "gemini", "--json")
    assert ran.returncode == 2
    assert json.loads(ran.stderr)["error"]["code"] == "hooks.unreadable_settings"


def test_settings_that_were_moved_are_not_written_where_nobody_reads_them(hook: Shell) -> None:
    ran = hook("install", "codex", "--yes", CODEX_HOME="/elsewhere")
    assert ran.returncode == 2
    assert "hooks.settings_moved" in ran.stderr
    assert list((hook.root / "home").iterdir()) == []


def test_an_interpreter_that_cant_run_the_client_is_refused(hook: Shell) -> None:
    ran = hook("install", "codex", "--yes", "--python", "/bin/true-but-not-there")
    assert ran.returncode == 2
    assert "hooks.no_interpreter" in ran.stderr


def test_probing_says_no_even_without_a_server(hook: Shell) -> None:
    hook("install", "codex", "--yes")
    ran = hook("probe", "codex")
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.count("said no") == 3
    assert "Not recorded" in ran.stdout


def test_a_hook_that_says_yes_to_everything_fails_its_probe(hook: Shell) -> None:
    hook("install", "codex", "--yes")
    script = hook.root / "kt" / "hooks" / "keyturn_hook.py"
    script.chmod(0o700)
    script.write_text("")
    ran = hook("probe", "codex")
    assert ran.returncode == 3
    assert "DID NOT SAY NO" in ran.stdout


def test_probing_what_is_not_installed_or_not_a_process_is_said(hook: Shell, tmp_path: Path) -> None:
    ran = hook("probe", "codex")
    assert (ran.returncode, "hooks.not_installed" in ran.stderr) == (2, True)
    with pytest.raises(NotProbeable):
        probe("opencode", Wire(sys.executable, "x", "y"), str(tmp_path))


def test_managed_and_project_exclude_each_other(hook: Shell) -> None:
    assert hook("install", "codex", "--managed", "--project").returncode == 2
