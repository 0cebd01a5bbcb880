"""Files that another process makes and writes: waiting for them, without a clock."""

from __future__ import annotations

import ctypes
import fnmatch
import os
import struct
from collections.abc import Callable
from pathlib import Path

CHANGED = 0x100 | 0x80 | 0x2
"""IN_CREATE, IN_MOVED_TO, IN_MODIFY (inotify(7))."""
_HEAD = struct.Struct("iIII")


class Appearing:
    """Watches *folder* from when it is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_CLOEXEC)
        if self._libc.inotify_add_watch(self._handle, os.fsencode(folder), CHANGED) < 0:
            raise OSError(ctypes.get_errno(), f"{folder} can't be watched")

    def wait(self, pattern: str) -> Path:
        """Return once there is a file of that name, with its path."""
        while True:
            for one in self._folder.iterdir():
                if fnmatch.fnmatchcase(one.name, pattern):
                    return one
            os.read(self._handle, _HEAD.size + 65536)

    def until(self, holds: Callable[[], bool]) -> None:
        """Return once *holds* says so; it is asked again after each change in the folder."""
        while not holds():
            os.read(self._handle, _HEAD.size + 65536)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._handle)
