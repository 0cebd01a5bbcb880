"""Programs that are known by name only: their worst is said, and they are never understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from readers_cases import AROUND

from keyturn.actions import Reading
from keyturn.readers import read_shell
from keyturn.readers.shell.grammar import BadGrammar, load, programs

ROWS = Path(__file__).parents[3] / "shared" / "corpora" / "gtfobins.jsonl"

SHOWS = {
    "shell": {"executes"},
    "command": {"executes"},
    "reverse-shell": {"executes", "connects", "sends"},
    "bind-shell": {"executes", "connects", "sends"},
    "library-load": {"executes"},
    "inherit": {"executes"},
    "file-read": {"reads", "executes"},
    "file-write": {"writes", "deletes", "configures", "executes"},
    "upload": {"sends", "connects", "executes"},
    "download": {"writes", "connects", "executes"},
    "privilege-escalation": {"grants", "configures", "writes", "reads", "executes"},
}
"""What a reading must say for each kind of abuse: the effect itself, or that code runs, which can be anything."""


CONFIGURED = {("top", "shell"), ("sysctl", "command")}
"""Their abuse is a setting written beforehand, or by them: `configures`, which no starter rule lets run."""

PAGERS = {
    ("dpkg", "inherit", "dpkg -l"),
    ("journalctl", "inherit", "journalctl"),
    ("man", "inherit", "man man"),
}
"""They start a pager if they stand on a terminal, and a person would have to type into it: see docs/reference/shell-reader.md."""


def _rows() -> Iterator[tuple[str, str, str]]:
    for line in ROWS.read_text().splitlines():
        row = json.loads(line)
        if "function" in row:
            yield row["program"], row["function"], row["code"]


def _said(reading: Reading) -> set[str]:
    return {effect.verb for step in reading.steps for effect in step.effects}


@pytest.mark.skipif(not ROWS.is_file(), reason="the corpus of abuses is not here")
def test_every_program_that_can_be_abused_is_known_at_least_by_name() -> None:
    assert {program for program, _, _ in _rows()} - set(programs()) == set()


@pytest.mark.skipif(not ROWS.is_file(), reason="the corpus of abuses is not here")
def test_what_a_program_is_abused_for_is_among_its_effects_or_it_is_not_understood_at_all() -> None:
    silent = []
    for program, function, code in _rows():
        reading = read_shell(code, AROUND)
        if not reading.steps or any(u.why.startswith("Not valid shell") for u in reading.unread):
            assert not reading.complete, code
        elif (program, function) in CONFIGURED and "configures" in _said(reading):
            continue
        elif not _said(reading) & SHOWS[function]:
            silent.append((program, function, code))
    assert set(silent) <= PAGERS


def test_a_program_known_by_name_is_never_understood() -> None:
    by_name = [name for name, grammar in programs().items() if grammar.by_name]
    assert len(by_name) > 200
    for name in by_name:
        for script in (name, f"{name} --help", f"{name} x", f"{name} $x"):
            reading = read_shell(script, AROUND)
            assert not reading.complete, script
            assert reading.steps[0].effects, script


def test_files_named_to_a_program_known_by_name_are_shown() -> None:
    reading = read_shell("strace -o x cat ~/.ssh/id_rsa", AROUND)
    assert any("secret" in effect.labels or ".ssh" in effect.what for effect in reading.effects)


def test_a_full_description_stands_before_one_by_name_in_either_order() -> None:
    full, named = "[zz]\nabout='x'", "[zz]\nabout='x'\ncan='executes'"
    for texts in ((full, named), (named, full)):
        files = tuple((f"{n}.toml", text) for n, text in enumerate(texts))
        assert not programs(files)["zz"].by_name


@pytest.mark.parametrize(
    "text", ["can='explodes'", "can=''", "can='executes'\noptions='-a'", "can=['executes']"]
)
def test_a_mistaken_entry_by_name_is_refused(text: str) -> None:
    with pytest.raises(BadGrammar):
        load(f"[zz]\nabout='x'\n{text}", "x.toml")
