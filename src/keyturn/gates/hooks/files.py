"""Bounded reads of an agent's files. A path comes from the agent: it is read only if its user could read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MAX_FILE = 4 * 1024 * 1024
"""Largest file whose bytes are digested and diffed."""


@contextmanager
def _opened(path: str, uid: int) -> Iterator[tuple[int, os.stat_result] | None]:
    """A descriptor of the regular file at *path*, or None. Never blocks on a device or a pipe."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode) or path.startswith("/proc/"):  # noqa: PTH116
            yield None  # opening alone already does something to some devices
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        yield None
        return
    try:
        status = os.fstat(descriptor)
        yield (descriptor, status) if stat.S_ISREG(status.st_mode) and may_read(status, uid) else None
    finally:
        os.close(descriptor)


def may_read(status: os.stat_result, uid: int) -> bool:
    """Whether user *uid* can be expected to read it: the server must not read for somebody what they may not."""
    return uid in (0, os.geteuid(), status.st_uid) or bool(status.st_mode & stat.S_IROTH)


def content(path: str, uid: int, limit: int = MAX_FILE) -> bytes | None:
    """The bytes of the file at *path*, or None: no such file, not a regular one, too large or not theirs to read."""
    with _opened(path, uid) as found:
        if found is None or found[1].st_size > limit:
            return None
        with suppress(OSError), os.fdopen(os.dup(found[0]), "rb") as source:
            data = source.read(limit + 1)
            return data if len(data) <= limit else None
    return None


def tail(path: str, uid: int, size: int) -> bytes:
    """The last *size* bytes of the file at *path*, from the first whole line on; empty when it can't be read."""
    with _opened(path, uid) as found:
        if found is None:
            return b""
        start = max(0, found[1].st_size - size)
        try:
            data = os.pread(found[0], size, start)
        except OSError:
            return b""
    return data if start == 0 else data.partition(b"\n")[2]
