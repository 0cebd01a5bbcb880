"""The kernel's side: seccomp user notification, ptrace, Landlock's scopes, through ctypes. No code of ours is compiled.

Sources: seccomp(2), seccomp_unotify(2), ptrace(2), prctl(2), landlock(7), openat2(2), pidfd_getfd(2), and the numbers in
linux/seccomp.h, linux/filter.h, linux/audit.h and the system call tables of x86-64, i386 and arm64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from functools import lru_cache

from keyturn.gates.exec.model import Support

# --- numbers ---------------------------------------------------------------------------------------

ARCH_X86_64, ARCH_I386, ARCH_AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
X32_BIT = 0x40000000
_RET_KILL, _RET_ERRNO, _RET_NOTIFY, _RET_ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_LD_ABS, _JEQ, _JGE, _RET = 0x20, 0x15, 0x35, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16
_NEW_LISTENER, _WAIT_KILLABLE = 8, 32

NOTIF_RECV, NOTIF_SEND, NOTIF_ID_VALID, NOTIF_SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40082104
CONTINUE = 1
NOTIF = struct.Struct("<QIIiIQ6Q")  # id, pid, flags, nr, arch, instruction pointer, args
RESPONSE = struct.Struct("<QqiI")  # id, value, error, flags

_SEIZE, _INTERRUPT, _DETACH, _CONT = 0x4206, 0x4207, 17, 7
_TRACE_EXEC, _EXIT_KILL = 0x10, 0x100000
EVENT_EXEC = 4
WALL = 0x40000000

_SET_DUMPABLE, _SET_NO_NEW_PRIVS, _SET_CHILD_SUBREAPER = 4, 38, 36


class Table:
    """System call numbers of one architecture."""

    def __init__(
        self, execs: dict[int, str], refused: tuple[int, ...], unknown: tuple[int, ...], aimed: tuple[int, ...],
        fcntl: tuple[int, ...], ioctl: int,
    ) -> None:  # fmt: skip
        """*aimed* name a process first: five that signal, then pidfd_open, then prlimit64."""
        self.execs = execs
        self.refused = refused
        self.unknown = unknown
        self.aimed = aimed
        self.fcntl = fcntl
        self.ioctl = ioctl


_X86_64 = Table(
    {59: "execve", 322: "execveat"},
    refused=(101, 310, 311),  # ptrace, process_vm_readv, process_vm_writev
    unknown=(425, 426, 427, 424),  # io_uring_*, pidfd_send_signal: programs fall back to what is seen
    aimed=(
        62,
        200,
        234,
        129,
        297,
        434,
        302,
    ),  # kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_open, prlimit64
    fcntl=(72,),
    ioctl=16,
)
_I386 = Table(
    {11: "execve", 358: "execveat"},
    refused=(26, 347, 348),
    unknown=(425, 426, 427, 424),
    aimed=(37, 238, 270, 178, 335, 434, 340),
    fcntl=(55, 221),
    ioctl=54,
)
_AARCH64 = Table(
    {221: "execve", 281: "execveat"},
    refused=(117, 270, 271),
    unknown=(425, 426, 427, 424),
    aimed=(129, 130, 131, 138, 240, 434, 261),
    fcntl=(25,),
    ioctl=29,
)
TABLES = {ARCH_X86_64: _X86_64, ARCH_I386: _I386, ARCH_AARCH64: _AARCH64}
_MACHINES = {"x86_64": (ARCH_X86_64, ARCH_I386), "aarch64": (ARCH_AARCH64,)}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_OPENAT2, _PIDFD_OPEN, _PIDFD_GETFD = 437, 434, 438
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(platform.machine(), 155)
LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446

_libc = ctypes.CDLL(None, use_errno=True)
_ioctl = _libc.ioctl
_ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_prctl = _libc.prctl


_trace = _libc.ptrace
_trace.restype = ctypes.c_long
_trace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def _ptrace(request: int, pid: int, data: int = 0) -> None:
    if _trace(request, pid, None, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


# --- the filter ------------------------------------------------------------------------------------


class _Block:
    """Instructions of one architecture's part; every jump is to the next instruction or over one return."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self.code.append((_LD_ABS, 0, 0, offset))

    def when(self, value: int, verdict: int) -> None:
        """Return *verdict* if what was loaded is *value*."""
        self.code += [(_JEQ, 0, 1, value & 0xFFFFFFFF), (_RET, 0, 0, verdict)]


def filter_program(supervisor: int, group: int, *, scoped: bool | None = None) -> bytes:
    """The seccomp program: execs notify; what goes around it, or is aimed at *supervisor*, is an error.

    *supervisor* and *group* are the supervisor's process and process group, in the pid namespace of the tree. *scoped*:
    Landlock keeps signals inside the tree; where it doesn't, each of them notifies, too (`aimed`).
    """
    if scoped is None:
        scoped = landlock_abi() >= 6
    code: list[tuple[int, int, int, int]] = []
    for arch in architectures():
        block = _part(TABLES[arch], supervisor, group, x32=arch == ARCH_X86_64, scoped=scoped)
        code += [(_LD_ABS, 0, 0, _ARCH), (_JEQ, 1, 0, arch)]
        code.append((0x05, 0, 0, len(block)))  # BPF_JA: over this part
        code += block
    code.append((_RET, 0, 0, _RET_KILL))
    return b"".join(struct.pack("<HBBI", *one) for one in code)


def _part(
    table: Table, supervisor: int, group: int, x32: bool, scoped: bool
) -> list[tuple[int, int, int, int]]:
    eperm, enosys = _RET_ERRNO | errno.EPERM, _RET_ERRNO | errno.ENOSYS
    block = _Block()
    block.load(_NR)
    if x32:
        block.code += [(_JGE, 0, 1, X32_BIT), (_RET, 0, 0, enosys)]
    for number in table.execs:
        block.when(number, _RET_NOTIFY)
    for number in table.refused:
        block.when(number, eperm)
    for number in table.unknown:
        block.when(number, enosys)
    targets = (supervisor, -supervisor, -group, -1)
    for number in table.aimed:
        inner = _Block()
        inner.load(_ARGS)
        for target in targets:
            inner.when(target, eperm)
        if number == table.aimed[-1]:
            inner.when(0, _RET_ALLOW)  # one's own limits
        looked_at = number == table.aimed[-1] or (number in table.aimed[:5] and not scoped)
        inner.code.append((_RET, 0, 0, _RET_NOTIFY if looked_at else _RET_ALLOW))
        block.code += [(_JEQ, 0, len(inner.code), number), *inner.code]
    for number in table.fcntl:
        inner = _Block()
        inner.load(_ARGS + 8)
        inner.when(15, _RET_ERRNO | errno.EINVAL)  # F_SETOWN_EX names its target where a filter can't look
        if not scoped:
            inner.when(8, _RET_ERRNO | errno.EINVAL)  # F_SETOWN takes thread ids, which come and go
        inner.code.append((_JEQ, 1, 0, 8))  # F_SETOWN
        inner.code.append((_RET, 0, 0, _RET_ALLOW))
        inner.load(_ARGS + 16)
        for target in targets[:3]:
            inner.when(target, eperm)
        inner.code.append((_RET, 0, 0, _RET_ALLOW))
        block.code += [(_JEQ, 0, len(inner.code), number), *inner.code]
    inner = _Block()
    inner.load(_ARGS + 8)
    for request in (0x8901, 0x8902):  # FIOSETOWN, SIOCSPGRP: as above
        inner.when(request, _RET_ERRNO | errno.EINVAL)
    inner.code.append((_RET, 0, 0, _RET_ALLOW))
    block.code += [(_JEQ, 0, len(inner.code), table.ioctl), *inner.code]
    block.code.append((_RET, 0, 0, _RET_ALLOW))
    return block.code


def architectures() -> tuple[int, ...]:
    """The kinds of system calls that programs can make on this machine."""
    return _MACHINES.get(platform.machine(), ())


def install(program: bytes) -> int:
    """Put *program* on the calling thread for ever; returns the listener. Raises `OSError`."""
    no_new_privileges()
    return put_filter(program, _NEW_LISTENER | _WAIT_KILLABLE)


def put_filter(program: bytes, flags: int) -> int:
    """seccomp(2), SECCOMP_SET_MODE_FILTER. Raises `OSError`."""
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    whole = Program(len(program) // 8, ctypes.addressof(buffer))
    return call(_SECCOMP[platform.machine()], 1, flags, ctypes.byref(whole))


def no_new_privileges() -> None:
    """Nothing that the caller or its descendants execute gains privileges (prctl(2), PR_SET_NO_NEW_PRIVS)."""
    _must(_prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def call(number: int, *arguments: object) -> int:
    """The system call *number*; its result. Raises `OSError`."""
    return _must(int(_syscall(number, *arguments)))


def dumpable(yes: bool) -> None:
    """Whether others of this account may trace the caller and read its memory."""
    _must(_prctl(_SET_DUMPABLE, int(yes), 0, 0, 0))


def adopt_orphans() -> None:
    """Processes whose parents end become the caller's children, so that none of the tree gets away."""
    _must(_prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def _must(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


# --- the listener ----------------------------------------------------------------------------------


class Listener:
    """One listener: notifications in, answers out. Buffers are reused; one thread only."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._notification = ctypes.create_string_buffer(NOTIF.size)
        self._response = ctypes.create_string_buffer(RESPONSE.size)
        self._id = ctypes.create_string_buffer(8)

    def receive(self) -> tuple[int, ...] | None:
        """The next notification's numbers, or None if its caller is gone."""
        ctypes.memset(self._notification, 0, NOTIF.size)
        if _ioctl(self.fd, NOTIF_RECV, self._notification) < 0:
            return None
        return NOTIF.unpack(self._notification.raw)

    def valid(self, number: int) -> bool:
        """Whether the caller still waits, so that its process id still is its own."""
        struct.pack_into("<Q", self._id, 0, number)
        return bool(_ioctl(self.fd, NOTIF_ID_VALID, self._id) == 0)

    def answer(self, number: int, error: int = 0, *, go_on: bool = False) -> bool:
        """Let the call go on, or fail it with *error*. False if the caller is gone."""
        RESPONSE.pack_into(self._response, 0, number, 0, -error, CONTINUE if go_on else 0)
        return bool(_ioctl(self.fd, NOTIF_SEND, self._response) == 0)


def send_fd(channel: socket.socket, fd: int) -> None:
    """Give *fd* to the other end of *channel*."""
    socket.send_fds(channel, [b"L"], [fd])


# --- ptrace ----------------------------------------------------------------------------------------


def seize(thread: int) -> None:
    """Attach to *thread* so that it stops at the end of its exec, or when that fails. Raises `OSError`.

    The interrupt is asked for beforehand: after a failed exec it stops the thread on its way back, so that waiting for
    it always ends.
    """
    _ptrace(_SEIZE, thread, _TRACE_EXEC | _EXIT_KILL)
    _ptrace(_INTERRUPT, thread)


def detach(process: int) -> None:
    """Let go of *process*; one that is gone is no matter."""
    try:
        _ptrace(_DETACH, process)
    except OSError:
        pass


def go_on(process: int, signal: int) -> None:
    """Let the stopped *process* run on, with the *signal* it stopped for."""
    _ptrace(_CONT, process, signal)


# --- looking ---------------------------------------------------------------------------------------


def open_in_root(root: int, path: str) -> int:
    """An O_PATH descriptor of *path* as a process with the root folder *root* resolves it (openat2(2)). Raises `OSError`."""
    how = struct.pack("<QQQ", os.O_PATH | os.O_CLOEXEC, 0, 0x10)  # RESOLVE_IN_ROOT
    name = os.fsencode(path)
    return _must(
        _syscall(_OPENAT2, root, ctypes.c_char_p(name), ctypes.c_char_p(how), ctypes.c_size_t(len(how)))
    )


def borrow_fd(process: int, fd: int) -> int:
    """A copy of another process's descriptor (pidfd_getfd(2)). Raises `OSError`."""
    pidfd = os.pidfd_open(process)
    try:
        return _must(_syscall(_PIDFD_GETFD, pidfd, fd, 0))
    finally:
        os.close(pidfd)


@lru_cache(maxsize=1)
def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 for none (landlock_create_ruleset(2))."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


@lru_cache(maxsize=1)
def support() -> Support:
    """What this kernel offers; asked once, by trying."""
    why: list[str] = []
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return Support(
            False, False, 0, False, (f"{platform.system()} on {platform.machine()} has no exec gate",)
        )
    sizes = ctypes.create_string_buffer(6)
    notify = _syscall(_SECCOMP[platform.machine()], 3, 0, sizes) == 0
    if notify and struct.unpack("<HHH", sizes.raw) != (NOTIF.size, RESPONSE.size, 64):
        notify = False
        why.append("the kernel's notifications have another form than the one that is known")
    works = notify and _works()
    if not works:
        why.append(
            "seccomp user notification can't be used here (an old kernel, gVisor or a container's own filter)"
        )
    namespaces = _forked(lambda: _libc.unshare(0x10000000 | 0x00020000 | 0x40000000) == 0)
    if not namespaces:
        why.append("user, mount and network namespaces can't be made here")
    if not landlock_abi():
        why.append("there is no Landlock")
    elif landlock_abi() < 6:
        why.append(
            "Landlock is older than ABI 6: signals of the tree are looked at one by one, which is slower"
        )
    return Support(works, works, landlock_abi(), namespaces, tuple(why))


def _works() -> bool:
    """Whether a filter with a listener can be put on, with the flag that keeps signals from ending the wait."""

    def tried() -> bool:
        try:
            install(filter_program(os.getpid(), os.getpgrp()))
        except OSError:
            return False
        return True

    return _forked(tried)


def _forked(attempt: object) -> bool:
    """Whether *attempt* works, tried in a child."""
    child = os.fork()
    if child == 0:
        worked = False
        try:
            worked = bool(attempt())  # type: ignore[operator]
        finally:
            os._exit(0 if worked else 1)
    return os.waitpid(child, 0)[1] == 0


__all__ = [
    "ARCH_I386", "EVENT_EXEC", "LANDLOCK_CREATE", "LANDLOCK_RESTRICT", "TABLES", "WALL", "Listener", "adopt_orphans",
    "architectures", "borrow_fd", "call", "detach", "dumpable",
    "filter_program", "go_on", "install", "landlock_abi",
    "no_new_privileges", "PIVOT_ROOT", "open_in_root", "put_filter", "seize", "send_fd", "support",
]  # fmt: skip
