"""An exec under `keyturn run`, with its server, policy and ledger: what a remembered allow costs when nothing is left out.

Floor: the same programs started bare, in turns.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TURNS = 5
SPAWNS = 400
RUN_SECONDS = 120
KEYTURN = [sys.executable, "-m", "keyturn"]
TRUE = shutil.which("true") or "/bin/true"
SPAWN = (
    "import os, time\n"
    "times = []\n"
    f"for _ in range({SPAWNS}):\n"
    "    began = time.perf_counter()\n"
    f"    os.waitpid(os.posix_spawn({TRUE!r}, ['true'], os.environ), 0)\n"
    "    times.append(time.perf_counter() - began)\n"
    "open('took', 'w').write(str(sorted(times)[len(times) // 2]))\n"
)


def run() -> list[dict[str, Any]]:
    """One row. Raises `RuntimeError` unless all but the first were remembered."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-run-"))
    (folder / "spawn.py").write_text(SPAWN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    environment["KEYTURN_HOME"] = str(folder / "home")
    told: dict[str, Any] = {"env": environment, "cwd": folder, "stderr": subprocess.DEVNULL}
    server = None
    spawn = [sys.executable, "-IS", "spawn.py"]
    gated: list[float] = []
    bare: list[float] = []
    try:
        subprocess.run([*KEYTURN, "init", "--person", "dana"], check=True, stdout=subprocess.DEVNULL, **told)
        serve = [*KEYTURN, "serve", "--port", "0", "--json"]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, **told)
        assert server.stdout is not None
        server.stdout.readline()
        for _ in range(TURNS):
            bare.append(_took(spawn, folder, told, ""))
            command = [*KEYTURN, "run", "--json", "--agent", "bench", "--", *spawn]
            gated.append(_took(command, folder, told, f'"remembered":{SPAWNS - 1}'))
    finally:
        if server is not None:
            server.terminate()
            server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
    ratio = statistics.median(value / floor for value, floor in zip(gated, bare, strict=True))
    return [
        {
            "name": f"the same under `keyturn run`, server and policy: p50 ({statistics.median(bare) * 1e3:,.3g} ms)",
            "value": ratio,
            "unit": "×",
            "floor": 1.0,
            "budget": 1.5,
            "within": ratio <= 1.5,
        }
    ]


def _took(argv: list[str], folder: Path, told: dict[str, Any], says: str) -> float:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=RUN_SECONDS,
        check=True,
        **told,
    )
    if says not in done.stdout.replace(" ", ""):
        raise RuntimeError(f"the wrong thing was measured: {done.stdout}")
    return float((folder / "took").read_text())
