"""Scripts inside of scripts: they are read, and what is run is read text there, too, not what was typed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from readers_cases import AROUND

from keyturn.readers import read_shell

_needs_bash = pytest.mark.skipif(
    shutil.which("bash") is None, reason="bash is the second opinion and is missing"
)

EMITTED = {
    "bash -c 'ls   -l # x'": "bash -c 'ls -l'",
    "bash -c 'ls; bash -c \"ls   a\"'": "bash -c 'ls; bash -c '\\''ls a'\\'''",
    "eval 'ls    a'": "eval 'ls a'",
    "sh -c 'ls & pwd\nid'": "sh -c 'ls & pwd; id'",
    "trap 'ls   a' EXIT; ls": "trap 'ls a' EXIT\nls",
    "find . -exec sh -c 'wc   -l' \\;": "find . -exec sh -c 'wc -l' ';'",
    "sudo bash <<'E'\nls;   pwd\nE": "sudo bash <<'END_OF_TEXT'\nls\npwd\nEND_OF_TEXT",
    'bash <<"E"\nls   "a b"\nE': "bash <<'END_OF_TEXT'\nls 'a b'\nEND_OF_TEXT",
    "bash -s a <<< 'ls   b'": "bash -s a <<< 'ls b'",
    "x='ls   a'; bash -c \"$x\"": "x='ls   a'\nbash -c \"${x}\"",
}

TYPED = ["bash <<E\nls\nE", "bash <<< ls", "echo ls | sh", "echo ls | sudo bash -s", "bash - <<E\nls\nE"]

NOT_THE_TEXT = [
    "echo 'xxls' | { head -c 2; bash; }",
    "tr a b > >(bash) <<< ls",
    "f() { head -c 2; bash; }; f <<< xxls",
    "echo -e ls | sh",
    "echo 'l\\163' | sh",
    "echo ls | tr l p | sh",
    "echo() { printf rm; }; echo ls | sh",
    "bash <<E\n$x\nE",
    "bash <<E 0< f\nls\nE",
    "echo ls | bash 0< f",
    "(bash) <<< ls",
]


@pytest.mark.parametrize(("script", "emitted"), EMITTED.items())
def test_a_text_is_re_emitted_where_it_stands(script: str, emitted: str) -> None:
    reading = read_shell(script, AROUND)
    assert reading.canonical == emitted
    assert read_shell(emitted, AROUND).canonical == emitted


@pytest.mark.parametrize("script", TYPED)
def test_what_a_shell_is_given_to_read_is_read(script: str) -> None:
    reading = read_shell(script, AROUND)
    assert reading.complete, reading.unread
    assert "ls" in [step.program for step in reading.steps]


@pytest.mark.parametrize("script", NOT_THE_TEXT)
def test_a_shell_whose_input_is_not_that_text_is_not_understood(script: str) -> None:
    assert not read_shell(script, AROUND).complete


TAKEN = "bash <<'E'\nhead -c 3\nls touch made\nE"


def test_a_shell_goes_on_where_its_commands_stopped_reading() -> None:
    """What a command takes of the text decides what the rest means: anything may run."""
    reading = read_shell(TAKEN, AROUND)
    assert ("executes", "unknown") in {(e.verb, e.zone) for e in reading.effects}
    deaf = read_shell("bash <<'E'\nmkdir a\ncd a\necho b > c\nE", AROUND)
    assert "executes" not in {effect.verb for effect in deaf.effects}


@_needs_bash
def test_a_shell_really_does(tmp_path: Path) -> None:
    """Negative control: bash runs a command that no line names."""
    subprocess.run(
        ["bash", "-c", TAKEN], cwd=tmp_path, check=False, capture_output=True, timeout=120, text=True
    )
    assert (tmp_path / "made").exists()
