"""The kill switch: from `keyturn session stop` to the last process gone, for a tree that scattered.

Floor: SIGKILL to every process of the same tree without a gate, by somebody who knows them all.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROCESSES = 200
TURNS = 5
READY_SECONDS = 60
BUDGET_SECONDS = 2.0
KEYTURN = [sys.executable, "-m", "keyturn"]
TREE = f"""
import os, signal
r, w = os.pipe()
def stay():
    os.write(w, b"%d\\n" % os.getpid())
    while True: signal.pause()
for number in range({PROCESSES - 1}):
    if os.fork() == 0:
        if number % 3:
            os.setsid()
        if number % 3 == 2 and os.fork():
            os._exit(0)
        stay()
told = open(r)
pids = [int(told.readline()) for _ in range({PROCESSES - 1})]
with open("next", "w") as file:
    file.write(" ".join(map(str, [os.getpid(), *pids])) + " " + os.environ.get("KEYTURN_SESSION", "-"))
os.rename("next", "tree")
while True: signal.pause()
"""


def run() -> list[dict[str, Any]]:
    """One row: seconds of the whole stop, the command's own start included. Raises `RuntimeError` if any survive."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-stop-"))
    (folder / "tree.py").write_text(TREE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    environment["KEYTURN_HOME"] = str(folder / "home")
    told = {"env": environment, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = None
    try:
        subprocess.run([*KEYTURN, "init", "--person", "dana"], check=True, **told)
        serve = [*KEYTURN, "serve", "--port", "0", "--json"]
        server = subprocess.Popen(serve, **{**told, "stdout": subprocess.PIPE})
        assert server.stdout is not None
        server.stdout.readline()
        stopped: list[float] = []
        floors: list[float] = []
        tree = [sys.executable, "-IS", "tree.py"]
        for _ in range(TURNS):
            floors.append(_turn(tree, folder, told, None))
            stopped.append(_turn([*KEYTURN, "run", "--agent", "bench", "--", *tree], folder, told, KEYTURN))
    finally:
        if server is not None:
            server.terminate()
            server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
    took, floor = statistics.median(stopped), statistics.median(floors)
    return [
        {
            "name": f"`keyturn session stop` to the last of {PROCESSES} processes gone",
            "value": took,
            "unit": "s",
            "floor": floor,
            "budget": BUDGET_SECONDS,
            "within": took <= BUDGET_SECONDS,
        }
    ]


def _turn(argv: list[str], folder: Path, told: dict[str, Any], keyturn: list[str] | None) -> float:
    """Start the tree, end it, and wait for each process: seconds from the word to the last one gone."""
    process = subprocess.Popen(argv, **told)
    watched: dict[int, int] = {}
    try:
        pids, session = _standing(folder / "tree", process)
        watched = {os.pidfd_open(pid): pid for pid in pids}
        began = time.perf_counter()
        if keyturn:
            stop = [*keyturn, "session", "stop", session, "--reason", "measured"]
            stopping = subprocess.Popen(stop, **told)
        else:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        _gone(watched)
        took = time.perf_counter() - began
        if keyturn and stopping.wait(READY_SECONDS) != 0:
            raise RuntimeError("`keyturn session stop` failed")
        process.wait(READY_SECONDS)
        return took
    finally:
        for fd in watched:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)
        if process.poll() is None:
            process.kill()
            process.wait()


def _standing(path: Path, process: subprocess.Popen[bytes]) -> tuple[list[int], str]:
    """The processes of the tree once all stand, and its session."""
    until = time.monotonic() + READY_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the tree did not come up")
        time.sleep(0.01)
    *pids, session = path.read_text().split()
    path.unlink()
    if len(pids) != PROCESSES:
        raise RuntimeError(f"{len(pids)} processes instead of {PROCESSES}")
    return [int(pid) for pid in pids], session


def _gone(watched: dict[int, int]) -> None:
    """Wait until all have ended."""
    waiting = select.poll()
    for fd in watched:
        waiting.register(fd, select.POLLIN)
    left = set(watched)
    until = time.monotonic() + READY_SECONDS
    while left:
        ended = waiting.poll(max(0.0, until - time.monotonic()) * 1000)
        if not ended:
            raise RuntimeError(f"{len(left)} processes are still there after {READY_SECONDS} s")
        for fd, _ in ended:
            waiting.unregister(fd)
            left.discard(fd)
