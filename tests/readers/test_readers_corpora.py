"""Commands that nobody on this project wrote. They lie outside the repository; where they are absent this is skipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from readers_cases import AROUND, is_benign

from keyturn.actions import Shell
from keyturn.readers import READER_FAILED, read_afresh

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"

_STARTS_A_PAGER_ON_A_TERMINAL = {"dpkg -l", "journalctl", "man man"}
"""An agent has no terminal, and only a person at the terminal could make the pager do more."""


def _rows(name: str) -> list[dict[str, str]]:
    file = CORPORA / name
    if not file.is_file():
        pytest.skip(f"the corpus {name} is not beside the repository")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_no_way_to_a_shell_or_a_file_passes_as_harmless() -> None:
    rows = [row for row in _rows("gtfobins.jsonl") if "code" in row]
    passed = [row for row in rows if is_benign(read_afresh(Shell(row["code"]), AROUND))]
    acting = [row["code"] for row in passed if row["function"] != "file-read"]
    print(f"gtfobins: {len(passed)} of {len(rows)} would pass: {[row['code'] for row in passed]}")
    assert set(acting) <= _STARTS_A_PAGER_ON_A_TERMINAL
    assert len(passed) <= 6


def test_malicious_commands_do_not_pass_as_harmless() -> None:
    rows = _rows("aegish-malicious.jsonl")
    passed = [row for row in rows if is_benign(read_afresh(Shell(row["command"]), AROUND))]
    print(f"malicious: {len(passed)} of {len(rows)} would pass: {[row['command'] for row in passed]}")
    assert all(row["category"] == "file-read" for row in passed)
    assert len(passed) <= len(rows) * 0.005


def test_most_harmless_commands_are_understood() -> None:
    rows = _rows("aegish-harmless.jsonl")
    readings = [read_afresh(Shell(row["command"]), AROUND) for row in rows]
    complete = sum(reading.complete for reading in readings)
    benign = sum(is_benign(reading) for reading in readings)
    print(f"harmless: {complete} of {len(rows)} complete, {benign} only read")
    assert complete >= len(rows) * 0.7


def test_commands_people_wrote_are_answered() -> None:
    file = CORPORA / "nl2bash.txt"
    if not file.is_file():
        pytest.skip("the corpus nl2bash.txt is not beside the repository")
    commands = file.read_text("utf-8").splitlines()[::25]
    readings = [read_afresh(Shell(command), AROUND) for command in commands]
    print(f"nl2bash: {sum(r.complete for r in readings)} of {len(readings)} complete")
    assert not any(READER_FAILED in unread.why for reading in readings for unread in reading.unread)
    assert sum(reading.complete for reading in readings) >= len(readings) * 0.4
