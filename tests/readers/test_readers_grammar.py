"""The descriptions of programs: readable, checked when they are loaded, and true of the programs installed here."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from readers_cases import AROUND

from keyturn.readers import read_shell
from keyturn.readers.shell.calls import Call, Scene
from keyturn.readers.shell.ceiling import widest
from keyturn.readers.shell.grammar import BadGrammar, Grammar, load, programs
from keyturn.readers.shell.special import SPECIALS


def _all(grammars: dict[str, Grammar]) -> list[Grammar]:
    found = []
    for grammar in grammars.values():
        found += [grammar, *_all(grammar.subcommands)]
    return found


def test_every_description_loads() -> None:
    assert len(programs()) >= 150
    assert all(grammar.about for grammar in _all(programs()))
    assert {g.special for g in _all(programs()) if g.special} <= set(SPECIALS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[a]\n", "says nothing"),
        ("[a]\nabout='x'\nopptions=''", "unknown setting"),
        ("[a]\nabout='x'\noperands='reeds'", "unknown operand"),
        ("[a]\nabout='x'\noperands='reads... writes...'", "repeats"),
        ("[a]\nabout='x'\noptions='-a  explodes'", "can't do"),
        ("[a]\nabout='x'\noptions='a'", "manual pages"),
        ("[a]\nabout='x'\noptions='''-a\n-a'''", "twice"),
        ("[a]\nabout='x'\nspecial='zed'", "unknown grammar"),
        ("[a]\nabout='x'\nalways=['reads moon a']", "VERB ZONE WHAT"),
        ("[a]\nabout='x'\nheld_text='('", "regular expression"),
        ("[a]\nlike='b'", "not described before"),
        ("a = 1", "not a table"),
        ("[a", "Expected"),
    ],
)
def test_a_description_with_a_mistake_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(BadGrammar, match=complaint):
        load(text, "x.toml")


def test_a_word_made_at_run_time_brings_in_all_that_the_program_could_do() -> None:
    """It may turn out to be any option: the effects then are a superset of what any option does."""
    for name, grammar in programs().items():
        reading = read_shell(f'x=$(ls); {name} "$x"', AROUND)
        if reading.complete and not grammar.harmless and not grammar.special:
            most = Call(name, Scene(AROUND, frozenset({"/"})), (0, 0))
            widest(grammar, most)
            assert {e.key for e in most.effects} <= {e.key for e in reading.effects}, name


def test_the_widest_reading_has_every_acting_option() -> None:
    """A negative control: a program without its acting options has a narrower one."""
    full, narrow = load("[a]\nabout='x'\noptions='-o FILE  writes'\n[b]\nabout='x'", "x.toml").values()
    effects = []
    for grammar in (full, narrow):
        call = Call("a", Scene(AROUND, frozenset({"/"})), (0, 0))
        widest(grammar, call)
        effects.append({effect.key for effect in call.effects})
    assert effects == [{"writes:unknown"}, set()]


def test_an_option_that_is_not_described_is_not_understood() -> None:
    for name, grammar in programs().items():
        if grammar.special in ("", "tar", "date", "git-config") and not name.startswith(
            ("echo", "true", ":", "false", "exit")
        ):
            operands = {operand.kind for operand in grammar.operands}
            if grammar.stops and operands & {"program", "rest"}:
                continue
            assert not read_shell(f"{name} --frobnicate-everything=1", AROUND).complete, name


_LONG = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]+)(\[?=| (?=[A-Z]))?")
_COREUTILS = [
    "base64", "basename", "cat", "comm", "cp", "cut", "date", "df", "diff", "dirname", "du", "expand", "fmt", "fold", "grep",
    "gzip", "head", "id", "install", "join", "ln", "ls", "mkdir", "mktemp", "mv", "nl", "nproc", "od", "paste", "patch",
    "readlink", "realpath", "rm", "rmdir", "sed", "seq", "sha256sum", "shred", "shuf", "sort", "split", "stat", "tac", "tail",
    "tar", "tee", "timeout", "touch", "tr", "truncate", "uname", "uniq", "wc", "who", "xargs",
]  # fmt: skip


@pytest.mark.parametrize("name", _COREUTILS)
def test_options_take_values_as_the_program_itself_says(name: str) -> None:
    """A flag described as taking a value would hide an operand; so arity is compared with `--help`."""
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    help_text = subprocess.run(
        [name, "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        check=False,
    ).stdout
    said: dict[str, set[str]] = {}
    for line in help_text.splitlines():
        if line.lstrip().startswith("-"):
            usage = re.split(r"\s{2,}", line.strip())[0]
            for option, value in _LONG.findall(usage):
                said.setdefault(option, set()).add(value)
    grammar = programs()[name]
    compared = 0
    for option, values in said.items():
        known = grammar.options.get(option)
        if known is None or len(values) != 1:
            continue
        compared += 1
        required = values.pop() in ("=", " ")
        assert (known.value(option) == "required") == required, f"{name} {option}"
    assert compared or not grammar.options
