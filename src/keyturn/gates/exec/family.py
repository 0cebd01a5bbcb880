"""Who a process comes from, and when it began: process ids are used again, a pair of both is not."""

from __future__ import annotations

import os
from collections.abc import Iterator

MAX_ABOVE = 256
"""Most processes above one that are looked at."""


def parent_and_birth(process: int) -> tuple[int, str]:
    """The parent of *process* and when it was started (proc_pid_stat(5), fields 4 and 22). Raises `OSError`."""
    fd = os.open(f"/proc/{process}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(fd, 1_024)
    finally:
        os.close(fd)
    fields = text[text.rindex(b")") + 2 :].split(None, 20)
    return int(fields[1]), fields[19].decode()


def born(process: int) -> str:
    """When *process* was started, empty when there is none."""
    try:
        return parent_and_birth(process)[1]
    except OSError:
        return ""


def above(process: int) -> Iterator[tuple[int, str]]:
    """*process* and what is above it, nearest first, up to us: each with when it was started."""
    own = os.getpid()
    for _ in range(MAX_ABOVE):
        if process <= 1 or process == own:
            return
        try:
            parent, birth = parent_and_birth(process)
        except OSError:
            return
        yield process, birth
        process = parent


def same_program(one: int, other: int) -> bool:
    """Whether two processes run the same file (proc(5), `exe`): a fork that has executed nothing yet runs its parent's."""
    try:
        return os.path.samestat(os.stat(f"/proc/{one}/exe"), os.stat(f"/proc/{other}/exe"))
    except OSError:
        return False


__all__ = ["above", "born", "parent_and_birth", "same_program"]
