"""What the exec gate sees at one execve, and what it answers."""

from __future__ import annotations

from msgspec import Struct


class FileIdentity(Struct, frozen=True):
    """One file as it was when it was looked at: `path` as the caller named it, resolved in its own root.

    `mtime_ns` and `ctime_ns` are nanoseconds since the epoch; `sha256` is `sha256:<hex>` of the content.
    """

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


class Exec(Struct, frozen=True):
    """One `execve` or `execveat` that waits for an answer, read out of the caller's memory.

    `pid` is the calling thread, `tgid` its process; `path` is what it asked for, absolute; `file` what lies there;
    `interpreter` is set when `file` is a `#!` script (then `script` is `file`, too), with the words that the kernel
    puts in front in `prefix`. `parent` is the process above it; `serial` tells its process from others that had its id
    (`family`). Two with the same `question`, unless that is 0, are the same in everything but `pid`, `tgid`, `parent` and
    `serial`.
    """

    pid: int
    tgid: int
    path: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    file: FileIdentity
    interpreter: FileIdentity | None = None
    script: FileIdentity | None = None
    prefix: tuple[str, ...] = ()
    parent: int = 0
    serial: str = ""
    question: int = 0


class Allow(Struct, frozen=True, tag=True):
    """Run it, if what runs is what was read."""


class Deny(Struct, frozen=True, tag=True):
    """Don't run it: the caller gets EPERM, and *words* on its standard error."""

    words: str = ""


Verdict = Allow | Deny


class Support(Struct, frozen=True):
    """What this kernel offers. `why` says in words what is missing.

    `user_notification`: execs can be made to wait; `verified`: what really runs can be checked before its first
    instruction; `landlock_abi`: 0 where there is none; `namespaces`: user, mount and network ones can be made.
    """

    user_notification: bool
    verified: bool
    landlock_abi: int
    namespaces: bool
    why: tuple[str, ...] = ()


__all__ = ["Allow", "Deny", "Exec", "FileIdentity", "Support", "Verdict"]
