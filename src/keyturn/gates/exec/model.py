"""What the exec gate reads of an `execve`, and what may be answered. Data only; importable on every platform."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class FileIdentity(msgspec.Struct, frozen=True):
    """A file as it was when the exec was asked about.

    `path` is the path as the caller named it, made absolute; `sha256` is the hex digest of its content, and is kept for as long as
    device, inode, size, mtime and ctime stay what they are.
    """

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    sha256: str


class Exec(msgspec.Struct, frozen=True):
    """One `execve` or `execveat`, read from the caller and resolved in its root and working directory.

    `pid` is the calling thread, `tgid` its process. `file` is what was named. For a `#!` script `script` is the same file and `interpreter`
    the program that the kernel will really start. `ancestors` are process ids, the parent first, as far as the top of the tree.
    Bytes that are not UTF-8 appear as surrogate escapes (PEP 383), so nothing is lost.
    """

    pid: int
    tgid: int
    path: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    file: FileIdentity
    interpreter: FileIdentity | None
    script: FileIdentity | None
    ancestors: tuple[int, ...]


class Allow(msgspec.Struct, frozen=True):
    """Let it run.

    `remember`: the same file, argv, environment and working directory in the same tree need not be asked about again, until
    `Supervisor.forget()`. Only for decisions that do not depend on the ancestors.
    """

    remember: bool = False


class Deny(msgspec.Struct, frozen=True):
    """Let it fail with EPERM; *words* are written to the standard error of the caller first."""

    words: str


Verdict = Allow | Deny
Answer = Callable[[Verdict], None]
Decide = Callable[[Exec, Answer], Verdict | None]


class Support(msgspec.Struct, frozen=True):
    """What this kernel offers to the exec gate; `why` has one sentence for each thing that is missing.

    `user_notification`: execs can be made to wait. `verified`: what was approved can be compared with what runs, which is what makes the
    gate a boundary. `landlock_abi`: 0 where there is none. `namespaces`: an ordinary user may make user namespaces.
    """

    user_notification: bool
    verified: bool
    landlock_abi: int
    namespaces: bool
    why: tuple[str, ...]
