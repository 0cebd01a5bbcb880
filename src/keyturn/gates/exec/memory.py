"""Words out of another process's memory, which it can change meanwhile: nothing read here is trusted to be what runs."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from itertools import accumulate
from operator import itemgetter

from msgspec import Struct

from keyturn.gates.exec.files import Unreadable

MAX_WORDS_BYTES = 2 * 1024 * 1024
"""Most bytes of words and variables that are read; the kernel's own limit for most systems (execve(2))."""
MAX_WORDS = 65_536
MAX_PATH = 4_096
_BLOCK = 4_096
_NULL = bytes(8)
_PATH, _POINTERS, _PAGES = 512, 1_024, 64
"""Most bytes of a path and of a list of addresses, and most pages of words, that `Reader` looks at."""
_LAYOUTS, _LAYOUT_BYTES = 512, 32 * 1024
"""How many layouts are kept, and how much text may lie in one."""
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
        self._forms = [struct.Struct(f"{2 * one}N") for one in range(count + 1)]

    def put(self, *numbers: int) -> None:
        """Addresses and lengths, in turns."""
        self._forms[len(numbers) // 2].pack_into(self._room, 0, *numbers)


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


class Words(Struct, frozen=True):
    """What an execve(2) names: the path, and the words and variables as they lie behind each other, each with its NUL."""

    given: bytes
    counts: tuple[int, int]
    content: bytes

    def split(self) -> tuple[list[bytes], list[bytes]]:
        """The words and the variables."""
        pieces = self.content.split(b"\0")
        return pieces[: self.counts[0]], pieces[self.counts[0] : -1]


class _Layout:
    """How long the words and variables were that were read last, for a path and a number of each."""

    def __init__(self, words: Words, strings: list[bytes]) -> None:
        self.words = words
        self.lengths = [len(one) for one in strings]
        self._ends = itemgetter(*(end - 1 for end in accumulate(self.lengths)), -1)

    def fits(self, data: bytes) -> bool:
        """Whether *data* is strings of just these lengths."""
        return data.count(b"\0") == len(self.lengths) and not any(self._ends(data))


class Reader:
    """Reads in two calls what most execs name: all that lies in few pages. Its buffers are used again: for one thread.

    Most differ little from the one before: of each string, first just as many bytes are read as it had then. Measured with
    37 variables, done again and again: 26 µs instead of 38 µs.
    """

    def __init__(self) -> None:
        self._first = Window(_PATH + 2 * _POINTERS)
        self._places = Pieces(3)
        self._window = Window(_PAGES * _BLOCK)
        self._pages = Pieces(_PAGES)
        self._strings_of = Pieces(2 * _POINTERS // 8)
        self._layouts: dict[tuple[bytes, int, int], _Layout] = {}

    def read(self, thread: int, path: int, words: int, variables: int) -> Words | None:
        """What lies at these addresses; None where it lies so that it is better read in another way."""
        in_path = min(_PATH, _BLOCK - path % _BLOCK)
        in_words = min(_POINTERS, _BLOCK - words % _BLOCK)
        in_variables = min(_POINTERS, _BLOCK - variables % _BLOCK)
        size = in_path + in_words + in_variables
        try:
            self._places.put(path, in_path, words, in_words, variables, in_variables)
            if self._first.read(thread, self._places, 3) != size:
                return None
            data = self._first.view[:size].tobytes()
            given = data[: data.index(b"\0", 0, in_path)]
            first = _until_null(data, in_path, in_words)
            addresses = first + _until_null(data, in_path + in_words, in_variables)
            if not first:
                return None
            key = (given, len(first), len(addresses))
            layout = self._layouts.get(key)
            found = self._as_before(thread, addresses, layout) if layout is not None else None
            return found or self._anew(thread, addresses, key)
        except (ValueError, IndexError, struct.error):
            return None

    def _as_before(self, thread: int, addresses: tuple[int, ...], layout: _Layout) -> Words | None:
        """What lies at *addresses*, if each string there has the length of *layout*."""
        count = len(addresses)
        numbers = [0] * (2 * count)
        numbers[::2] = addresses
        numbers[1::2] = layout.lengths
        self._strings_of.put(*numbers)
        before = layout.words
        size = len(before.content)
        if self._window.read(thread, self._strings_of, count) != size:
            return None
        data = self._window.view[:size].tobytes()
        if data == before.content:
            return before
        return Words(before.given, before.counts, data) if layout.fits(data) else None

    def _anew(self, thread: int, addresses: tuple[int, ...], key: tuple[bytes, int, int]) -> Words | None:
        strings = self._strings(thread, addresses)
        if strings is None:
            return None
        words = Words(key[0], (key[1], key[2] - key[1]), b"".join(strings))
        if len(words.content) <= _LAYOUT_BYTES:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = _Layout(words, strings)
        return words

    def _strings(self, thread: int, addresses: tuple[int, ...]) -> list[bytes] | None:
        """What lies at each of *addresses* up to its NUL; their pages are read in one call."""
        pages = sorted({address // _BLOCK for address in addresses})
        if len(pages) > _PAGES:
            return None
        size = len(pages) * _BLOCK
        numbers: list[int] = []
        # From an address to its place in the buffer; the same for pages that follow each other, so that a string may go on.
        shift: dict[int, int] = {}
        for page in pages:
            shift[page] = (len(shift) - page) * _BLOCK
            numbers += (page * _BLOCK, _BLOCK)
        self._pages.put(*numbers)
        if self._window.read(thread, self._pages, len(pages)) != size:
            return None
        data = self._window.view[:size].tobytes()
        found = []
        for address in addresses:
            at = address + shift[address // _BLOCK]
            end = data.index(b"\0", at) + 1
            if at // _BLOCK != (end - 1) // _BLOCK and not _goes_on(shift, address, end - at):
                return None
            found.append(data[at:end])
        return found


def _goes_on(shift: dict[int, int], address: int, size: int) -> bool:
    """Whether the pages behind that of *address* were read, too, as far as a string of *size* bytes goes."""
    first, last = address // _BLOCK, (address + size - 1) // _BLOCK
    return all(shift.get(page) == shift[first] for page in range(first + 1, last + 1))


def _until_null(data: bytes, begin: int, size: int) -> tuple[int, ...]:
    """The addresses from *begin* up to the one that is 0. Raises `ValueError` where there is none in *size* bytes."""
    end = begin
    while data[end : end + 8] != _NULL:
        # The first eight zeros may begin in the upper half of an address.
        end = begin + (data.index(_NULL, end + 1, begin + size) - begin + 7) // 8 * 8
    return struct.unpack_from(f"<{(end - begin) // 8}Q", data, begin)


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


__all__ = ["MAX_PATH", "Pieces", "Reader", "Window", "Words", "strings", "text"]
