"""The nine queries over a made-up past, on sealed segments' Parquet files, with the memory and threads that a home gives them.

`make bench-analytics` asks 1 and 10 million actions; `KEYTURN_BENCH_MILLIONS=1,10,100` others. Every size is asked in a
process of its own, so that its memory is its own; the best of two runs counts. The floor of a query is counting the rows. Beside the time
that passed stands the processors' time: where it is much less than twice the other, something else ran on the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.analytics_events import BASE, SINCE, UNTIL, make

if TYPE_CHECKING:
    from keyturn.store.analytics.engine import Analytics

MILLIONS = os.environ.get("KEYTURN_BENCH_MILLIONS", "1,10")
BUDGET_SECONDS, BUDGET_BYTES = 10.0, 500_000_000
PERIODS = {"mix": SINCE, "first_seen": SINCE, "reconciled": SINCE}
"""The last day, compared with the 89 before it; the others are asked of all 90."""
Row = dict[str, Any]


def run() -> list[Row]:
    """All figures."""
    rows: list[Row] = []
    for millions in (float(text) for text in MILLIONS.split(",")):
        folder = Path(
            tempfile.mkdtemp(prefix=".bench-analytics-", dir=os.environ.get("KEYTURN_BENCH_DIR", "."))
        )
        try:
            started = time.perf_counter()
            parts = make(folder, int(millions * 1e6))
            wrote = time.perf_counter() - started
            size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
            command = [sys.executable, "-m", "benchmarks.bench_analytics", str(folder), *map(str, parts)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        rows += figures(millions, found, wrote, size)
    return rows


def figures(millions: float, found: dict[str, Any], wrote: float, size: int) -> list[Row]:
    """The rows of one size; only 10 million has a budget."""
    label, promised = f"{millions:g} M", millions == 10
    total = sum(found["seconds"].values())
    rows = [
        _row(f"{label}: {name}", seconds, "s", found["floor"]) for name, seconds in found["seconds"].items()
    ]
    rows.append(
        _row(f"{label}: nine queries", total, "s", found["floor"], BUDGET_SECONDS if promised else None)
    )
    rows.append(
        _row(f"{label}: nine queries, processor time of both threads", sum(found["cpu"].values()), "s", None)
    )
    rows.append(
        _row(
            f"{label}: most memory",
            found["memory"] / 1e6,
            "MB",
            None,
            BUDGET_BYTES / 1e6 if promised else None,
        )
    )
    rows.append(_row(f"{label}: files", size / 1e6, "MB", None))
    rows.append(
        _row(f"{label}: checking the files against their seals (SHA-256)", found["digest"], "s", None)
    )
    rows.append(_row(f"{label}: making them up", wrote, "s", None))
    return rows


def _row(name: str, value: float, unit: str, floor: float | None, budget: float | None = None) -> Row:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "floor": None if floor is None else round(floor, 3),
        "budget": budget,
        "within": budget is None or value <= budget,
    }


def ask(work: Path, parts: list[Path]) -> dict[str, Any]:
    """The best of two runs of each query, and the most memory that this process ever took."""
    from keyturn.store.analytics.engine import over
    from keyturn.store.analytics.queries import NAMES
    from keyturn.store.analytics.segments import file_digest

    with over(parts, 0, work) as database:
        floor = database.select("select count(*), max(entry) from action").seconds
        seconds, cpu = {}, {}
        for name in NAMES:
            given = (
                {"session": "s_1234"}
                if name == "session"
                else {"since": PERIODS.get(name, BASE), "until": UNTIL}
            )
            runs = [_timed(database, name, given) for _ in range(2)]
            seconds[name], cpu[name] = (min(run[part] for run in runs) for part in (0, 1))
    memory = most_memory()
    started = time.perf_counter()
    for path in work.rglob("*.parquet"):
        file_digest(path)
    checking = time.perf_counter() - started
    return {"seconds": seconds, "cpu": cpu, "memory": memory, "floor": floor, "digest": checking}


def _timed(database: Analytics, name: str, given: dict[str, Any]) -> tuple[float, float]:
    """(seconds that passed, seconds of all processors) of one query."""
    began = time.process_time()
    seconds = database.ask(name, **given).seconds
    return seconds, time.process_time() - began


def most_memory() -> int:
    """The most that this process held, in bytes; `getrusage` would count what it was forked from, too."""
    text = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:"))) * 1024


if __name__ == "__main__":
    print(json.dumps(ask(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])))
