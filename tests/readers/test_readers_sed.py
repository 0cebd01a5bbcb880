"""sed scripts beside sed itself: what its sandbox refuses (commands that run or touch something) must not be read as harmless."""

from __future__ import annotations

import random
import shlex
import shutil
import subprocess

import pytest
from readers_cases import AROUND

from keyturn.actions import Shell
from keyturn.readers import read_afresh

SED = shutil.which("sed")
_PIECES = [
    *"s/////[[]]^\\;;#eewrRW{}$1,!abpg&.*:\n|", "s/", ",", "g", "[/]", "e", "w x", "[[:alpha:]/]", "\\/", "y/", "a\\", "/e", "/w x",
    "s,", "[^]/]",
]  # fmt: skip
_SHELL_SAYS_NOTHING = ("e#", "e:")
"""What `e` runs is a comment or does nothing."""


def _is_gnu() -> bool:
    told = subprocess.run([SED or "sed", "--version"], capture_output=True, text=True, check=False).stdout
    return "GNU sed" in told


def _sandbox_refuses(script: str) -> bool:
    run = subprocess.run(
        [SED or "sed", "--sandbox", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "sandbox" in run.stderr


def _looks_harmless(script: str) -> bool:
    reading = read_afresh(Shell(f"sed {shlex.quote(script)} f"), AROUND)
    return reading.complete and [effect.key for effect in reading.effects] == ["reads:workspace"]


@pytest.mark.skipif(
    SED is None or not _is_gnu(), reason="GNU sed, whose sandbox is the second opinion, is missing"
)
def test_no_script_that_the_sandbox_refuses_looks_harmless() -> None:
    chance = random.Random(7)
    scripts = ["".join(chance.choice(_PIECES) for _ in range(chance.randint(2, 12))) for _ in range(300)]
    scripts += ["s/" + script for script in scripts]
    harmless = [script for script in scripts if _looks_harmless(script)]
    assert len(harmless) > 20
    refused = [
        s for s in harmless if _sandbox_refuses(s) and not any(piece in s for piece in _SHELL_SAYS_NOTHING)
    ]
    assert refused == []


@pytest.mark.skipif(
    SED is None or not _is_gnu(), reason="GNU sed, whose sandbox is the second opinion, is missing"
)
def test_a_script_that_runs_lines_is_refused_by_the_sandbox() -> None:
    """Negative control: the second opinion tells such scripts apart."""
    assert _sandbox_refuses("s/a/b/e")
    assert not _sandbox_refuses("s/a/b/g")


@pytest.mark.parametrize("script", ["s/[/]/g;#/e", "s,[,],g;#,w x"])
def test_a_delimiter_in_brackets_is_read_both_ways(script: str) -> None:
    """GNU sed 4.9 takes it for a character, older ones for the end."""
    assert not _looks_harmless(script)
    assert _looks_harmless(script.split(";", 1)[0])
    assert _looks_harmless("/[/]/p")
