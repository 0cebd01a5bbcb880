"""What Keyturn says on a terminal is Keyturn's: an agent's words in it can't move the cursor or begin a line."""

from __future__ import annotations

import os

import pytest

from keyturn.cli.terminal import noted
from keyturn.gates.exec.saying import say

FORGED = "held: ls '\x1b[2K\rkeyturn: approved.\nkeyturn: allowed. \x9b1A\x07'"


def test_a_line_about_a_command_is_one_line_of_plain_characters() -> None:
    line = noted(FORGED)
    assert "\n" not in line
    assert line.isprintable()
    assert line.startswith("keyturn: held: ls")
    assert "‹U+001B›" in line


def test_what_a_process_is_told_is_one_line_too(capfd: pytest.CaptureFixture[str]) -> None:
    say(os.getpid(), FORGED)
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert told.rstrip("\n").isprintable()


def test_the_words_would_steer_a_terminal() -> None:
    """Negative control: as they come, they clear a line and write two others."""
    assert len(FORGED.splitlines()) == 3
    assert not FORGED.isprintable()
