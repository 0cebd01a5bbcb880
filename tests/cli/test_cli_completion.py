"""Completion really completes, in the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_house import House, environment, keyturn

from keyturn.errors import ExitCode

BASH = """
source <(keyturn completion bash)
compopt() { :; }
for line in "$@"; do
  read -ra COMP_WORDS <<< "$line"
  [[ $line == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); COMPREPLY=()
  _keyturn_completion keyturn
  echo "${COMPREPLY[*]}"
done
"""
CASES = {
    "keyturn led": {"ledger"},
    "keyturn ledger ": {"export", "log", "prove", "rebuild", "verify"},
    "keyturn ledger ver": {"verify"},
    "keyturn ledger verify --": {"--home", "--key", "--leaves-only", "--json", "--help"},
    "keyturn init --mode ": {"enforce", "observe"},
    "keyturn ledger log --type request.": {
        "request.opened",
        "request.ended",
        "request.commented",
        "request.escalated",
        "request.reminded",
    },
    "keyturn hook install c": {"claude-code", "codex", "copilot"},
    "keyturn zz": set(),
}


def with_keyturn(**more: str) -> dict[str, str]:
    own = environment(**more)
    return {**own, "PATH": f"{Path(sys.executable).parent}:{own['PATH']}"}


def in_bash(*lines: str, **env: str) -> list[set[str]]:
    ran = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", *lines],
        env=with_keyturn(**env),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return [set(line.split()) for line in ran.stdout.split("\n")[:-1]]


def test_bash_completes_commands_options_and_values() -> None:
    assert dict(zip(CASES, in_bash(*CASES), strict=True)) == CASES
    (top,) = in_bash("keyturn ")
    assert {"init", "serve", "approve", "completion"} <= top


def test_bash_completes_people_and_requests_of_the_home(house: House) -> None:
    request = house.ask()
    people, ids = in_bash("keyturn requests --as ", "keyturn approve r_", **house.environment("riley"))
    assert people == {"dana"}
    assert request in ids


def test_without_a_server_nothing_is_completed_and_nothing_is_complained_about(folder: Path) -> None:
    assert in_bash("keyturn show ", "keyturn requests --as ", KEYTURN_HOME=str(folder)) == [set(), set()]


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes() -> None:
    script = "keyturn completion fish | source; " + "; echo ==; ".join(
        f'complete -C "{line}"' for line in CASES
    )
    ran = subprocess.run(
        ["fish", "--no-config", "-c", script], env=with_keyturn(), capture_output=True, text=True, check=True
    )
    found = [{line.split("\t")[0] for line in part.split("\n") if line} for part in ran.stdout.split("==\n")]
    assert found[0] == {"ledger"}
    assert found[1] == CASES["keyturn ledger "]
    assert "enforce" in ran.stdout


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_takes_the_script(folder: Path) -> None:
    said = keyturn("completion", "zsh")
    (folder / "_keyturn").write_text(said.out)
    script = f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; autoload +X _keyturn && print -r -- ${{_comps[keyturn]}}"
    ran = subprocess.run(
        ["zsh", "-f", "-c", script], env=with_keyturn(), capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "_keyturn")
    answered = subprocess.run(
        [sys.executable, "-m", "keyturn"],
        env=with_keyturn(_KEYTURN_COMPLETE="zsh_complete", COMP_WORDS="keyturn ledger ver", COMP_CWORD="2"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answered.stdout.split("\n")[:2] == ["plain", "verify"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_printed_whole_and_alone(shell: str) -> None:
    said = keyturn("completion", shell)
    assert (said.code, said.err) == (ExitCode.DONE, "")
    assert "_KEYTURN_COMPLETE" in said.out
