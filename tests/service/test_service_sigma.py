"""Sigma rules over actions: what matches is found with its author; what can't be expressed is refused by name, whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from service_world import World

pytest.importorskip("sigma", reason="pySigma (the extra keyturn[sigma]) is not installed")

from keyturn.drift import sigma
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.sigma_rules import SigmaFollower


def rule(
    detection: str, *, title: str = "A test", category: str = "process_creation", product: str = "linux"
) -> str:
    return f"""
title: {title}
id: 11111111-1111-4111-8111-111111111111
author: Somebody Else
level: high
logsource:
  category: {category}
  product: {product}
detection:
{detection}
"""


RM = rule(
    "  sel:\n    Image|endswith: '/rm'\n    CommandLine|contains|all:\n      - ' -r'\n      - build\n  condition: sel"
)


def fields(script: str, *argv: str, program: str = "") -> dict[str, object]:
    step = {"program": program or argv[0], "argv": list(argv)}
    action = {"content": {"kind": "shell", "script": script, "dialect": "bash"}, "cwd": "/work"}
    return {"kind": "shell", "action": action, "human": {"person": "dana"}, "reading": {"steps": [step]}}


def names(text: str, found: dict[str, object]) -> list[str]:
    rules, refused = sigma.read({"a.yml": text})
    assert refused == []
    return [one.title for one in sigma.matching(rules, found)]


def test_a_condition_matches_what_it_says_and_nothing_else() -> None:
    assert names(RM, fields("rm -r build", "rm", "-r", "build")) == ["A test"]
    assert names(RM, fields("rm build", "rm", "build")) == []
    assert names(RM, fields("ls -r build", "ls", "-r", "build")) == []


@pytest.mark.parametrize(
    ("detection", "matches"),
    [
        ("  a: {CommandLine|contains: 'BUILD'}\n  condition: a", True),
        ("  a: {CommandLine|contains|cased: 'BUILD'}\n  condition: a", False),
        ("  a: {CommandLine|re: 'rm\\s+-r'}\n  condition: a", True),
        ("  a: {CommandLine: 'rm -? bui*'}\n  condition: a", True),
        ("  a: {User: dana}\n  b: {Image|endswith: /rm}\n  condition: a and not b", False),
        ("  a1: {User: nobody}\n  a2: {CurrentDirectory: /work}\n  condition: 1 of a*", True),
        ("  k: ['-r build']\n  condition: k", True),
        ("  a: {ParentImage: null}\n  condition: a", False),
        ("  a: {TargetFilename|exists: false}\n  condition: a", True),
    ],
)
def test_constructs(detection: str, matches: bool) -> None:
    assert bool(names(rule(detection), fields("rm -r build", "rm", "-r", "build"))) is matches


def test_a_rule_for_another_source_does_not_apply() -> None:
    for other in (
        rule("  a: {User: dana}\n  condition: a", category="dns_query"),
        RM.replace("linux", "windows"),
    ):
        assert names(other, fields("rm -r build", "rm", "-r", "build")) == []


def test_what_has_no_exact_form_is_refused_whole_and_by_name() -> None:
    odd = rule("  a: {CommandLine|fieldref: User}\n  b: {User: dana}\n  condition: a or b", title="Odd")
    slow = rule("  a: {CommandLine|re: '(?=x)y'}\n  condition: a", title="Slow")
    rules, refused = sigma.read({"a.yml": odd, "b.yml": slow, "c.yml": "title: [", "d.yml": RM})
    assert [one.title for one in rules] == ["A test"]
    assert [one.file for one in refused] == ["a.yml", "b.yml", "c.yml"]
    assert refused[0].title == "Odd"
    assert "SigmaFieldReference" in refused[0].why


def test_a_match_becomes_one_finding_with_its_author(tmp_path: Path) -> None:
    world = World(tmp_path)
    (world.home.root / "sigma").mkdir()
    (world.home.root / "sigma" / "rm.yml").write_text(RM)

    async def story(service: Keyturn) -> list[dict[str, object]]:
        session = await world.session(service, "one")
        for command in ("ls -la", "rm -r build", "rm -r build/x"):
            await service.authorize(world.action(session, command), world.around, consume=True)
        following = Following(service.core, [SigmaFollower])
        await following.catch_up()
        return service.core.ledger.rows("finding")

    found = world.play(story)
    assert [(one["kind"], one["severity"]) for one in found] == [("sigma.match", "high")]
    assert "Somebody Else" in str(found[0]["words"])
    command = [
        sys.executable,
        "-m",
        "keyturn",
        "sigma",
        "check",
        str(world.home.root / "sigma"),
        "--home",
        str(world.home.root),
        "--json",
    ]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert told["counts"] == {"11111111-1111-4111-8111-111111111111": 2}
