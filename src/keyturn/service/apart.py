"""Commands that a server runs in a process of their own, with less right to the processor: no gate waits for them.

Such a process never outlives its server: one that is told to stop ends it, and one that is killed leaves a closed pipe, which ends it too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

PROGRAM = "keyturn.cli.apart"
"""What runs a command and watches its standard input."""

Apart = subprocess.Popen[bytes]


def start(command: Sequence[str], *, out: IO[bytes] | int = subprocess.DEVNULL) -> Apart:
    """`keyturn COMMAND`, in a session of its own. Raises `OSError`."""
    return subprocess.Popen(
        ["nice", "-n", "15", sys.executable, "-m", PROGRAM, *command],
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def close(process: Apart) -> None:
    """Its end is known, or it is ended with everything that it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


__all__ = ["PROGRAM", "Apart", "close", "start"]
