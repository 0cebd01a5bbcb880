"""Words to a process of the tree, on its own standard error."""

from __future__ import annotations

import os
import re
import select

from keyturn.gates.exec import kernel

_STEERS = re.compile("[\x00-\x1f\x7f-\x9f]")
"""Characters that steer a terminal or begin a line of their own: an agent's words are among what is said."""


def _shown(found: re.Match[str]) -> str:
    return f"‹U+{ord(found.group()):04X}›"


def ready(fd: int, events: int, milliseconds: int | None = 0) -> bool:
    """Whether *fd* is ready for *events*; waits without end if *milliseconds* is None. Any descriptor, also past 1,023."""
    one = select.poll()
    one.register(fd, events)
    return any(found & events for _, found in one.poll(milliseconds))


def say(process: int, words: str) -> None:
    """Write *words* to the standard error of *process*, if that can be done without waiting."""
    line = os.fsencode(f"keyturn: {_STEERS.sub(_shown, words)}\n")
    try:
        fd = kernel.borrow_fd(process, 2)
    except OSError:
        try:
            fd = os.open(
                f"/proc/{process}/fd/2",
                os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
            )
        except OSError:
            return
    try:
        if ready(fd, select.POLLOUT):
            os.write(fd, line)
    except OSError:
        pass
    finally:
        os.close(fd)


__all__ = ["ready", "say"]
