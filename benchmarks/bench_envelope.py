"""The envelope: what a command pays for its walls, in milliseconds over the same command bare, in turns, in the same run."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from keyturn.gates.exec import confinement
from keyturn.gates.exec.envelope import envelope
from keyturn.gates.exec.kernel import support
from keyturn.gates.exec.model import Allow
from keyturn.gates.exec.supervisor import Supervisor
from keyturn.gates.exec.survey import survey
from keyturn.policy.engine import load
from keyturn.policy.folder import STARTER
from keyturn.policy.profiles import Profiles
from keyturn.resources import Surroundings

TURNS = 60
FILES = 2_000
BUDGET_MS = 40.0
"""What a person doesn't notice before a command; bubblewrap alone takes 4 to 5."""


def run() -> list[dict[str, Any]]:
    """Milliseconds over bare for each profile, and for the look at a workspace. Empty, in words, where there is no envelope."""
    if lack := confinement.missing(support()):
        print(f"  envelope: not measured: {lack}", file=sys.stderr)
        return []
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-envelope-")).resolve()
    try:
        workspace(folder)
        return measured(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def workspace(folder: Path) -> None:
    """A repository with files in folders, and a few secrets."""
    for number in range(FILES):
        path = folder / f"d{number % 40}" / f"f{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (folder / ".env").write_text("x")
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)


def measured(folder: Path) -> list[dict[str, Any]]:
    """The rows."""
    labels = tuple(one for one in load(STARTER).labels if one.name in Profiles().mask)
    around = Surroundings(cwd=str(folder), workspace=str(folder), home=str(Path.home()))
    times: dict[str, list[float]] = {}

    def took(name: str, began: float) -> None:
        times.setdefault(name, []).append((time.perf_counter() - began) * 1e3)

    for turn in range(TURNS + 2):
        if turn == 2:  # the first turns fill caches on all sides
            times.clear()
        began = time.perf_counter()
        subprocess.run(["/bin/true"], cwd=folder, check=True)
        took("bare", began)
        supervised(folder, None, took, "supervised")
        for profile in (Profiles().get("read-only"), Profiles().get("workspace")):
            assert profile is not None
            began = time.perf_counter()
            seen = survey(profile, labels, around, ())
            took(f"look {profile.name}", began)
            supervised(folder, envelope(profile, seen), took, profile.name)
    floor = statistics.median(times["bare"])
    gate = statistics.median(times["supervised"])
    rows = []
    for profile in ("read-only", "workspace"):
        over = statistics.median(times[profile]) - floor
        name = f"envelope {profile}: one command over bare (the gate alone: {gate - floor:.2f} ms)"
        rows.append(row(name, over, floor))
    look = statistics.median(times["look workspace"])
    rows.append(row(f"envelope: the look at a workspace of {FILES:,} files", look, floor))
    return rows


def supervised(folder: Path, whole: Any, took: Any, name: str) -> None:
    """One command under the gate, in *whole* if there is one."""
    supervisor = Supervisor(lambda _asked, _answer: Allow())
    try:
        build = confinement.builder(whole) if whole else None
        began = time.perf_counter()
        code = supervisor.start(["/bin/true"], {"PATH": os.defpath}, str(folder), envelope=build).wait()
        took(name, began)
    finally:
        supervisor.close()
    if code:
        raise RuntimeError(f"the command failed in {name}")


def row(name: str, value: float, floor: float) -> dict[str, Any]:
    """Milliseconds; the floor is the bare command's."""
    return {
        "name": name, "value": value, "unit": "ms", "floor": floor, "budget": BUDGET_MS, "within": value <= BUDGET_MS,
    }  # fmt: skip


__all__ = ["run"]
