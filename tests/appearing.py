"""Files that another process makes: waiting for one, without a clock."""

from __future__ import annotations

import ctypes
import fnmatch
import os
import struct
from pathlib import Path

MADE = 0x100 | 0x80
"""IN_CREATE, IN_MOVED_TO (inotify(7))."""
_HEAD = struct.Struct("iIII")


class Appearing:
    """Watches *folder* from when it is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_CLOEXEC)
        if self._libc.inotify_add_watch(self._handle, os.fsencode(folder), MADE) < 0:
            raise OSError(ctypes.get_errno(), f"{folder} can't be watched")

    def wait(self, pattern: str) -> Path:
        """Return once there is a file of that name, with its path."""
        while True:
            for one in self._folder.iterdir():
                if fnmatch.fnmatchcase(one.name, pattern):
                    return one
            os.read(self._handle, _HEAD.size + 65536)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._handle)
