"""Processes below one process, out of /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable


def parents() -> dict[int, tuple[int, str]]:
    """Each process's parent and state, as proc_pid_stat(5) gives them."""
    found: dict[int, tuple[int, str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    rest = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            found[int(name)] = (int(rest[1]), rest[0].decode())
    return found


def descendants(root: int, known: dict[int, tuple[int, str]] | None = None) -> set[int]:
    """All living processes below *root*, without zombies."""
    known = parents() if known is None else known
    below: dict[int, list[int]] = {}
    for pid, (parent, _) in known.items():
        below.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        for pid in below.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return {pid for pid in found if known[pid][1] not in ("Z", "X")}


def kill_all(alive: Callable[[], set[int]]) -> set[int]:
    """Kill what *alive* gives until it gives nothing any more; all that were killed.

    Members appear while others die, so it is asked again and again; nothing tells when the last of them is gone.
    """
    ended: set[int] = set()
    while found := alive():
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
        time.sleep(0.001)  # what was killed needs a moment to be gone
    return ended


def reap_orphans(root: int, kept: frozenset[int]) -> None:
    """Collect adopted children of *root* that ended, all but *kept*, which somebody waits for."""
    for pid, (parent, state) in parents().items():
        if parent == root and state == "Z" and pid not in kept:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


__all__ = ["descendants", "kill_all", "parents", "reap_orphans"]
