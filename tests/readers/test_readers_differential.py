"""Promise 2, beside what really happens: no program starts and no file changes that a complete reading doesn't name.

The long form is `make test-differential` (10,000 commands).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from readers_differential import SEED, Case, case, cases, read

from keyturn.actions import Reading, Step
from keyturn.resources import Surroundings

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash runs the commands and is missing")

TRACER = shutil.which("strace")


def test_what_commands_do_is_among_what_was_read(tmp_path: Path) -> None:
    found = cases(300, SEED, tmp_path)
    assert [(one.script, one.misses) for one in found if one.misses] == []
    assert sum(one.complete for one in found) > 150
    assert sum(one.changes for one in found) > 150
    assert sum(one.programs for one in found) > 150


def without(verb: str, program: str, script: str, around: Surroundings) -> Reading:
    """A reader whose model of *program* forgot what it does by *verb*."""

    def forgetful(step: Step) -> Step:
        kept = tuple(e for e in step.effects if e.verb != verb)
        return replace(step, effects=kept) if step.program == program else step

    reading = read(script, around)
    return replace(reading, steps=tuple(map(forgetful, reading.steps)))


@pytest.mark.parametrize(
    ("verb", "program", "script"),
    [
        ("writes", "sort", "cat b.txt | sort -o n1"),
        ("writes", "sed", "sed -i s/o/0/ a.txt"),
        ("writes", "tee", "echo x | tee n1"),
        ("deletes", "rm", "f() { rm a.txt; }; f"),
        ("deletes", "mv", "bash -c 'mv a.txt n1'"),
        ("writes", "touch", "find . -name '*.log' -exec touch {} +"),
        ("writes", ">", "{ ls; } > n1"),
    ],
)
def test_a_model_that_forgets_an_effect_is_caught(
    tmp_path: Path, verb: str, program: str, script: str
) -> None:
    """Negative control: the same command, with and without the effect."""

    def broken(text: str, around: Surroundings) -> Reading:
        return without(verb, program, text, around)

    assert case(script, tmp_path, tracer=TRACER).misses == ()
    if case(script, tmp_path, tracer=TRACER).complete:
        assert case(script, tmp_path, broken, TRACER).misses


def test_a_model_that_forgets_a_program_is_caught(tmp_path: Path) -> None:
    """Negative control, with strace and without it."""

    def broken(text: str, around: Surroundings) -> Reading:
        reading = read(text, around)
        return replace(reading, steps=tuple(s for s in reading.steps if s.program != "tac"))

    script = "find . -name a.txt -exec tac {} +"
    for tracer in (TRACER, None):
        assert case(script, tmp_path, read, tracer).misses == ()
        found: Case = case(script, tmp_path, broken, tracer)
        assert found.complete
        assert any(miss == "ran tac" for miss in found.misses)


def test_a_write_outside_the_folder_is_seen(tmp_path: Path) -> None:
    """Negative control of the scratch folder: strace tells of files that no comparison of the folder could."""
    if TRACER is None:
        pytest.skip("strace is not installed: only the folder is compared")
    outside = tmp_path / "outside"

    def broken(text: str, around: Surroundings) -> Reading:
        reading = read(text, around)
        return replace(reading, steps=tuple(replace(s, effects=()) for s in reading.steps))

    script = f"touch {outside}"
    assert case(script, tmp_path / "w", broken, TRACER).misses == (f"changed {outside}",)
