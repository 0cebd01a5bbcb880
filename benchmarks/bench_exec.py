"""The verified exec gate: what every program of a supervised tree pays, over the same work bare.

Each turn takes all three ways one after the other: bare, under the gate, and answered without a look. The value is the median of
the turns' ratios, so that other work on the machine falls on both sides alike; the floor is the ratio of the last way: what
the kernel's notification costs by itself, with an answer from Python. The name says what bare took, and the ratio of
processor time (the tree's and the supervisor's over the bare tree's), which waits for nobody.

What was tried to make it cheaper (two processors of a virtual machine, much other work beside; processor time of the
supervisor for one exec, median):

| way | before | after |
|---|---|---|
| known again by its bytes, compared on the new stack (`repeated`, `loaded`) instead of taken apart and read from /proc | 234 µs | 182 µs |
| the kernel told that both sides take turns (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`), ratio of one exec | 1.6 × | 1.45 × |
| a line that the server hangs up on (`standing`) and questions with numbers (`remembered`), ratio under `keyturn run` | 2.6 × | 1.7 × |
| strings read by the lengths that they had the last time (`memory`), parent by pidfd (`family`); `make` of true | 205 µs | 170 µs |
| the shortest slices for its thread (`short_slices`), in turns with long ones: one exec, `make` of true | 1.55 ×, 1.77 × | 1.51 ×, 1.68 × |
| a program known by path and folder with other words; what is not there told at once; `make` of gcc | 195 µs | 75 µs |

Not kept: known by the addresses of its words (a caller's heap moves: 399 of 401 were not known, 1,007 of 1,007 under make); all on
one processor by affinity (1.40 × instead of 1.45 ×, but `make -j2` would lose its second one; the supervisor alone on one: no
difference).

What is left, in that time: a half is Python, which is slow because its memory is cold each time that it wakes (41 µs for
reading what is asked for when it is done again and again, 90 µs after a sleep); a third the kernel's for folder, root, parent, and the
program that was loaded, each a file that nobody looked at before, and for the caller's memory; the rest are four turns
between the two sides.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import bench_envelope, bench_run, bench_stop
from keyturn.gates.exec import kernel
from keyturn.gates.exec.model import Allow, Exec, Verdict
from keyturn.gates.exec.supervisor import Supervisor, support

SPAWNS = 200
TURNS = {"spawn": 15, "trues": 9, "objects": 9}
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


class Timed(Supervisor):
    """Tells the processor time of its own thread."""

    used = 0.0

    def _notified(self, listener: kernel.Listener) -> None:
        super()._notified(listener)
        self.used = time.thread_time()


class Unread(Timed):
    """Says "go on" to whatever it is asked, without a look: the least that an answer from Python can cost, and no gate at all."""

    def _notified(self, listener: kernel.Listener) -> None:
        notification = listener.receive()
        if notification is not None:
            listener.answer(notification[0], go_on=True)
        self.used = time.thread_time()


def run() -> list[dict[str, Any]]:
    """Three ratios, each to the same work without the gate. Empty, in words, where the kernel has no verified gate."""
    if not support().verified:
        print(f"  exec: not measured: {'; '.join(support().why)}", file=sys.stderr)
        return []
    print(f"  load at the start {', '.join(f'{one:.1f}' for one in os.getloadavg())}", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-exec-"))
    gate = Remembering()
    ways = Timed(gate), Unread(gate)
    try:
        (folder / "spawn.py").write_text(SPAWN)
        rows = [
            row(
                "verified exec, remembered allow, over fork+exec",
                1.5,
                turns("spawn", ways, [sys.executable, "-IS", "spawn.py"], folder, folder / "took"),
            )
        ]
        if shutil.which("make"):
            (folder / "Makefile").write_text(trues())
            rows.append(
                row("make -j2 of 1,000 × true, over bare", 1.3, turns("trues", ways, make("trues"), folder))
            )
        if shutil.which("make") and shutil.which("gcc"):
            for number in range(40):
                (folder / f"f{number}.c").write_text(
                    f'#include <stdio.h>\nint f{number}(void) {{ return puts("{number}"); }}\n'
                )
            rows.append(
                row(
                    "make -j2 of 40 × gcc -c, over bare", 1.1, turns("objects", ways, make("objects"), folder)
                )
            )
    finally:
        for one in ways:
            one.close()
        shutil.rmtree(folder, ignore_errors=True)
    if not gate.asked:
        raise RuntimeError("the gate saw nothing, so nothing was measured")
    return [*rows, *bench_run.run(), *bench_envelope.run(), *bench_stop.run()]


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


class Turn(NamedTuple):
    """One way's seconds, and its processor seconds: the tree's, and the supervisor's for it."""

    took: float
    used: float


def turns(
    name: str, ways: tuple[Timed, Timed], argv: list[str], folder: Path, told: Path | None = None
) -> list[tuple[Turn, Turn, Turn]]:
    """Bare, gated and unread of each turn, in another order each; *told* is where *argv* writes what it measured itself."""
    found: list[tuple[Turn, Turn, Turn]] = []
    for number in range(TURNS[name] + 1):
        taken: dict[int, Turn] = {}
        for way in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0), (1, 0, 2), (0, 2, 1))[number % 6]:
            taken[way] = turn(ways[way - 1] if way else None, argv, folder, told)
        if number:  # the first turn fills caches on all sides
            found.append((taken[0], taken[1], taken[2]))
    return found


def turn(supervisor: Timed | None, argv: list[str], folder: Path, told: Path | None) -> Turn:
    """*argv* once, bare or under *supervisor*."""
    own, tree = supervisor.used if supervisor else 0.0, children()
    began = time.perf_counter()
    if supervisor is None:
        subprocess.run(argv, cwd=folder, check=True)
    elif supervisor.start(argv, dict(os.environ), str(folder)).wait() != 0:
        raise RuntimeError(f"{argv[0]} failed under the gate")
    took = time.perf_counter() - began
    used = children() - tree + (supervisor.used - own if supervisor else 0.0)
    return Turn(float(told.read_text()) if told else took, used)


def children() -> float:
    """Processor seconds of all that ended and was waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(name: str, budget: float, taken: list[tuple[Turn, Turn, Turn]]) -> dict[str, Any]:
    """The median of the turns' ratios; its floor is that of the answer without a look."""
    ratio, floor = (statistics.median(one[way].took / one[0].took for one in taken) for way in (1, 2))
    used = statistics.median(one[1].used / one[0].used for one in taken)
    bare = statistics.median(one[0].took for one in taken)
    return {
        "name": f"{name} ({bare * 1e3:,.3g} ms; processor {used:.2f} ×)",
        "value": ratio,
        "unit": "×",
        "floor": floor,
        "budget": budget,
        "within": ratio <= budget,
    }
