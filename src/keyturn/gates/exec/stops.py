"""Waiting for the stop that a seized thread makes at the end of its exec (ptrace(2))."""

from __future__ import annotations

import os
import signal
import time

from keyturn.gates.exec import kernel

_LOADING_SECONDS = 10.0
"""How long the kernel may take to load a program; then it is killed."""


def first(thread: int, process: int) -> tuple[int, int] | None:
    """The first stop of the seized *thread*, which is *process* after an exec. None if it ended."""
    if thread == process:
        try:
            pid, status = os.waitpid(thread, kernel.WALL)
        except ChildProcessError:
            return None
        return (pid, status) if os.WIFSTOPPED(status) else None
    until = time.monotonic() + _LOADING_SECONDS
    while time.monotonic() < until:
        for candidate in (thread, process):
            try:
                pid, status = os.waitpid(candidate, kernel.WALL | os.WNOHANG)
            except ChildProcessError:
                continue
            if pid and os.WIFSTOPPED(status):
                return pid, status
        if not os.path.exists(f"/proc/{process}"):
            return None
        os.sched_yield()
    os.kill(process, signal.SIGKILL)
    collect(process)
    return None


def collect(process: int) -> None:
    """Take note of the end of a killed tracee: its parent hears of it only after its tracer did (ptrace(2))."""
    try:
        while os.WIFSTOPPED(os.waitpid(process, kernel.WALL)[1]):
            kernel.detach(process)
    except ChildProcessError:
        pass


def let_go(thread: int) -> None:
    """Detach from a thread whose call is over already."""
    try:
        os.waitpid(thread, kernel.WALL)
    except ChildProcessError:
        return
    kernel.detach(thread)


__all__ = ["collect", "first", "let_go"]
