"""Layer 3 alone: with nothing that reads commands in front of it, the envelope keeps hostile ones from having their effect.

Counts are printed (`pytest -s`): how many of the same commands have the effect bare, which is the control.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from keyturn.gates.exec.confinement import missing
from keyturn.gates.exec.kernel import landlock_abi, support

HERE = Path(__file__).parent
HOSTILE: dict[str, list[str]] = tomllib.loads((HERE / "envelope_hostile.toml").read_text("utf-8"))
HARMLESS: dict[str, list[str]] = tomllib.loads((HERE / "envelope_harmless.toml").read_text("utf-8"))

PROTECTED = (
    ".git/config",
    ".git/hooks",
    ".github",
    ".vscode",
    ".claude",
    ".mcp.json",
    ".envrc",
    ".env",
    "second-name",
)
NOT_WALLED_BEFORE_ABI_6 = ("kill", "pkill", "abstract", "ABSTRACT")

pytestmark = [
    pytest.mark.skipif(bool(missing(support())), reason=f"no envelope on this kernel: {missing(support())}"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
    pytest.mark.slow,
    pytest.mark.timeout(800),
]


def ran(runs: list[tuple[str, list[str]]], user: int = 0) -> list[list[dict[str, Any]]]:
    """What each command did in each of its profiles."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(HERE / "hostile_world.py")],
        input=json.dumps({"runs": runs, "user": user}),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return list(json.loads(done.stdout))


def out_of_grant(profile: str, changes: list[str]) -> list[str]:
    """The changed paths that *profile* does not let be changed."""
    if profile != "workspace":
        return changes
    fixed = tuple(f"work/{path}" for path in PROTECTED)
    return [
        path for path in changes if not path.startswith("work") or path in fixed or path.startswith(tuple(f"{one}/" for one in fixed))
    ]  # fmt: skip


def effects(profile: str, did: dict[str, Any]) -> list[str]:
    """What it did that *profile* is there to prevent."""
    kinds = [kind for kind in ("reads", "leaves") if did[kind]]
    kinds += ["executes"] if did["executes"] and profile == "read-only" else []
    return kinds + out_of_grant(profile, did["changes"])


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_commands_have_no_effect_in_the_envelope_and_have_it_bare(kind: str) -> None:
    _hostile({kind: HOSTILE[kind]}, 0, 0.85)


def test_an_ordinary_user_is_kept_just_as_well() -> None:
    if os.getuid():
        pytest.skip("this is an ordinary user already: the other tests are this one")
    _hostile({kind: commands[::6] for kind, commands in HOSTILE.items()}, 65534, 0.75)


def _hostile(chosen: dict[str, list[str]], user: int, share: float) -> None:
    listed = [(kind, command) for kind, commands in chosen.items() for command in commands]
    # Whoever may change the workspace may also execute what lies there: that profile promises nothing about it. What hides
    # a secret is the same in both.
    both = ("changes", "leaves")
    runs = [
        (
            command,
            [
                "read-only",
                *(["workspace"] if kind in both or (number % 4 == 0 and kind == "reads") else []),
                "bare",
            ],
        )
        for number, (kind, command) in enumerate(listed)
    ]
    escaped: list[tuple[str, str, list[str]]] = []
    had = 0
    for (kind, command), outcomes in zip(listed, ran(runs, user), strict=True):
        *confined, bare = outcomes
        had += bool(bare[kind])
        for profile, did in zip(("read-only", "workspace"), confined, strict=False):
            if landlock_abi() < 6 and any(word in command for word in NOT_WALLED_BEFORE_ABI_6):
                continue  # `confinement.standing` says that this is open there
            if found := effects(profile, did):
                escaped.append((profile, command, found))
    print(
        f"{', '.join(chosen)}: {len(listed)} commands, {had} have the effect bare, {len(escaped)} in the envelope"
    )
    assert not escaped
    assert had >= share * len(listed), "the control: bare, most of them do it"


def test_there_are_enough_of_them() -> None:
    commands = [command for section in HOSTILE.values() for command in section]
    assert len(commands) == len(set(commands)) >= 200
    assert sum(map(len, HARMLESS.values())) >= 60


@pytest.mark.parametrize(("section", "profile"), [("reading", "read-only"), ("working", "workspace")])
def test_harmless_commands_end_the_same(section: str, profile: str) -> None:
    commands = HARMLESS[section]
    differ = []
    for command, (confined, bare) in zip(
        commands, ran([(one, [profile, "bare"]) for one in commands]), strict=True
    ):
        if (confined["code"], confined["shown"]) != (bare["code"], bare["shown"]):
            differ.append(
                (command, confined["code"], confined["shown"][-200:], bare["code"], bare["shown"][-200:])
            )
    print(f"{section}: {len(commands)} commands, {len(differ)} end otherwise in the envelope")
    assert not differ
