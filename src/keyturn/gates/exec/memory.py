"""Words out of another process's memory, which it can change meanwhile: nothing read here is trusted to be what runs."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from keyturn.gates.exec.files import Unreadable

MAX_WORDS_BYTES = 2 * 1024 * 1024
"""Most bytes of words and variables that are read; the kernel's own limit for most systems (execve(2))."""
MAX_WORDS = 65_536
MAX_PATH = 4_096
_BLOCK = 4_096
_IOVEC = struct.calcsize("2N")

_vm_readv = ctypes.CDLL(None, use_errno=True).process_vm_readv
_vm_readv.restype = ctypes.c_ssize_t
_vm_readv.argtypes = (
    ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
)  # fmt: skip


class Pieces:
    """Room for places in another process's memory, as process_vm_readv(2) wants them: address and length each."""

    def __init__(self, count: int) -> None:
        self._room = ctypes.create_string_buffer(_IOVEC * count)
        self.address = ctypes.addressof(self._room)

    def put(self, *numbers: int) -> None:
        """Addresses and lengths, in turns."""
        struct.pack_into(f"{len(numbers)}N", self._room, 0, *numbers)


class Window:
    """A buffer that other processes' memory is read into, one call each time. For one thread."""

    def __init__(self, size: int) -> None:
        self._room = ctypes.create_string_buffer(size)
        self.view = memoryview(self._room).cast("B")
        self._local = ctypes.create_string_buffer(_IOVEC)
        struct.pack_into("2N", self._local, 0, ctypes.addressof(self._room), size)
        self._address = ctypes.addressof(self._local)

    def read(self, process: int, pieces: Pieces, count: int) -> int:
        """How many bytes of the first *count* of *pieces* could be read, in their order, into `view`; -1 for none."""
        return int(_vm_readv(process, self._address, 1, pieces.address, count, 0))


def text(memory: int, address: int, limit: int) -> bytes:
    """The NUL-terminated bytes at *address*."""
    found = b""
    while len(found) <= limit:
        piece = _pread(memory, _BLOCK - (address + len(found)) % _BLOCK, address + len(found))
        end = piece.find(b"\0")
        if end >= 0:
            return found + piece[:end]
        found += piece
    raise Unreadable(errno.ENAMETOOLONG if limit == MAX_PATH else errno.E2BIG)


def _pread(memory: int, size: int, address: int) -> bytes:
    try:
        piece = os.pread(memory, size, address)
    except (OSError, OverflowError) as error:
        raise Unreadable(errno.EFAULT) from error
    if not piece:
        raise Unreadable(errno.EFAULT)
    return piece


def strings(memory: int, address: int, wide: bool) -> list[bytes]:
    """The strings of a NULL-terminated array; blocks of memory are read once."""
    if not address:
        return []
    pointers = _pointers(memory, address, wide)
    blocks: dict[int, bytes] = {}
    found: list[bytes] = []
    left = MAX_WORDS_BYTES
    for pointer in pointers:
        at, pieces = pointer, []
        while True:
            start = at - at % _BLOCK
            block = blocks.get(start)
            if block is None:
                block = blocks[start] = _pread(memory, _BLOCK, start)
            end = block.find(b"\0", at - start)
            if end >= 0:
                pieces.append(block[at - start : end])
                break
            if len(block) < _BLOCK:
                raise Unreadable(errno.EFAULT)
            pieces.append(block[at - start :])
            left -= len(pieces[-1])
            at = start + _BLOCK
            if left < 0:
                raise Unreadable(errno.E2BIG)
        found.append(b"".join(pieces))
        left -= len(pieces[-1])
        if left < 0:
            raise Unreadable(errno.E2BIG)
    return found


def _pointers(memory: int, address: int, wide: bool) -> list[int]:
    size, code = (8, "Q") if wide else (4, "I")
    pointers: list[int] = []
    while len(pointers) <= MAX_WORDS:
        whole = max(size, (_BLOCK - address % _BLOCK) // size * size)
        piece = _pread(memory, whole, address)
        count = len(piece) // size
        if not count:
            raise Unreadable(errno.EFAULT)
        for pointer in struct.unpack(f"<{count}{code}", piece[: count * size]):
            if not pointer:
                return pointers
            pointers.append(pointer)
        address += count * size
    raise Unreadable(errno.E2BIG)


__all__ = ["MAX_PATH", "Pieces", "Window", "strings", "text"]
