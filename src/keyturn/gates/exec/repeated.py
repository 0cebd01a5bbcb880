"""Execs that were read before, word for word: known again by their bytes, without taking them apart.

A shortcut for speed. What it rests on, each kept by a test that fails without it:

- Every byte is read again: path, words and variables are fetched from where the caller says that they are. Nothing is taken for
  granted because it was so the last time. With other words, the program alone is known; then words and variables are taken apart.
- The folder is asked for again; the file at the path must still be the same, with its size and times. (That looks from the
  outside, so it may see another file than the kernel will. Then what is loaded is another file than was asked for,
  and that is what `loaded` kills for: this look only spares a changed program that end.)
- Only plain cases: execve(2) of x86-64 by a process's first thread, of a 64-bit program that is no script, at a path that
  doesn't lead through /proc or /dev, whose meaning depends on who asks. All else is read in full.
- What is not there is an error at once, told by the kernel in the caller's own root: who looks along PATH tries many.
"""

from __future__ import annotations

import errno
import itertools
import os

from msgspec import Struct
from msgspec.structs import replace

from keyturn.gates.exec import family, tracee
from keyturn.gates.exec.files import Files, Unreadable
from keyturn.gates.exec.filter import ARCH_X86_64
from keyturn.gates.exec.memory import Reader, Words
from keyturn.gates.exec.model import Exec, FileIdentity
from keyturn.gates.exec.tracee import Asked

KEPT = 2_048
"""How many execs are known again; more than that and all are forgotten."""
MAX_BYTES = 32 * 1024
"""Larger ones are read in full each time, so that what is kept stays small."""
_EXECVE = 59


class _Program(Struct, frozen=True):
    """What a path means in a folder: the file there, and what was asked for with it."""

    path: str
    file: FileIdentity
    asked: dict[Words, Asked]


class Repeated:
    """Reads what is asked for, and remembers it. For one thread."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._reader = Reader()
        self._programs: dict[tuple[bytes, str], _Program] = {}
        self._paths: set[bytes] = set()
        self._count = 0
        self._questions = itertools.count(1)

    def read(self, notification: tuple[int, ...]) -> Asked:
        """The exec that *notification* stands for. Raises `Unreadable`."""
        thread, words = notification[1], None
        if notification[3] == _EXECVE and notification[4] == ARCH_X86_64:
            words = self._reader.read(thread, *notification[6:9])
        if words is None:
            return tracee.read(notification, self._files)
        if words.given not in self._paths:
            _must_be_there(thread, words.given)
        return self._known(thread, words) or self._learn(tracee.read(notification, self._files, words), words)

    def _known(self, thread: int, words: Words) -> Asked | None:
        """What *words* ask for, if their program is known in that folder; else None."""
        try:
            cwd = os.readlink(f"/proc/{thread}/cwd")
            program = self._programs.get((words.given, cwd))
            if program is None or not _still(thread, program):
                return None
            parent, serial = family.parent_and_serial(thread)
        except OSError:
            return None
        same = program.asked.get(words)
        if same is None:
            same = self._keep(program, _taken_apart(program, cwd, words), words)
        seen = same.exec
        now = Exec(
            thread, thread, seen.path, seen.argv, seen.environment, cwd, seen.file, None, None, (), parent, serial,
            seen.question,
        )  # fmt: skip
        return Asked(now, same.words, same.variables, same.counts, same.native, same.plain)

    def _learn(self, asked: Asked, words: Words) -> Asked:
        """Remember *asked*, which was read in full; it is given back with its question's number."""
        seen = asked.exec
        if not asked.plain or seen.pid != seen.tgid:
            return asked
        program = _Program(seen.path, seen.file, {})
        self._programs[words.given, seen.cwd] = program
        self._paths.add(words.given)
        return self._keep(program, asked, words)

    def _keep(self, program: _Program, asked: Asked, words: Words) -> Asked:
        if len(words.content) > MAX_BYTES:
            return asked
        asked = replace(asked, exec=replace(asked.exec, question=next(self._questions)))
        self._count += 1
        if self._count > KEPT:
            self._count = 0
            self._programs.clear()
            self._paths.clear()
        program.asked[words] = asked
        return asked


def _taken_apart(program: _Program, cwd: str, words: Words) -> Asked:
    """*program* with other words. Raises `Unreadable`."""
    count = words.counts[0]
    pieces = words.content.split(b"\0", count)
    variables = pieces.pop()
    before = words.content[: len(words.content) - len(variables)]
    seen = Exec(
        0, 0, program.path, tracee.texts(before), tracee.variables_of(variables), cwd, program.file
    )  # fmt: skip
    return Asked(seen, before, variables, words.counts, native=True, plain=True)


def _must_be_there(thread: int, given: bytes) -> None:
    """Raises `Unreadable` where the absolute path *given* leads nowhere."""
    if not given.startswith(b"/") or given.startswith((b"/proc/", b"/dev/")):
        return
    try:
        there = tracee.is_there(thread, given)
    except OSError:
        return  # that is told by who reads it in full
    if not there:
        raise Unreadable(errno.ENOENT)


def _still(thread: int, program: _Program) -> bool:
    """Whether the file at the path of *program* is the same to *thread*. Raises `OSError`."""
    now, file = os.stat(f"/proc/{thread}/root{program.path}"), program.file
    return (
        now.st_ino == file.inode
        and now.st_dev == file.device
        and now.st_size == file.size
        and now.st_mtime_ns == file.mtime_ns
        and now.st_ctime_ns == file.ctime_ns
    )


__all__ = ["Repeated"]
