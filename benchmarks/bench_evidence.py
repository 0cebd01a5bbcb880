"""Evidence packs of 10,000, 100,000 and 500,000 actions: time and memory to make one and to verify it, and how both grow.

`KEYTURN_BENCH_ACTIONS` (500000 unless told) is the largest. The floor of each is measured in the same run: reading the store's file and
hashing every leaf once, on one core. Memory is that of all processes together, looked at twenty times a second (a process that begins is
found within half a second).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.simulation import evidence_world
from keyturn.evidence import verifier
from keyturn.store import open_store

SIZES = (10_000, 100_000, 500_000)
LARGEST = int(os.environ.get("KEYTURN_BENCH_ACTIONS", str(SIZES[-1])))
SECONDS, MEGABYTES = 60.0, 1_000.0
"""Budgets for 500,000 actions."""
LOOK_SECONDS = 0.05
LOOKS = 10
"""After how many looks processes are looked for again: going through all that the machine has takes milliseconds each time."""
PART = 1 << 20

PACK = """
import functools, pathlib, sys
from benchmarks.simulation.evidence_world import QUARTER, SIGNER, START
from keyturn.evidence.pack import Order, build
from keyturn.store import open_store
if __name__ == "__main__":
    store, out, size = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    order = Order("soc2", START, START + QUARTER, size, "digests")
    build(functools.partial(open_store, store, writer=False), SIGNER.key, out, order, signer=SIGNER)
"""

Row = dict[str, Any]


def run() -> list[Row]:
    """The table."""
    rows: list[Row] = []
    with folder() as base:
        for actions in SIZES:
            if actions <= LARGEST:
                rows += _measured(base, actions)
    return rows


def _measured(base: Path, actions: int) -> list[Row]:
    store, pack = base / f"{actions}.db", base / f"{actions}.zip"
    entries = evidence_world.write(store, actions)
    floor = _floor(store)
    program, verify = base / "build.py", base / "verify.py"
    program.write_text(PACK)
    verify.write_bytes(verifier.text())
    what = f"{actions:,} actions ({entries:,} entries)"
    rows = []
    made = [sys.executable, str(program), str(store), str(pack), str(entries)]
    checked = [sys.executable, "-I", "-S", str(verify), str(pack), "--key", str(evidence_world.SIGNER.key)]
    for name, command in (("pack", made), ("verify", checked)):
        seconds, memory = _run(command)
        within = actions < SIZES[-1]
        rows.append(_row(f"{name}, {what}", seconds, "s", floor, None if within else SECONDS))
        rows.append(
            _row(
                f"{name}, {what}: memory of all processes", memory, "MB", None, None if within else MEGABYTES
            )
        )
    rows.append(
        _row(f"pack, {what}: its size", pack.stat().st_size / 1e6, "MB", store.stat().st_size / 1e6, None)
    )
    store.unlink()
    pack.unlink()
    return rows


def _floor(path: Path) -> float:
    """Seconds to read the store's file, and to hash every leaf."""
    began = time.perf_counter()
    with path.open("rb") as file:
        while file.read(PART):
            pass
    log = open_store(path, writer=False)
    for _, leaf in log.leaves():
        sha256(leaf).digest()
    log.close()
    return time.perf_counter() - began


def _run(command: Sequence[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the most megabytes that it and all it started had together."""
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    began = time.perf_counter()
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    most = [0.0]
    watch = threading.Thread(target=_watched, args=(child, most))
    watch.start()
    said, wrong = child.communicate()
    seconds = time.perf_counter() - began
    watch.join()
    if child.returncode:
        raise RuntimeError(f"{command[1]} ended with {child.returncode}: {(said + wrong).decode()[-2000:]}")
    return seconds, most[0]


def _watched(child: subprocess.Popen[bytes], most: list[float]) -> None:
    known: list[int] = []
    looks = 0
    while child.poll() is None:
        if looks % LOOKS == 0:
            known = list(_session_of(child.pid))
        looks += 1
        most[0] = max(most[0], sum(map(_resident, known)) / 1e6)
        time.sleep(LOOK_SECONDS)  # between two looks, not waiting for anything


def _session_of(leader: int) -> Iterator[int]:
    """Processes of a session."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                yield int(path.name)


def _resident(pid: int) -> int:
    """Bytes of memory of its own that a process has; what it shares with the others is counted once a process that maps it."""
    try:
        for line in (Path("/proc") / str(pid) / "status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _row(name: str, value: float, unit: str, floor: float | None, budget: float | None) -> Row:
    return {
        "name": name, "value": round(value, 3), "unit": unit, "floor": None if floor is None else round(floor, 3), "budget": budget,
        "within": budget is None or value <= budget,
    }  # fmt: skip


@contextmanager
def folder() -> Iterator[Path]:
    """A scratch folder on the same disk as the working tree."""
    with tempfile.TemporaryDirectory(
        prefix=".bench-evidence-", dir=os.environ.get("KEYTURN_BENCH_DIR", ".")
    ) as made:
        yield Path(made)
