"""A policy's own descriptions of programs: part of its version, checked like rules, never a workspace's to add."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from policy_building import BASE, FACTS, SETTINGS, policy

from keyturn import readers
from keyturn.actions import Reading, Shell
from keyturn.cli import keyturn as root
from keyturn.policy import Policy, PolicyInvalid, run_tests, tighten
from keyturn.resources import Surroundings

DEPLOYER = b"""
[deployer]
about = "Shows and makes deployments."
[deployer.subcommands.status]
about = "Tells what is deployed."
operands = "reads..."
options = '''
-o FILE, --output=FILE  writes
'''
"""


def described(text: bytes, **more: bytes) -> Policy:
    return policy(**{"programs__ours_toml": text, **more})


def read(script: str, of: Policy) -> Reading:
    around = Surroundings("/data/app", "/data/app", "/home/dev", programs=of.programs)
    return readers.read(Shell(script), around)


def test_a_described_program_is_read_and_decided_by_the_rules() -> None:
    plain, ours = policy(), described(DEPLOYER)
    script = "deployer status plan.txt"
    assert not read(script, plain).complete  # negative control
    assert plain.decide("shell", read(script, plain), FACTS).verdict == "hold"
    assert read(script, ours).complete
    assert ours.decide("shell", read(script, ours), FACTS).verdict == "run"
    assert ours.decide("shell", read("deployer status --force x", ours), FACTS).verdict == "hold"
    assert [e.key for e in read("deployer status -o x", ours).effects] == ["writes:workspace"]


def test_readings_of_one_policy_are_not_those_of_another() -> None:
    """The memory of readings tells them apart, in either order."""
    first, second = described(DEPLOYER), described(DEPLOYER.replace(b'"reads..."', b'"deletes..."'))
    script = "deployer status memory-of-readings"
    keys = [[e.key for e in read(script, of).effects] for of in (first, second, first, policy())]
    assert keys == [["reads:workspace"], ["deletes:workspace"], ["reads:workspace"], ["executes:unknown"]]


def test_a_description_is_part_of_the_version() -> None:
    digests = {policy().digest, described(DEPLOYER).digest, described(DEPLOYER + b"\n").digest}
    assert len(digests) == 3


def test_a_shipped_program_can_be_extended_and_replaced() -> None:
    more = described(b"[sort]\nlike = 'sort'\noptions = '--tidy'\n")
    assert read("sort -r --tidy x", more).complete
    assert not read("sort --tidy x", policy()).complete
    less = described(b"[sort]\nabout = 'Ours.'\ncan = 'executes'\n")
    assert not read("sort x", less).complete
    assert read("sort x", policy()).complete
    sub = described(b"[git]\nlike = 'git'\n[git.subcommands.tidy]\nabout = 'Ours.'\n")
    assert read("git tidy", sub).complete
    assert read("git status", sub).complete


def test_cases_are_read_with_the_descriptions() -> None:
    case = b"[[must_run]]\ncommand = 'deployer status'\n"
    assert run_tests(described(DEPLOYER, tests__ours_toml=case)).green
    assert not run_tests(policy(tests__ours_toml=case)).green


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (b"[a]\nabout = 'x'\nopptions = ''\n", 3, "unknown setting"),
        (b"[ok]\nabout = 'x'\n[a]\nabout = 'x'\noperands = 'reeds'\n", 5, "reeds"),
        (b"[a]\nabout = 'x'\noptions = '''\n-a\n-b  explodes\n'''\n", 5, "explodes"),
        (b"[a]\nabout = 'x'\n[a.subcommands.b]\noptions = ''\n", 3, "says nothing"),
        (b"[a]\nlike = 'nobody'\n", 1, "not described before"),
        (b"[a\n", 1, "TOML"),
        (b"[a]\nabout = 3\n", 1, "another way"),
        (b"[a]\nabout = 'x'\nalways = [1]\n", 1, "another way"),
        (b"[eval]\nabout = 'x'\n", 1, "part of the shell"),
        (b"['a/b']\nabout = 'x'\n", 1, "plain name"),
        (b"a = 1\n", 0, "not a table"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: bytes, line: int, words: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        described(text)
    problem = caught.value.problems[0]
    assert problem.file == "programs/ours.toml"
    assert words in problem.message
    assert not line or problem.line == line


def test_a_program_is_described_once() -> None:
    with pytest.raises(PolicyInvalid, match="already"):
        policy(programs__a_toml=DEPLOYER, programs__b_toml=DEPLOYER)


def test_a_workspace_can_t_describe_programs() -> None:
    base = described(DEPLOYER)
    for name in ("programs/ours.toml", ".keyturn/programs/ours.toml", ".keyturn/rules/ours.toml"):
        with pytest.raises(PolicyInvalid):
            tighten(base, {name: b"[rm]\nabout = 'harmless'\n"})
    rule = b'@id("f") @because("no") forbid(principal, action, resource) when { context.program == "x" };'
    assert tighten(base, {".keyturn/rules/x.cedar": rule}).programs == base.programs


def test_a_dry_run_uses_the_folder_s_descriptions(tmp_path: Path) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "rules").mkdir()
    (tmp_path / "policy.toml").write_bytes(SETTINGS)
    (tmp_path / "rules" / "main.cedar").write_text(BASE)
    line = '{"content": "deployer status plan.txt", "cwd": "/data/app", "workspace": "/data/app"}\n'
    command = ["policy", "decide", "--kind", "shell", "--policy", str(tmp_path), "--jsonl", "-"]
    answers = []
    for text in (b"", DEPLOYER):
        (tmp_path / "programs" / "ours.toml").write_bytes(text)
        told = CliRunner().invoke(root, command, input=line)
        answers.append(json.loads(told.stdout)["decision"])
    assert answers == ["hold", "run"]
