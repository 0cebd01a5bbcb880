"""Files that would run, as they are when they are looked at: identity and digest."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import OrderedDict

from keyturn.gates.exec.model import FileIdentity

MAX_HASHED = 1024 * 1024 * 1024
"""A larger program is not read, and so not run."""


class Unreadable(Exception):
    """What it asks for can't be told. `error` is the errno that the kernel would give, or EPERM with words."""

    def __init__(self, error: int, words: str = "") -> None:
        super().__init__(words or os.strerror(error))
        self.error = error
        self.words = words


class Files:
    """Identities of files, with digests kept by (device, inode, size, times)."""

    def __init__(self, size: int = 4_096) -> None:
        self._digests: OrderedDict[tuple[int, int, int, int, int], tuple[str, bytes]] = OrderedDict()
        self._size = size

    def look(self, fd: int, path: str) -> tuple[FileIdentity, bytes]:
        """The file behind the O_PATH descriptor *fd*, and its first bytes. Raises `Unreadable`."""
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
            raise Unreadable(errno.EACCES)
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._digests.get(key)
        if known is None:
            known = self._read(fd, status)
            self._digests[key] = known
            if len(self._digests) > self._size:
                self._digests.popitem(last=False)
        return FileIdentity(path, *key, known[0]), known[1]

    def _read(self, fd: int, before: os.stat_result) -> tuple[str, bytes]:
        if before.st_size > MAX_HASHED:
            raise Unreadable(errno.EPERM, "the program is too large to be read")
        try:
            readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unreadable(errno.EPERM, f"the program can't be read ({error.strerror})") from error
        try:
            head = os.pread(readable, 256, 0)
            with os.fdopen(os.dup(readable), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(readable)
        finally:
            os.close(readable)
        if (after.st_size, after.st_mtime_ns, after.st_ctime_ns) != (
            before.st_size,
            before.st_mtime_ns,
            before.st_ctime_ns,
        ):
            raise Unreadable(errno.EPERM, "the program was changed while it was read")
        return f"sha256:{digest}", head


__all__ = ["Files", "Unreadable"]
