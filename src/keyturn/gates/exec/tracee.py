"""What a waiting process asks to run, read out of its memory and resolved in its own root.

The caller and its threads can change their memory while this reads it. So nothing read here is trusted to be what runs:
the supervisor compares it with what the kernel has loaded (`loaded`) before the first instruction runs.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import stat

from msgspec import Struct

from keyturn.gates.exec import family, kernel
from keyturn.gates.exec import memory as memory_of
from keyturn.gates.exec.files import Files, Unreadable
from keyturn.gates.exec.filter import ARCH_I386, TABLES
from keyturn.gates.exec.memory import Words
from keyturn.gates.exec.model import Exec, FileIdentity

MAX_INTERPRETERS = 4
"""execve(2): an interpreter may be a script itself, four times."""
_AT_EMPTY_PATH, _AT_SYMLINK_NOFOLLOW, _AT_FDCWD = 0x1000, 0x100, 0xFFFFFF9C
_OWN = re.compile(r"/proc/(?:self|thread-self)(/.*)?", re.DOTALL)
_DEV_FD = re.compile(r"/dev/(?:fd/([0-9]+)|(stdin|stdout|stderr))")
MAGIC = re.compile(r"/proc/[0-9]+(?:/task/[0-9]+)?/(?:exe|fd/[0-9]+)")
_X86_64 = platform.machine() == "x86_64"
_STANDARD = {"stdin": "0", "stdout": "1", "stderr": "2"}


class Asked(Struct, frozen=True):
    """An exec, with the exact bytes that the kernel must load if it is to be the one that was read.

    `counts` are how many words and variables they are; `native` says that what is loaded is a 64-bit program of x86-64,
    whose first stack `loaded` can read. `plain`: what path, words, variables and folder mean doesn't depend on which process
    asks.
    """

    exec: Exec
    words: bytes
    variables: bytes
    counts: tuple[int, int]
    native: bool = False
    plain: bool = False


def read(notification: tuple[int, ...], files: Files, words: Words | None = None) -> Asked:
    """The exec that *notification* stands for, which names *words* if those were read already. Raises `Unreadable`."""
    _, thread, _, number, arch, _, *arguments = notification
    name = TABLES[arch].execs[number]
    wide = arch != ARCH_I386
    if not wide:
        arguments = [argument & 0xFFFFFFFF for argument in arguments]
    at, flags = (1, arguments[4] & 0xFFFFFFFF) if name == "execveat" else (0, 0)
    folder = arguments[0] & 0xFFFFFFFF if name == "execveat" else _AT_FDCWD
    if words is not None:
        given = words.given
        argv, environment = words.split()
    else:
        given, argv, environment = _memory(thread, arguments[at : at + 3], wide)
    try:
        return _resolved(thread, os.fsdecode(given), folder, flags, argv, environment, files)
    except OSError as error:  # the caller went away, or its /proc entries can't be read
        raise Unreadable(error.errno or errno.ESRCH) from error


def is_there(thread: int, given: bytes) -> bool:
    """Whether anything lies at the absolute path *given* in the root of *thread*. Raises `OSError` where that can't be told."""
    root = os.open(f"/proc/{thread}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        os.close(kernel.open_in_root(root, given))
    except FileNotFoundError:
        return False
    finally:
        os.close(root)
    return True


def _memory(thread: int, addresses: list[int], wide: bool) -> tuple[bytes, list[bytes], list[bytes]]:
    try:
        memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(errno.EPERM, f"the caller's memory can't be read ({error.strerror})") from error
    try:
        path, words, variables = addresses
        given = memory_of.text(memory, path, memory_of.MAX_PATH)
        return given, memory_of.strings(memory, words, wide), memory_of.strings(memory, variables, wide)
    finally:
        os.close(memory)


def _resolved(
    thread: int,
    given: str,
    folder: int,
    flags: int,
    argv: list[bytes],
    environment: list[bytes],
    files: Files,
) -> Asked:
    tgid = _process_of(thread)
    parent, serial = family.parent_and_serial(tgid)
    path = _where(thread, tgid, given, folder, flags)
    root = os.open(f"/proc/{thread}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        file, head = _look(root, path, files)
        interpreter = None
        prefix: tuple[str, ...] = (_named(given, folder),)
        while head.startswith(b"#!"):
            if len(prefix) > 2 * MAX_INTERPRETERS:
                raise Unreadable(errno.ELOOP)
            prefix = (*_first_line(head), *prefix)
            interpreter, head = _look(root, _where(thread, tgid, prefix[0], _AT_FDCWD, 0), files)
        if not head.startswith(b"\x7fELF"):
            raise Unreadable(errno.ENOEXEC)
    finally:
        os.close(root)
    variables = variables_of(_joined(environment))
    cwd = os.readlink(f"/proc/{thread}/cwd")
    words = texts(_joined(argv))
    script, prefix = (file, prefix) if interpreter else (None, ())
    asked = Exec(thread, tgid, path, words, variables, cwd, file, interpreter, script, prefix, parent, serial)
    loaded = [*map(os.fsencode, prefix), *argv[1:]] if interpreter else argv or [b""]
    counts = len(loaded), len(environment)
    native = _native(head)
    # /proc and /dev mean something else to each process; a script is two files.
    plain = (
        native
        and not interpreter
        and folder == _AT_FDCWD
        and not flags
        and not path.startswith(("/proc/", "/dev/"))
    )
    return Asked(asked, _joined(loaded), _joined(environment), counts, native, plain)


def _native(head: bytes) -> bool:
    """Whether *head* begins a 64-bit program of x86-64, on such a machine (elf(5): EI_CLASS, e_machine)."""
    return _X86_64 and head[4:5] == b"\x02" and head[18:20] == b"\x3e\x00"


def _joined(words: list[bytes]) -> bytes:
    return b"".join(word + b"\0" for word in words)


def texts(content: bytes) -> tuple[str, ...]:
    """The words in *content*, each of which ends in a NUL."""
    found = os.fsdecode(content).split("\0")[:-1]
    if len(found) != content.count(b"\0"):  # an encoding that can't be taken apart afterwards
        found = [os.fsdecode(word) for word in content.split(b"\0")[:-1]]
    return tuple(found)


def variables_of(content: bytes) -> dict[str, str]:
    """The variables in *content* by name. One name with two values is refused: programs don't agree about which counts."""
    variables: dict[str, str] = {}
    for one in texts(content):
        key, _, value = one.partition("=")
        if variables.setdefault(key, value) != value:
            raise Unreadable(errno.EPERM, f"the variable {key} is given twice, with different values")
    return variables


def _named(given: str, folder: int) -> str:
    """How the kernel calls the script towards its interpreter (execveat(2), BUGS)."""
    if folder == _AT_FDCWD or given.startswith("/"):
        return given
    return f"/dev/fd/{folder}/{given}" if given else f"/dev/fd/{folder}"


def _first_line(head: bytes) -> tuple[str, ...]:
    """The words of a `#!` line: the interpreter and at most one argument (execve(2), Interpreter scripts)."""
    line = head[2:].split(b"\n", 1)[0]
    if b"\n" not in head and len(head) >= 256:
        raise Unreadable(errno.ENOEXEC)
    words = line.strip(b" \t").split(None, 1)
    if not words:
        raise Unreadable(errno.ENOEXEC)
    return tuple(os.fsdecode(word.strip(b" \t")) for word in words)


def _look(root: int, path: str, files: Files) -> tuple[FileIdentity, bytes]:
    try:
        magic = MAGIC.fullmatch(path)
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC) if magic else kernel.open_in_root(root, path)
    except OSError as error:
        raise Unreadable(error.errno or errno.EACCES) from error
    try:
        return files.look(fd, path)
    finally:
        os.close(fd)


def _where(thread: int, tgid: int, given: str, folder: int, flags: int) -> str:
    """What it names, as an absolute path in its root. Raises `Unreadable`."""
    if not given and flags & _AT_EMPTY_PATH:
        return f"/proc/{tgid}/fd/{folder}"
    if not given:
        raise Unreadable(errno.ENOENT)
    if flags & ~(_AT_EMPTY_PATH | _AT_SYMLINK_NOFOLLOW):
        raise Unreadable(errno.EINVAL)
    if not given.startswith("/"):
        link = f"/proc/{thread}/cwd" if folder == _AT_FDCWD else f"/proc/{tgid}/fd/{folder}"
        try:
            given = f"{os.readlink(link)}/{given}"
        except OSError as error:
            raise Unreadable(errno.EBADF) from error
    own = _OWN.fullmatch(given)
    if own:
        return f"/proc/{tgid}{own.group(1) or ''}"
    descriptor = _DEV_FD.fullmatch(given)
    if descriptor:
        return f"/proc/{tgid}/fd/{descriptor.group(1) or _STANDARD[descriptor.group(2)]}"
    return given


def _process_of(thread: int) -> int:
    """The process that *thread* is of (proc_pid_status(5), Tgid)."""
    try:
        fd = os.open(f"/proc/{thread}/status", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, 512)
        finally:
            os.close(fd)
    except OSError as error:
        raise Unreadable(errno.ESRCH) from error
    return int(text.split(b"\nTgid:", 1)[1].split(None, 1)[0])


def opened_in(process: int, path: str) -> int:
    """A descriptor to read the regular file that *process* sees at absolute *path*, in its own root. Raises `OSError`."""
    root = os.open(f"/proc/{process}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        there = kernel.open_in_root(root, path)
    finally:
        os.close(root)
    try:
        if not stat.S_ISREG(os.fstat(there).st_mode) or os.path.normpath(path).startswith("/proc/"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return os.open(f"/proc/self/fd/{there}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    finally:
        os.close(there)


__all__ = ["Asked", "is_there", "opened_in", "read", "texts", "variables_of"]
