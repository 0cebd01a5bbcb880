"""The files that a command would run: looked into before anyone decides, and digested into the action (promise 4).

They are looked for again when an approved command is claimed, so an approval for old bytes doesn't let new bytes run.
What changes them after that, only a gate that stands where programs start can see.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from keyturn import readers
from keyturn.actions import Action
from keyturn.gates.hooks.files import may_read
from keyturn.gates.hooks.links import followed, may_be_followed
from keyturn.resources import CodeFile, Surroundings

MAX_FILES = 64
"""Most files that are looked into for one command."""

MAX_ROUNDS = 5
"""Deepest chain of scripts that run scripts which is looked into."""

MAX_TEXT = 1024 * 1024
"""Largest file that is given to the readers; a larger one is only digested."""

MAX_DIGESTED = 64 * 1024 * 1024
"""Largest file that is digested. Whoever runs a larger one is asked every time."""

MAX_ALL = 4 * MAX_DIGESTED
"""Most bytes that are digested for one command."""

_BLOCK = 1024 * 1024

Opener = Callable[[str], int]
"""A descriptor to read what an absolute path names, never waiting. Raises `FileNotFoundError` for nothing, else `OSError`."""


class Looked(Struct, frozen=True):
    """An action with what it executes, and where it would run as far as this machine can tell."""

    action: Action
    around: Surroundings


def looked_into(action: Action, around: Surroundings, uid: int, opened: Opener | None = None) -> Looked:
    """*action* with the digests of the files that it would run, *around* with their contents and with links followed.

    With *opened* that opens the files, for a process that sees others under the same names. Opens what user *uid*
    could read; never raises for what is there, and never waits for a pipe or device.
    """
    around = followed(action, around)
    found: dict[str, CodeFile] = {}
    left = MAX_ALL
    for _ in range(MAX_ROUNDS):
        seen = replace(around, contents=tuple(found.values())) if found else around
        wanted = [
            path for path in readers.code_files(readers.read(action.content, seen)) if path not in found
        ]
        if not wanted:
            break
        for path in wanted[: MAX_FILES - len(found)]:
            found[path], size = looked_at(path, uid, min(left, MAX_DIGESTED), opened)
            left -= size
    if not found:
        return Looked(action, around)
    contents = tuple(found[path] for path in sorted(found))
    executes = {file.path: file.digest for file in contents if file.digest}
    around = followed(action, replace(around, contents=contents))
    return Looked(replace(action, executes=executes), around)


def looks_nowhere(action: Action, around: Surroundings) -> bool:
    """Whether `looked_into` has nothing to look at for *action*, so that it says the same whatever lies on the disk."""
    reading = readers.read(action.content, around)
    return not readers.code_files(reading) and not may_be_followed(reading)


def changed(executes: dict[str, str], uid: int) -> list[str]:
    """Which of the files in *executes* are no longer what they were, sorted."""
    paths: Iterable[str] = sorted(executes)
    return [path for path in paths if looked_at(path, uid, MAX_DIGESTED)[0].digest != executes[path]]


def looked_at(path: str, uid: int, limit: int, opened: Opener | None = None) -> tuple[CodeFile, int]:
    """The file at *path* and how many bytes were digested; at most *limit*."""
    try:
        descriptor = opened(path) if opened else _opened(path)
    except FileNotFoundError:
        return CodeFile(path, why="doesn't exist", missing=True), 0
    except _Special as what:
        return CodeFile(path, why=str(what)), 0
    except (OSError, ValueError):
        return CodeFile(path, why="can't be opened, so it can't be digested"), 0
    try:
        return _digested(path, descriptor, uid, limit)
    except OSError:
        return CodeFile(path, why="can't be read, so it can't be digested"), 0
    finally:
        os.close(descriptor)


class _Special(Exception):
    """What lies there is no file that stays as it was read."""


def _opened(path: str) -> int:
    real = os.path.realpath(path)
    if not os.path.lexists(real):
        raise FileNotFoundError(path)
    if not stat.S_ISREG(os.lstat(real).st_mode):
        raise _Special("is no regular file")
    if real.startswith("/proc/"):
        raise _Special("is made up by the system as it is read")
    return os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW)


def _digested(path: str, descriptor: int, uid: int, limit: int) -> tuple[CodeFile, int]:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        return CodeFile(path, why="is no regular file"), 0
    if not may_read(before, uid):
        return CodeFile(path, why="is not for this user to read"), 0
    if before.st_size > limit:
        return CodeFile(path, why=f"has {before.st_size:,} bytes, too many to be digested"), 0
    digest, data, size = hashlib.sha256(), bytearray(), 0
    while block := os.read(descriptor, _BLOCK):
        digest.update(block)
        size += len(block)
        if size <= MAX_TEXT:
            data += block
        if size > limit:
            return CodeFile(path, why="grows while it is read"), size
    after = os.fstat(descriptor)
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        return CodeFile(path, why="changes while it is read"), size
    # A file with a second name can be changed under that name, which the readers don't know; so it is not read.
    text = _text(bytes(data)) if size <= MAX_TEXT and after.st_nlink == 1 else None
    return CodeFile(path, f"sha256:{digest.hexdigest()}", text), size


def _text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


__all__ = [
    "MAX_DIGESTED",
    "MAX_FILES",
    "MAX_TEXT",
    "Looked",
    "changed",
    "looked_at",
    "looked_into",
    "looks_nowhere",
]
