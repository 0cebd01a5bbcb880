"""Models of programs that agents use: what only looks, what acts and how, and what must not be understood."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from msgspec.structs import replace
from readers_cases import AROUND

from keyturn.cli.dry_run import DryRun
from keyturn.policy import STARTER
from keyturn.policy import load as policy
from keyturn.readers import read_shell
from keyturn.readers.shell.ceiling import ANYTHING
from keyturn.readers.shell.grammar import BadGrammar, Grammar, load, programs
from keyturn.readers.shell.wordlist import words

_CASES = tomllib.loads((Path(__file__).parent / "tools.toml").read_text("utf-8"))

USED = words(
    "git gh npm npx pnpm yarn bun pip pip3 pipx uv uvx poetry python python3 node deno ruby perl php java pytest tox nox "
    "pre-commit ruff black isort flake8 mypy pyright tsc eslint prettier jest vitest cargo rustc go gofmt make cmake ninja "
    "mvn gradle gcc docker docker-compose podman kubectl helm terraform aws gcloud az systemctl journalctl service loginctl "
    "timedatectl hostnamectl localectl resolvectl ss netstat ip ifconfig nmcli ping traceroute dig nslookup host whois curl "
    "wget ssh scp rsync ps top htop free vmstat iostat lsof pgrep pkill kill killall apt apt-get apt-cache dpkg yum dnf "
    "rpm brew snap pacman apk psql pg_dump mysql mysqldump sqlite3 redis-cli mongosh jq xmllint column openssl gpg "
    "ssh-keygen base64 screen tmux mount umount lsblk blkid df du fdisk parted useradd usermod userdel groupadd passwd "
    "groups getent id hexdump xxd od strings file nm objdump readelf ldd watch parallel timeout nice nohup stdbuf script "
    "env sudo xargs find grep egrep rg sed awk sort uniq cut tr head tail cat tac wc tee split paste join comm diff cmp patch "
    "tar gzip gunzip zip unzip bzip2 xz cpio cp mv rm mkdir rmdir touch ln chmod chown chgrp stat readlink realpath mktemp "
    "dd date uname hostname who w last uptime man less more vim nano crontab at svn tree ls seq shuf sha256sum md5sum cksum "
    "pv bc dos2unix iconv pr nl fold fmt"
)
"""Programs that agents really use; each must have a grammar of its own."""


def _described(grammar: Grammar) -> int:
    """How many options and subcommands an entry describes."""
    own = len({id(option) for option in grammar.options.values()})
    return own + sum(1 + _described(each) for each in grammar.subcommands.values())


def test_the_programs_that_agents_use_have_a_grammar_of_their_own() -> None:
    known = programs()
    assert len(USED) >= 170
    thin = [
        name
        for name in USED
        if name not in known
        or known[name].by_name
        or known[name].special == "any"
        or not (_described(known[name]) or known[name].special)
    ]
    assert not thin


def test_a_program_known_by_name_does_not_count_as_described() -> None:
    """Negative control of the test above."""
    named = load("[zz]\nabout='x'\ncan='executes'", "x.toml")["zz"]
    assert named.by_name
    assert not _described(named)


@pytest.mark.parametrize("script", _CASES["looks"])
def test_what_only_looks_is_understood_and_does_nothing_else(script: str) -> None:
    reading = read_shell(script, AROUND)
    assert reading.complete, reading.unread
    assert {effect.verb for effect in reading.effects} <= {"reads", "connects"}


@pytest.mark.parametrize(("verb", "script"), _CASES["acts"])
def test_what_acts_says_so(verb: str, script: str) -> None:
    reading = read_shell(script, AROUND)
    assert verb in {effect.verb for effect in reading.effects}


@pytest.mark.parametrize("script", _CASES["held"])
def test_what_could_do_more_than_is_described_is_not_understood(script: str) -> None:
    assert not read_shell(script, AROUND).complete


def test_text_put_into_a_script_when_it_runs_may_run_anything() -> None:
    """The names that find finds become code: `executes` in the zone that nothing lets run."""
    put_in = read_shell("find . -exec sh -c 'cat {}' \\;", AROUND)
    handed_on = read_shell("find . -exec sh -c 'cat \"$1\"' _ {} \\;", AROUND)
    assert "executes:unknown" in {effect.key for effect in put_in.effects}
    assert "executes:unknown" not in {effect.key for effect in handed_on.effects}


def test_a_file_to_source_without_a_slash_may_lie_anywhere_along_path() -> None:
    assert "executes:unknown" in {e.key for e in read_shell(". settings", AROUND).effects}
    assert "executes:unknown" not in {e.key for e in read_shell(". ./settings", AROUND).effects}


def test_one_that_is_like_another_adds_its_own_effects_and_may_name_a_subcommand() -> None:
    text = """
[a]
about = "x"
[a.subcommands.b]
about = "y"
always = ["reads system x"]
[a.subcommands.c]
like = "b"
always = ["deletes system x"]
[d]
like = "a b"
"""
    known = load(text, "x.toml")
    assert [e.verb for e in known["a"].subcommands["c"].always] == ["reads", "deletes"]
    assert [e.verb for e in known["d"].always] == ["reads"]
    for other in ("a z", "a b z", "z b"):
        with pytest.raises(BadGrammar, match="not described before"):
            load(text + f'[e]\nlike = "{other}"', "x.toml")


@pytest.mark.parametrize(("value", "complete"), [("no:x", True), ("x", False), ("no:", False), ("$x", False)])
def test_a_value_is_only_understood_if_the_pattern_matches_all_of_it(value: str, complete: bool) -> None:
    more = (("x.toml", "[zz]\nabout='x'\noptions='-p NAME  only no:[a-z]+'"),)
    reading = read_shell(f"zz -p {value}", replace(AROUND, programs=more))
    known_or_anything = reading.complete and ANYTHING not in {effect.what for effect in reading.effects}
    assert known_or_anything == complete


@pytest.mark.parametrize(
    ("script", "complete"),
    [("zz -Dx=y", True), ("zz -debug", True), ("zz -Ex", False), ("zz -D", True), ("zz -Fx", False)],
)
def test_a_value_may_be_attached_where_options_have_one_dash(script: str, complete: bool) -> None:
    text = "[zz]\nabout='x'\nsingle_dash=true\noptions='''-D[NAME]\n-debug\n-F NAME'''"
    assert read_shell(script, replace(AROUND, programs=(("x.toml", text),))).complete == complete


_HOSTILE = tomllib.loads((Path(__file__).parent / "hostile_tools.toml").read_text("utf-8"))


@cache
def _starter() -> DryRun:
    return DryRun(policy(STARTER), "shell", "", protected=("/home/dev/.keyturn",))


def _decision(script: str) -> str:
    line = {"content": script, "cwd": "/data/project", "workspace": "/data/project", "home": "/home/dev"}
    decision: str = json.loads(_starter().answer(json.dumps(line).encode()))["decision"]
    return decision


@pytest.mark.parametrize("way", _HOSTILE)
def test_nothing_hostile_runs_unasked_under_the_starter_policy(way: str) -> None:
    assert [script for script in _HOSTILE[way] if _decision(script) == "run"] == []


def test_there_are_hundreds_of_hostile_ones() -> None:
    assert sum(map(len, _HOSTILE.values())) >= 500


@pytest.mark.parametrize(
    "script", ["git log -p src", "pytest -q tests", "docker ps -a", "eslint --fix src", "grep x *.txt"]
)
def test_their_harmless_neighbours_do_run(script: str) -> None:
    """Negative control of the test above."""
    assert _decision(script) == "run"


@pytest.mark.parametrize("script", ["pytest {}", "eslint --fix {}", "tsc -p {}", "rspec {}"])
def test_code_beside_what_is_checked_counts_as_code_of_its_folder(script: str) -> None:
    elsewhere = {effect.key for effect in read_shell(script.format("/tmp/x"), AROUND).effects}
    here = {effect.key for effect in read_shell(script.format("src"), AROUND).effects}
    assert "executes:temporary" in elsewhere
    assert not any(key.startswith("executes:") and key != "executes:code" for key in here)


def test_history_of_a_secret_file_is_secret() -> None:
    for script in ("git show HEAD:.env", "git log -p -- .env", "git blame .env", "git cat-file -p HEAD:.env"):
        assert any("secret" in effect.labels for effect in read_shell(script, AROUND).effects), script
    assert not any(effect.labels for effect in read_shell("git show HEAD:README.md", AROUND).effects)


def test_a_pattern_that_fits_a_secret_file_counts_as_reading_it() -> None:
    for script in ("find . -name '.e*' -exec cat {} +", "rg -g .env x", "grep -r --include='.en?' x ."):
        assert any("secret" in effect.labels for effect in read_shell(script, AROUND).effects), script
    others = (
        "find . -name '.e*'",
        "find . -type f ! -name .env -exec cat {} +",
        "find . -name '*.py' -exec cat {} +",
        "rg -g '!.env' x",
        "grep -r --include='*.py' x .",
    )
    for script in others:
        assert not any("secret" in effect.labels for effect in read_shell(script, AROUND).effects), script


_OPTIONAL = re.compile(r"(?<![\w-])(?:(-\w), )?--(?:\[no-\])?([a-z][a-z-]+)\[=")
_ASKED = [
    *(f"git {name} -h" for name in sorted(programs()["git"].subcommands)),
    *(
        f"{name} --help"
        for name in ("journalctl", "systemctl", "lsblk", "findmnt", "grep", "ls", "od", "wget", "make")
    ),
]


@pytest.mark.parametrize("asked", _ASKED)
def test_an_option_whose_value_is_optional_takes_no_word_behind_it(asked: str) -> None:
    """A word that is taken for a value would not be read as the option or the file that it is."""
    argv = asked.split()
    if not shutil.which(argv[0]):
        pytest.skip(f"{argv[0]} is not installed")
    environment = {"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    told = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=environment, check=False)
    grammar = programs()[argv[0]]
    for name in argv[1:-1]:
        grammar = grammar.subcommands[name]
    for short, long in _OPTIONAL.findall(told.stdout + told.stderr):
        for name in filter(None, (short, f"--{long}")):
            option = grammar.options.get(name)
            assert option is None or option.value(name) != "required", f"{asked}: {name}"


def test_an_optional_value_would_be_seen() -> None:
    """Negative control of the test above."""
    assert _OPTIONAL.findall("  -n, --[no-]lines[=<n>]   show") == [("-n", "lines")]
    assert _OPTIONAL.findall("  -n, --lines=N   show") == []


def test_a_word_behind_an_option_without_a_value_is_read() -> None:
    assert any("secret" in e.labels for e in read_shell("git diff -U /etc/shadow /dev/null", AROUND).effects)
    assert not read_shell("journalctl -n --vacuum-time=1s", AROUND).complete
    assert "configures" in {effect.verb for effect in read_shell("renice -n 5 -p 1", AROUND).effects}
