"""Execs that are known again are no other execs: every shortcut of the exec gate, beside what it must not take for the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from exec_world import needs_gate, scripted

pytestmark = needs_gate

WATCHED = """
import json, os, sys
from msgspec.structs import replace
from keyturn.gates.exec import supervisor
from keyturn.gates.exec.model import Allow
script, cwd, only_continue = sys.argv[1], sys.argv[2], sys.argv[3:] == ["continue"]
seen, killed, looked = [], [], []
def decide(e, answer):
    seen.append([e.question, e.path, list(e.argv[1:]), e.environment.get("X", ""), e.cwd, e.file.sha256, e.pid])
    during(e)
    return Allow()
def during(e): pass
s = supervisor.Supervisor(decide, only_continue=only_continue, killed=lambda e, why: killed.append(why))
#MORE
code = s.start(["/bin/sh", "-c", script], {"PATH": "/usr/bin:/bin", "HOME": "/"}, cwd).wait()
s.close()
print(json.dumps({"code": code, "seen": seen[1:], "killed": killed, "looked": looked}), file=sys.stderr)
"""


def watched(script: str, cwd: Path, *words: str, more: str = "") -> dict[str, Any]:
    """Run *script* with sh; every exec below it as it was seen, why any was killed, and what *more* code noted."""
    done = scripted(WATCHED.replace("#MORE", more), words=(script, str(cwd), *words))
    assert done.stderr, done
    return {"out": done.stdout, **json.loads(done.stderr.splitlines()[-1])}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return Path(shutil.copy(shutil.which("true") or "/bin/true", tmp_path / "program"))


def test_the_same_again_is_the_same_question(program: Path) -> None:
    """Else none of the tests below would show anything."""
    told = watched("./program a; ./program a; ./program a", program.parent)
    numbers = [one[0] for one in told["seen"]]
    assert numbers[0] > 0
    assert len(set(numbers)) == 1
    assert len({one[-1] for one in told["seen"]}) == 3, "each under its own process"


OTHERS = {
    "another word": "./program b",
    "a word more": "./program a ''",
    "no words": "./program",
    "another variable": "X=1 ./program a",
    "another folder": "mkdir sub; cp program sub; env -C sub ./program a",
    "another path": "././program a",
    "another file": "cp program new; echo >> new; mv new program; ./program a",
    "another text of the file": "echo >> program; ./program a",
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_question_is_not_the_same(other: str, program: Path) -> None:
    told = watched(f"./program a; ./program a; {OTHERS[other]}", program.parent)
    seen = [one for one in told["seen"] if one[1].endswith("program")]
    assert told["killed"] == [], (
        "it was taken for the one that was asked before, and killed for not being that"
    )
    assert seen[0][0] == seen[1][0] != seen[-1][0]
    assert seen[-1][1:-1] != seen[0][1:-1]


def test_what_means_something_else_to_each_process_is_read_in_full_each_time(program: Path) -> None:
    (program.parent / "script").write_text("#!/bin/sh\n")
    (program.parent / "script").chmod(0o755)
    script = "for i in 1 2; do ./script; exec 9<program; /proc/self/fd/9; /dev/fd/9; done"
    told = watched(script, program.parent)
    assert len(told["seen"]) == 6
    assert {one[0] for one in told["seen"]} == {0}


@pytest.mark.parametrize("only_continue", [False, True], ids=["verified", "continue alone"])
def test_what_is_swapped_under_an_exec_that_is_known_does_not_run(only_continue: bool, program: Path) -> None:
    """The negative control is "continue" alone."""
    swap = (
        "def during(e):\n"
        "    if len([one for one in seen if one[1].endswith('program')]) == 3:\n"
        f"        os.chdir({str(program.parent)!r}); os.symlink('/bin/echo', 'new'); os.replace('new', 'program')\n"
    )
    words = ("continue",) if only_continue else ()
    told = watched("for i in 1 2 3; do ./program PWNED; done; :", program.parent, *words, more=swap)
    assert told["seen"][1][0] == told["seen"][2][0] > 0
    assert told["out"] == ("PWNED\n" if only_continue else "")
    assert told["killed"] == ([] if only_continue else ["another program was loaded"])


STACK = """
exact = s._loaded.mismatch
def mismatch(asked):
    on_the_stack = s._loaded._is_on_the_stack
    words, variables, (n, m) = asked.words, asked.variables, asked.counts
    last = words.rindex(b"\\0", 0, -1) + 1 if n > 1 else 0
    first = variables.index(b"\\0") + 1
    others = {
        "a word is called a variable": (words[:last], words[last:] + variables, (n - 1, m + 1)),
        "a variable is called a word": (words + variables[:first], variables[first:], (n + 1, m - 1)),
        "a word is left out": (words[:last], variables, (n - 1, m)),
        "a variable is left out": (words, variables[first:], (n, m - 1)),
        "a variable more": (words, variables + b"X=1\\0", (n, m + 1)),
        "another word": (words[:-2] + b"?\\0", variables, (n, m)),
        "another variable": (words, variables[:-2] + b"?\\0", (n, m)),
    }
    told = {"exact": [on_the_stack(asked), exact(asked)], "through /proc": [False, exact(replace(asked, native=False))]}
    for name, (w, v, counts) in others.items():
        other = replace(asked, words=w, variables=v, counts=counts)
        told[name] = [on_the_stack(other), exact(other)]
    looked.append(told)
    return exact(asked)
s._loaded.mismatch = mismatch
"""


def test_what_lies_on_the_new_stack_is_told_from_everything_like_it(tmp_path: Path) -> None:
    """Counted and compared: the bytes alone would not tell the last word from the first variable."""
    told = watched("/bin/true one two; A=1 B=2 /bin/true three", tmp_path, more=STACK)
    assert told["killed"] == []
    assert len(told["looked"]) == 3
    for looked in told["looked"]:
        assert looked.pop("exact") == [True, ""]
        assert looked.pop("through /proc") == [False, ""]
        for name, (on_the_stack, why) in looked.items():
            assert not on_the_stack, name
            assert why, name
