"""What a waiting process asks to run, read out of its memory and resolved in its own root.

The caller and its threads can change their memory while this reads it. So nothing read here is trusted to be what runs:
the supervisor compares it with what the kernel has loaded (`loaded`) before the first instruction runs.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import struct
from collections import OrderedDict

from msgspec import Struct

from keyturn.gates.exec import kernel
from keyturn.gates.exec.model import Exec, FileIdentity

MAX_WORDS_BYTES = 2 * 1024 * 1024
"""Most bytes of words and variables that are read; the kernel's own limit for most systems (execve(2))."""
MAX_WORDS = 65_536
MAX_PATH = 4_096
MAX_HASHED = 1024 * 1024 * 1024
"""A larger program is not read, and so not run."""
MAX_INTERPRETERS = 4
"""execve(2): an interpreter may be a script itself, four times."""
_BLOCK = 4_096
_CONTENT = 65_536
_AT_EMPTY_PATH, _AT_SYMLINK_NOFOLLOW, _AT_FDCWD = 0x1000, 0x100, 0xFFFFFF9C
_OWN = re.compile(r"/proc/(?:self|thread-self)(/.*)?", re.DOTALL)
_DEV_FD = re.compile(r"/dev/(?:fd/([0-9]+)|(stdin|stdout|stderr))")
_MAGIC = re.compile(r"/proc/[0-9]+(?:/task/[0-9]+)?/(?:exe|fd/[0-9]+)")
_STANDARD = {"stdin": "0", "stdout": "1", "stderr": "2"}


class Unreadable(Exception):
    """What it asks for can't be told. `error` is the errno that the kernel would give, or EPERM with words."""

    def __init__(self, error: int, words: str = "") -> None:
        super().__init__(words or os.strerror(error))
        self.error = error
        self.words = words


class Files:
    """Identities of files, with digests kept by (device, inode, size, times)."""

    def __init__(self, size: int = 4_096) -> None:
        self._digests: OrderedDict[tuple[int, int, int, int, int], tuple[str, bytes]] = OrderedDict()
        self._size = size

    def look(self, fd: int, path: str) -> tuple[FileIdentity, bytes]:
        """The file behind the O_PATH descriptor *fd*, and its first bytes. Raises `Unreadable`."""
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
            raise Unreadable(errno.EACCES)
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._digests.get(key)
        if known is None:
            known = self._read(fd, status)
            self._digests[key] = known
            if len(self._digests) > self._size:
                self._digests.popitem(last=False)
        return FileIdentity(path, *key, known[0]), known[1]

    def _read(self, fd: int, before: os.stat_result) -> tuple[str, bytes]:
        if before.st_size > MAX_HASHED:
            raise Unreadable(errno.EPERM, "the program is too large to be read")
        try:
            readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unreadable(errno.EPERM, f"the program can't be read ({error.strerror})") from error
        try:
            head = os.pread(readable, 256, 0)
            with os.fdopen(os.dup(readable), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(readable)
        finally:
            os.close(readable)
        if (after.st_size, after.st_mtime_ns, after.st_ctime_ns) != (
            before.st_size,
            before.st_mtime_ns,
            before.st_ctime_ns,
        ):
            raise Unreadable(errno.EPERM, "the program was changed while it was read")
        return f"sha256:{digest}", head


class Asked(Struct, frozen=True):
    """An exec, with the exact bytes that the kernel must load if it is to be the one that was read."""

    exec: Exec
    words: bytes
    variables: bytes


def read(notification: tuple[int, ...], files: Files) -> Asked:
    """The exec that *notification* stands for. Raises `Unreadable`."""
    _, thread, _, number, arch, _, *arguments = notification
    name = kernel.TABLES[arch].execs[number]
    wide = arch != kernel.ARCH_I386
    if not wide:
        arguments = [argument & 0xFFFFFFFF for argument in arguments]
    at, flags = (1, arguments[4] & 0xFFFFFFFF) if name == "execveat" else (0, 0)
    folder = arguments[0] & 0xFFFFFFFF if name == "execveat" else _AT_FDCWD
    try:
        memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(errno.EPERM, f"the caller's memory can't be read ({error.strerror})") from error
    try:
        given = os.fsdecode(_text(memory, arguments[at], MAX_PATH))
        argv = _strings(memory, arguments[at + 1], wide)
        environment = _strings(memory, arguments[at + 2], wide)
    finally:
        os.close(memory)
    try:
        return _resolved(thread, given, folder, flags, argv, environment, files)
    except OSError as error:  # the caller went away, or its /proc entries can't be read
        raise Unreadable(error.errno or errno.ESRCH) from error


def _resolved(
    thread: int,
    given: str,
    folder: int,
    flags: int,
    argv: list[bytes],
    environment: list[bytes],
    files: Files,
) -> Asked:
    tgid, ancestors = _family(thread)
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
    variables = _variables(environment)
    cwd = os.readlink(f"/proc/{thread}/cwd")
    words = tuple(os.fsdecode(word) for word in argv)
    script, prefix = (file, prefix) if interpreter else (None, ())
    asked = Exec(thread, tgid, path, words, variables, cwd, file, interpreter, script, prefix, ancestors)
    loaded = [*map(os.fsencode, prefix), *argv[1:]] if interpreter else argv or [b""]
    return Asked(asked, _joined(loaded), _joined(environment))


def _joined(words: list[bytes]) -> bytes:
    return b"".join(word + b"\0" for word in words)


def _variables(environment: list[bytes]) -> dict[str, str]:
    """The variables by name. One name with two values is refused: programs don't agree about which counts."""
    variables: dict[str, str] = {}
    for one in environment:
        key, _, value = os.fsdecode(one).partition("=")
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
        magic = _MAGIC.fullmatch(path)
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


# --- memory ----------------------------------------------------------------------------------------


def _text(memory: int, address: int, limit: int) -> bytes:
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


def _strings(memory: int, address: int, wide: bool) -> list[bytes]:
    """The strings of a NULL-terminated array; blocks of memory are read once."""
    if not address:
        return []
    pointers = _pointers(memory, address, wide)
    blocks: dict[int, bytes] = {}
    strings: list[bytes] = []
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
        strings.append(b"".join(pieces))
        left -= len(pieces[-1])
        if left < 0:
            raise Unreadable(errno.E2BIG)
    return strings


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


def _family(thread: int) -> tuple[int, tuple[int, ...]]:
    """The process of *thread*, and its ancestors nearest first."""
    tgid, parent = _status(thread)
    ancestors: list[int] = []
    own = os.getpid()
    while parent > 1 and parent != own and len(ancestors) < 256:
        ancestors.append(parent)
        try:
            _, parent = _status(parent)
        except Unreadable:
            break
    return tgid, tuple(ancestors)


def _status(process: int) -> tuple[int, int]:
    try:
        fd = os.open(f"/proc/{process}/status", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, 512)
        finally:
            os.close(fd)
    except OSError as error:
        raise Unreadable(errno.ESRCH) from error
    tgid = int(text.split(b"\nTgid:", 1)[1].split(None, 1)[0])
    return tgid, int(text.split(b"\nPPid:", 1)[1].split(None, 1)[0])


# --- what was loaded -------------------------------------------------------------------------------


def mismatch(asked: Asked) -> str:
    """Why what the kernel has loaded into the stopped process is not what was *asked*; empty if it is."""
    wanted = asked.exec
    try:
        status = os.stat(f"/proc/{wanted.tgid}/exe")
        words, variables = (_content(f"/proc/{wanted.tgid}/{name}") for name in ("cmdline", "environ"))
        changed = wanted.script is not None and _changed(wanted)
    except OSError as error:
        return f"what was loaded can't be looked at ({error.strerror})"
    if changed:
        return "its script was changed"
    if not _is(status, wanted.interpreter or wanted.file):
        return "another program was loaded"
    if words != asked.words:
        return "its words were changed"
    return "its variables were changed" if variables != asked.variables else ""


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
    now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return now == (file.device, file.inode, file.size, file.mtime_ns, file.ctime_ns)


def _changed(asked: Exec) -> bool:
    """Whether the script is no longer the file that was read."""
    script = asked.script
    assert script is not None
    root = os.open(f"/proc/{asked.tgid}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        fd = (
            os.open(script.path, os.O_PATH)
            if _MAGIC.fullmatch(script.path)
            else kernel.open_in_root(root, script.path)
        )
    finally:
        os.close(root)
    try:
        return not _is(os.fstat(fd), script)
    finally:
        os.close(fd)


__all__ = ["Asked", "Files", "Unreadable", "mismatch", "read"]
