"""Calls that name another process, where the filter alone can't tell whether that is the supervisor.

The filter refuses what names the supervisor's process or group. Its other threads have ids too, which come and go, and
kill(2), tkill(2), sigqueue(3) and prlimit(2) take those as well. So `prlimit` of another process always waits for a look, and
where there is no Landlock that keeps signals inside the tree (ABI 6), each signal does. What is named is a register's value,
which no other thread of the caller can change, so that "continue" is safe here.
"""

from __future__ import annotations

import os


def names_supervisor(caller: int, target: int) -> bool:
    """Whether *target*, the first argument of *caller*'s call (unsigned), means us, one of our threads, or our group."""
    number = target & 0xFFFFFFFF
    number -= 1 << 32 if number & 0x80000000 else 0
    try:
        if number == 0:
            return os.getpgid(caller) == os.getpgrp()
        if number < 0:
            return -number in (1, os.getpid(), os.getpgrp())
        return number == os.getpid() or os.path.exists(f"/proc/self/task/{number}")
    except OSError:
        return True  # who can't be looked at is not let through


__all__ = ["names_supervisor"]
