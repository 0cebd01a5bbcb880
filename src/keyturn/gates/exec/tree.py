"""Processes below one process, out of /proc."""

from __future__ import annotations

import os


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


def reap_orphans(root: int, kept: frozenset[int]) -> None:
    """Collect adopted children of *root* that ended, all but *kept*, which somebody waits for."""
    for pid, (parent, state) in parents().items():
        if parent == root and state == "Z" and pid not in kept:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


__all__ = ["descendants", "parents", "reap_orphans"]
