"""The hook process: what every action of a hooked client pays. Floor: the bare interpreter in the same run."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from keyturn.cli.init import create
from keyturn.demo.story import serving
from keyturn.gates.hooks import client
from keyturn.home import Home

ROUNDS = 60


def run() -> list[dict[str, Any]]:
    """One row: the median hook call over the median bare start, taken in turns."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-"))
    try:
        home = Home(folder / "home")
        create(home, "dana", "", "enforce")
        bare, hook, answered = [], [], 0
        with serving(home):
            for _ in range(ROUNDS):
                bare.append(timed([sys.executable, "-I", "-S", "-c", "pass"], b"", folder)[0])
                seconds, said = timed(command(home), payload(folder), folder)
                hook.append(seconds)
                answered += b'"allow"' in said
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if answered != ROUNDS:
        raise RuntimeError(f"only {answered} of {ROUNDS} hook calls were allowed")
    floor, value = statistics.median(bare) * 1e3, statistics.median(hook) * 1e3
    return [
        {
            "name": "hook client process, an allowed action, durable: p50",
            "value": value,
            "unit": "ms",
            "floor": floor,
            "budget": 1.6 * floor,
            "within": value <= 1.6 * floor,
        }
    ]


def command(home: Home) -> list[str]:
    """The hook as it is installed."""
    return [
        sys.executable,
        "-I",
        "-S",
        str(client.__file__),
        "claude-code",
        "PreToolUse",
        str(home.gate_socket),
    ]


def payload(folder: Path) -> bytes:
    """What Claude Code sends."""
    call = {
        "session_id": "bench",
        "cwd": str(folder),
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "ls"},
    }
    return json.dumps(call).encode()


def timed(argv: list[str], given: bytes, folder: Path) -> tuple[float, bytes]:
    """Seconds of one process, and what it said."""
    began = time.perf_counter()
    ran = subprocess.run(argv, input=given, capture_output=True, cwd=folder, check=False)
    return time.perf_counter() - began, ran.stdout
