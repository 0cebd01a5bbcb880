"""A supervised tree for tests, in a process of its own, so that what the gate does to its process stays there."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from keyturn.gates.exec.supervisor import support

needs_gate = pytest.mark.skipif(
    not support().verified, reason=f"this kernel has no exec gate: {'; '.join(support().why)}"
)
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

RUNNER = """
import json, os, sys
from keyturn.gates.exec.supervisor import Supervisor
from keyturn.gates.exec.model import Allow, Deny
wanted = json.loads(sys.argv[1])
seen = []
killed = []
def decide(asked, answer):
    if wanted["swap"] and wanted["swap"][0] in asked.path:
        exec(wanted["swap"][1])
    seen.append([asked.path, list(asked.argv), asked.environment.get("LD_PRELOAD", "")])
    if any(part in asked.path for part in wanted["refuse"]) or any(
        part in word for part in wanted["refuse_words"] for word in asked.argv
    ):
        return Deny("not this one")
    return Allow()
if not wanted["landlock"]:
    from keyturn.gates.exec import kernel
    kernel.landlock_abi = lambda: 0
if not wanted["looks"]:
    from keyturn.gates.exec import aimed
    aimed.names_supervisor = lambda caller, target: False
if wanted["user"] is not None:
    os.setgroups([]); os.setgid(wanted["user"]); os.setuid(wanted["user"])
supervisor = Supervisor(decide, only_continue=wanted["only_continue"], killed=lambda e, why: killed.append(why))
child = supervisor.start(wanted["argv"], dict(os.environ), wanted["cwd"])
code = child.wait()
supervisor.kill_tree()
print(json.dumps({"code": code, "seen": seen, "killed": killed, "alive": os.getpid()}), file=sys.stderr)
"""


class Outcome:
    """What came of a run: exit code, standard output, what was said, each exec seen, and why any was killed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.out = done.stdout
        *said, last = done.stderr.rstrip("\n").split("\n")
        try:
            told = json.loads(last)
        except ValueError:
            raise AssertionError(f"the supervisor died: {done.returncode} {done.stderr}") from None
        self.said = "\n".join(said)
        self.code: int = told["code"]
        self.paths: list[str] = [path for path, _, _ in told["seen"]]
        self.argvs: list[list[str]] = [argv for _, argv, _ in told["seen"]]
        self.preloads: list[str] = [preload for _, _, preload in told["seen"]]
        self.killed: list[str] = told["killed"]


def run(
    argv: list[str],
    cwd: Path,
    *,
    refuse: tuple[str, ...] = (),
    refuse_words: tuple[str, ...] = (),
    only_continue: bool = False,
    user: int | None = None,
    landlock: bool = True,
    looks: bool = True,
    swap: tuple[str, str] | None = None,
    timeout: float = 120,
    variables: dict[str, str] | None = None,
) -> Outcome:
    """Run *argv* under the gate; execs whose path or words have a part out of *refuse* or *refuse_words* are denied.

    *swap*: a part of a path, and Python that is run while the decision about it is made. Without *landlock* it is as on a
    kernel that has none; without *looks* signals are not looked at.
    """
    wanted = {
        "argv": argv, "cwd": str(cwd), "refuse": refuse, "refuse_words": refuse_words, "only_continue": only_continue,
        "user": user, "landlock": landlock, "looks": looks, "swap": swap,
    }  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(variables or {})}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(wanted)],
        capture_output=True, text=True, timeout=timeout, env=environment, check=False, start_new_session=True,
    )  # fmt: skip
    return Outcome(done)


def compiled(source: str, folder: Path, name: str, *flags: str) -> Path:
    """A C program."""
    (folder / f"{name}.c").write_text(source)
    subprocess.run(
        ["gcc", "-O1", "-o", name, f"{name}.c", *flags], cwd=folder, check=True, capture_output=True
    )
    return folder / name


def scripted(
    code: str, *, before: tuple[str, ...] = (), words: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run Python *code* that has a supervisor of its own; it ends within a minute, or fails in words."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [*before, sys.executable, "-c", code, *words],
        capture_output=True, text=True, env=environment, timeout=120, check=False, start_new_session=True,
    )  # fmt: skip


def told(stream: IO[str], seconds: float = 30) -> str:
    """The next line of a process's output; a process that says nothing in time fails the test."""
    assert select.select([stream], [], [], seconds)[0], "nothing was said in time"
    return stream.readline()
