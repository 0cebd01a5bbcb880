"""The verified exec gate: what every program of a supervised tree pays. Floor: the same work bare, in turns, in the same run.

What was tried to make it cheaper (two processors of a virtual machine, other work beside; processor time of the supervisor
where all share one processor, ratio of the medians where told):

| way | before | after |
|---|---|---|
| known again by its bytes, compared on the new stack (`repeated`, `loaded`) instead of taken apart and read from /proc | 234 µs | 182 µs |
| the kernel told that both sides take turns (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`) | 1.6 × | 1.45 × |
| a line that the server hangs up on (`standing`) and questions with numbers (`remembered`), under `keyturn run` | 2.6 × | 1.7 × |

`make -j2` of 1,000 × true went from 1.85 × to between 1.36 × and 1.56 × in turns beside other work: both processors are busy
bare, so each of the supervisor's microseconds counts.

Not kept: known by the addresses of its words (a caller's heap moves: 399 of 401 were not known); all on one processor by
affinity (1.40 × instead of 1.45 ×, but `make -j2` would lose its second one).

What is left is mostly the kernel's: four turns between the two sides, and five files of /proc that each cost 10 to 20 µs for
a process that was not looked at before (folder, root, parent and birth of the process and of the one above, what was loaded).
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import bench_envelope, bench_run, bench_stop
from keyturn.gates.exec import kernel
from keyturn.gates.exec.model import Allow, Exec, Verdict
from keyturn.gates.exec.supervisor import Supervisor, support

SPAWNS = 400
TURNS = 7
TRUE = shutil.which("true") or "/bin/true"
SPAWN = (
    "import os, time\n"
    "times = []\n"
    f"for _ in range({SPAWNS}):\n"
    "    began = time.perf_counter()\n"
    f"    os.waitpid(os.posix_spawn({TRUE!r}, ['true'], {{'PATH': '/usr/bin:/bin'}}), 0)\n"
    "    times.append(time.perf_counter() - began)\n"
    "times.sort()\n"
    "open('took', 'w').write(str(times[len(times) // 2]))\n"
)


class Remembering:
    """Allows everything, and looks the second time as a gate does: by the question's number, by the whole question where it has none."""

    def __init__(self) -> None:
        self.known: set[object] = set()
        self.asked = 0

    def __call__(self, asked: Exec, _answer: Callable[[Verdict], None]) -> Verdict:
        self.asked += 1
        if not (asked.question and asked.question in self.known):
            self.known.add(
                asked.question
                or (asked.file, asked.interpreter, asked.argv, asked.cwd, tuple(asked.environment.items()))
            )
        return Allow()


class Unread(Supervisor):
    """Says "go on" to whatever it is asked, without a look: the least that an answer from Python can cost, and no gate at all."""

    def _notified(self, listener: kernel.Listener) -> None:
        notification = listener.receive()
        if notification is not None:
            listener.answer(notification[0], go_on=True)


def run() -> list[dict[str, Any]]:
    """Three ratios, each to the same work without the gate. Empty, in words, where the kernel has no verified gate."""
    if not support().verified:
        print(f"  exec: not measured: {'; '.join(support().why)}", file=sys.stderr)
        return []
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-exec-"))
    gate = Remembering()
    supervisor, unread = Supervisor(gate), Unread(gate)
    try:
        (folder / "spawn.py").write_text(SPAWN)
        spawn = [sys.executable, "-IS", "spawn.py"]
        rows = [
            row(
                "verified exec with a remembered allow, over bare fork+exec: p50",
                1.5,
                *turns(supervisor, spawn, folder, lambda: float((folder / "took").read_text())),
            )
        ]
        if shutil.which("make"):
            (folder / "Makefile").write_text(trues())
            rows.append(
                row("make -j2 of 1,000 × true, over bare", 1.3, *turns(supervisor, make("trues"), folder))
            )
            rows.append(row("the same, answered without a look", 1.3, *turns(unread, make("trues"), folder)))
        if shutil.which("make") and shutil.which("gcc"):
            for number in range(40):
                (folder / f"f{number}.c").write_text(
                    f'#include <stdio.h>\nint f{number}(void) {{ return puts("{number}"); }}\n'
                )
            rows.append(
                row("make -j2 of 40 × gcc -c, over bare", 1.1, *turns(supervisor, make("objects"), folder))
            )
            rows.append(
                row("the same, answered without a look", 1.1, *turns(unread, make("objects"), folder))
            )
    finally:
        for one in (supervisor, unread):
            one.close()
        shutil.rmtree(folder, ignore_errors=True)
    if not gate.asked:
        raise RuntimeError("the gate saw nothing, so nothing was measured")
    print(f"  load {', '.join(f'{one:.1f}' for one in os.getloadavg())}", file=sys.stderr)
    return [*rows[:1], *bench_run.run(), *rows[1:], *bench_envelope.run(), *bench_stop.run()]


def trues() -> str:
    """Targets that make starts without a shell, and files to compile."""
    names = " ".join(f"t{number}" for number in range(1000))
    files = " ".join(f"f{number}.o" for number in range(40))
    return (
        f".PHONY: trues {names} {files}\ntrues: {names}\n{names}:\n\t@{TRUE}\n"
        f"objects: {files}\n{files}: %.o:\n\t@gcc -c -o $@ $*.c\n"
    )


def make(target: str) -> list[str]:
    """One run of *target* on two cores."""
    return [shutil.which("make") or "make", "-j2", "-s", target]


def turns(
    supervisor: Supervisor, argv: list[str], folder: Path, told: Callable[[], float] | None = None
) -> tuple[float, float]:
    """Median seconds of *argv* under the gate and bare, taken in turns; *told* reads what it measured itself."""
    bare: list[float] = []
    gated: list[float] = []
    for turn in range(TURNS + 1):
        began = time.perf_counter()
        subprocess.run(argv, cwd=folder, check=True)
        floor = told() if told else time.perf_counter() - began
        began = time.perf_counter()
        if supervisor.start(argv, dict(os.environ), str(folder)).wait() != 0:
            raise RuntimeError(f"{argv[0]} failed under the gate")
        value = told() if told else time.perf_counter() - began
        if turn:  # the first turn fills caches on both sides
            bare.append(floor)
            gated.append(value)
    return statistics.median(gated), statistics.median(bare)


def row(name: str, budget: float, value: float, floor: float) -> dict[str, Any]:
    """A ratio. Its floor is 1: the bare work, whose milliseconds are in the name."""
    ratio = value / floor
    return {
        "name": f"{name} ({floor * 1e3:,.3g} ms)",
        "value": ratio,
        "unit": "×",
        "floor": 1.0,
        "budget": budget,
        "within": ratio <= budget,
    }
