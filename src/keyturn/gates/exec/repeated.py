"""Execs that were read before, word for word: known again by their bytes, without taking them apart.

A shortcut for speed. What it rests on, each kept by a test that fails without it:

- Every byte is read again: path, words and variables are fetched from where the caller says that they are, and are the same
  as those that were taken apart. Nothing is taken for granted because it was so the last time.
- The folder is asked for again; the file at the path must still be the same, with its size and times. (That looks from the
  outside, so it may see another file than the kernel will. Then what is loaded is another file than was asked for,
  and that is what `loaded` kills for: this look only spares a changed program that end.)
- Only plain cases: execve(2) of x86-64 by a process's first thread, of a 64-bit program that is no script, at a path that
  doesn't lead through /proc or /dev, whose meaning depends on who asks. All else is read in full.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections import OrderedDict

from msgspec.structs import replace

from keyturn.gates.exec import family, kernel
from keyturn.gates.exec.filter import ARCH_X86_64
from keyturn.gates.exec.memory import Pieces, Window
from keyturn.gates.exec.model import Exec
from keyturn.gates.exec.tracee import Asked

KEPT = 2_048
"""How many execs are known again; the least recently seen is forgotten first."""
MAX_BYTES = 32 * 1024
"""Larger ones are read in full each time, so that what is kept stays small."""
_EXECVE = 59
_PAGE = 4_096
_NULL = bytes(8)
_PATH, _POINTERS, _PAGES = 512, 1_024, 64
"""Most bytes of a path and of a list of addresses, and most pages of words, that are looked at here."""

_Bytes = tuple[bytes, int, bytes]
"""The path, the number of words, and words and variables as they lie behind each other: nothing else is asked for."""


class Repeated:
    """Remembers what was read in full. For one thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Bytes, Asked] = OrderedDict()
        self._questions = itertools.count(1)
        self._addresses = Window(_PATH + 2 * _POINTERS)
        self._at = Pieces(3)
        self._window = Window(_PAGES * _PAGE)
        self._pages = Pieces(_PAGES)

    def again(self, notification: tuple[int, ...]) -> Asked | None:
        """The exec that *notification* stands for, if the same was read before; else None. Never raises."""
        thread = notification[1]
        if notification[3] != _EXECVE or notification[4] != ARCH_X86_64 or not kernel.is_process(thread):
            return None
        try:
            key = self._read(thread, *notification[6:9])
            kept = self._kept.get(key) if key is not None else None
            if key is None or kept is None or not _still(thread, kept.exec):
                return None
            parent, birth = family.parent_and_birth(thread)
        except (OSError, OverflowError, ValueError, IndexError, struct.error):
            return None
        self._kept.move_to_end(key)
        seen = replace(kept.exec, pid=thread, tgid=thread, parent=parent, born=birth)
        return replace(kept, exec=seen)

    def learn(self, asked: Asked) -> Asked:
        """Remember *asked*, which was read in full; it is given back with its question's number."""
        seen = asked.exec
        if not asked.plain or not seen.argv or len(asked.words) + len(asked.variables) > MAX_BYTES:
            return asked
        asked = replace(asked, exec=replace(seen, question=next(self._questions)))
        self._kept[(asked.given, asked.counts[0], asked.words + asked.variables)] = asked
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return asked

    def _read(self, thread: int, path: int, words: int, variables: int) -> _Bytes | None:
        """All bytes of the question; None where they lie so that they are better read in full. Raises as `again` catches."""
        sizes = [
            min(most, _PAGE - address % _PAGE)
            for most, address in ((_PATH, path), (_POINTERS, words), (_POINTERS, variables))
        ]
        self._at.put(path, sizes[0], words, sizes[1], variables, sizes[2])
        if self._addresses.read(thread, self._at, 3) != sum(sizes):
            return None
        data = bytes(self._addresses.view[: sum(sizes)])
        given = data[: data.index(b"\0", 0, sizes[0])]
        first = _until_null(data, sizes[0], sizes[1])
        addresses = first + _until_null(data, sizes[0] + sizes[1], sizes[2])
        content = self._strings(thread, addresses) if first else None
        return None if content is None else (given, len(first), content)

    def _strings(self, thread: int, addresses: tuple[int, ...]) -> bytes | None:
        """What lies at each of *addresses* up to its NUL, one behind the other; their pages are read in one call."""
        pages = sorted({address // _PAGE for address in addresses})
        if len(pages) > _PAGES:
            return None
        size = len(pages) * _PAGE
        self._pages.put(*(number for page in pages for number in (page * _PAGE, _PAGE)))
        if self._window.read(thread, self._pages, len(pages)) != size:
            return None
        # From an address to its place in the buffer; the same for pages that follow each other, so that a string may go on.
        # One that goes on in a page that was not read gets another one's bytes: then it is another question, not known; and
        # if somebody arranged that it is known, `loaded` kills what was loaded for it.
        shift = {page: (index - page) * _PAGE for index, page in enumerate(pages)}
        data = bytes(self._window.view[:size])
        return b"".join([data[(at := a + shift[a // _PAGE]) : data.index(b"\0", at) + 1] for a in addresses])


def _until_null(data: bytes, begin: int, size: int) -> tuple[int, ...]:
    """The addresses from *begin* up to the one that is 0. Raises `ValueError` where there is none in *size* bytes."""
    end = begin
    while data[end : end + 8] != _NULL:
        # The first eight zeros may begin in the upper half of an address.
        end = begin + (data.index(_NULL, end + 1, begin + size) - begin + 7) // 8 * 8
    return struct.unpack_from(f"<{(end - begin) // 8}Q", data, begin)


def _still(thread: int, seen: Exec) -> bool:
    """Whether *thread* is in the folder of *seen*, and the file at its path is the same. Raises `OSError`."""
    if os.readlink(f"/proc/{thread}/cwd") != seen.cwd:
        return False
    now, file = os.stat(f"/proc/{thread}/root{seen.path}"), seen.file
    return (
        now.st_ino == file.inode
        and now.st_dev == file.device
        and now.st_size == file.size
        and now.st_mtime_ns == file.mtime_ns
        and now.st_ctime_ns == file.ctime_ns
    )


__all__ = ["Repeated"]
