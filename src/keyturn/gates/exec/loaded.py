"""What the kernel has loaded into a process that stopped before its first instruction, compared with what was asked."""

from __future__ import annotations

import os
import struct
from functools import lru_cache

from keyturn.gates.exec import kernel
from keyturn.gates.exec.memory import Pieces, Window
from keyturn.gates.exec.model import Exec, FileIdentity
from keyturn.gates.exec.tracee import MAGIC, Asked

_CONTENT = 65_536
_STACK_BYTES = 256 * 1024
"""Larger words and variables are compared through /proc."""
_GAP = 16 * 1024
"""More than lies between the addresses and the strings: auxiliary vector, random bytes, at most 8 KiB of nothing."""


class Loaded:
    """Compares. Its buffer is used again: for one thread."""

    def __init__(self) -> None:
        self._stack = Window(_STACK_BYTES)
        self._place = Pieces(1)

    def mismatch(self, asked: Asked) -> str:
        """Why what the kernel has loaded into the stopped process is not what was *asked*; empty if it is."""
        wanted = asked.exec
        try:
            status = os.stat(f"/proc/{wanted.tgid}/exe")
            if wanted.script is not None and _changed(wanted):
                return "its script was changed"
            if not _is(status, wanted.interpreter or wanted.file):
                return "another program was loaded"
            if asked.native and self._is_on_the_stack(asked):
                return ""
            words, variables = (_content(f"/proc/{wanted.tgid}/{name}") for name in ("cmdline", "environ"))
        except OSError as error:
            return f"what was loaded can't be looked at ({error.strerror})"
        except Exception as fault:  # a fault of the gate's own is a no, too
            return f"what was loaded could not be compared ({type(fault).__name__})"
        if words != asked.words:
            return "its words were changed"
        return "its variables were changed" if variables != asked.variables else ""

    def _is_on_the_stack(self, asked: Asked) -> bool:
        """Whether exactly the words and variables *asked* for lie where the kernel put them for a new program.

        The stack pointer is at their count; then come the words' addresses and a 0, the variables' addresses and a 0; the
        strings themselves lie above, words then variables, without a gap (x86-64 psABI 3.4.1; binfmt_elf.c,
        create_elf_tables). No instruction of the program has run, so all of this is still the kernel's. Counts and bytes
        together leave one reading only: the bytes alone would not say which word is the first variable. False also where
        it can't be told: then /proc is asked.
        """
        words, variables = asked.counts
        table = words + variables + 3
        size = 8 * table + _GAP + len(asked.words) + len(asked.variables)
        if size > _STACK_BYTES:
            return False
        at = kernel.stack_pointer(asked.exec.tgid)
        self._place.put(at, size)
        got = self._stack.read(asked.exec.tgid, self._place, 1)
        if got < 8 * table:
            return False
        numbers = _table(table).unpack_from(self._stack.view)
        if numbers[0] != words or numbers.count(0) != 2 or numbers[words + 1] or numbers[-1]:
            return False
        begin = numbers[1] - at
        content = asked.words + asked.variables
        end = begin + len(content)
        return begin > 0 and end <= got and self._stack.view[begin:end] == content


@lru_cache(maxsize=256)
def _table(size: int) -> struct.Struct:
    return struct.Struct(f"<{size}Q")


def _content(path: str) -> bytes:
    """All of a file in /proc; without a buffer, because every exec pays for it twice."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(fd, _CONTENT):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def _is(status: os.stat_result, file: FileIdentity) -> bool:
    return (
        status.st_ino == file.inode
        and status.st_dev == file.device
        and status.st_size == file.size
        and status.st_mtime_ns == file.mtime_ns
        and status.st_ctime_ns == file.ctime_ns
    )


def _changed(asked: Exec) -> bool:
    """Whether the script is no longer the file that was read."""
    script = asked.script
    assert script is not None
    root = os.open(f"/proc/{asked.tgid}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        fd = (
            os.open(script.path, os.O_PATH)
            if MAGIC.fullmatch(script.path)
            else kernel.open_in_root(root, script.path)
        )
    finally:
        os.close(root)
    try:
        return not _is(os.fstat(fd), script)
    finally:
        os.close(fd)


__all__ = ["Loaded"]
