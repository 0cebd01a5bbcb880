"""The kernel's side: seccomp user notification, ptrace, Landlock's scopes, through ctypes. No code of ours is compiled.

Sources: seccomp(2), seccomp_unotify(2), ptrace(2), prctl(2), landlock(7), openat2(2), pidfd_getfd(2), and the numbers in
linux/seccomp.h and the system call tables of x86-64 and arm64.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
import sys
from fcntl import ioctl
from functools import lru_cache

from keyturn.gates.exec.filter import MACHINES, filter_program
from keyturn.gates.exec.model import Support

# --- numbers ---------------------------------------------------------------------------------------

_NEW_LISTENER, _WAIT_KILLABLE = 8, 32

NOTIF_RECV, NOTIF_SEND, NOTIF_ID_VALID, NOTIF_SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40082104
CONTINUE, _SYNC_WAKE_UP = 1, 1
NOTIF = struct.Struct("<QIIiIQ6Q")  # id, pid, flags, nr, arch, instruction pointer, args
RESPONSE = struct.Struct("<QqiI")  # id, value, error, flags

_SEIZE, _INTERRUPT, _DETACH, _CONT = 0x4206, 0x4207, 17, 7
_PEEKUSER, _RSP = 3, 19 * 8
_TRACE_EXEC, _EXIT_KILL = 0x10, 0x100000
EVENT_EXEC = 4
WALL = 0x40000000

_SET_DUMPABLE, _SET_NO_NEW_PRIVS, _SET_CHILD_SUBREAPER = 4, 38, 36


_SECCOMP = {"x86_64": 317, "aarch64": 277}
_OPENAT2, _PIDFD_OPEN, _PIDFD_GETFD = 437, 434, 438
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(platform.machine(), 155)
LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_prctl = _libc.prctl
_openat2 = _libc["syscall"]
_openat2.restype = ctypes.c_long
_openat2.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
_IN_ROOT = struct.pack("<QQQ", os.O_PATH | os.O_CLOEXEC, 0, 0x10)  # RESOLVE_IN_ROOT


_trace = _libc.ptrace
_trace.restype = ctypes.c_long
_trace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def _ptrace(request: int, pid: int, data: int = 0) -> None:
    if _trace(request, pid, 0, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


# --- putting it on ---------------------------------------------------------------------------------


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


_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}
_ATTRIBUTES = struct.Struct(
    "<IIQiIQQQII"
)  # size, policy, flags, nice, priority, runtime, deadline, period, two clamps
_KEEP_POLICY, _SHORTEST_SLICE = 8, 100_000


def short_slices() -> None:
    """The calling thread asks for a processor in the shortest slices, so that it is let in sooner when it wakes.

    sched_setattr(2): `sched_runtime` of an ordinary thread, in nanoseconds (Linux 6.12; older ones take no notice). It gets no more
    of the processor than others, and one that may not ask goes on as before.
    """
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    asked = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, _KEEP_POLICY, nice, 0, _SHORTEST_SLICE, 0, 0, 0, 0)
    _syscall(_SET_ATTRIBUTES[platform.machine()], 0, ctypes.create_string_buffer(asked, len(asked)), 0)


def _must(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


# --- the listener ----------------------------------------------------------------------------------


_ZEROS = bytes(NOTIF.size)
_ID = struct.Struct("<Q")


class Listener:
    """One listener: notifications in, answers out."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        # Who waits and who answers take turns, so they do it best on one processor (Linux 6.6; older ones refuse, which is
        # no matter). Measured beside eight other busy processes: 1.45 of bare fork+exec instead of 1.6 at the median.
        try:
            ioctl(fd, NOTIF_SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:
            pass

    def receive(self) -> tuple[int, ...] | None:
        """The next notification's numbers, or None if its caller is gone."""
        try:
            return NOTIF.unpack(ioctl(self.fd, NOTIF_RECV, _ZEROS))  # the kernel takes no other
        except OSError:
            return None

    def valid(self, number: int) -> bool:
        """Whether the caller still waits, so that its process id still is its own."""
        return self._done(NOTIF_ID_VALID, _ID.pack(number))

    def answer(self, number: int, error: int = 0, *, go_on: bool = False) -> bool:
        """Let the call go on, or fail it with *error*. False if the caller is gone."""
        return self._done(NOTIF_SEND, RESPONSE.pack(number, 0, -error, CONTINUE if go_on else 0))

    def _done(self, request: int, told: bytes) -> bool:
        try:
            ioctl(self.fd, request, told)
        except OSError:
            return False
        return True


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
    _trace(_DETACH, process, 0, 0)


def go_on(process: int, signal: int) -> None:
    """Let the stopped *process* run on, with the *signal* it stopped for."""
    _ptrace(_CONT, process, signal)


def stack_pointer(process: int) -> int:
    """Of the stopped *process*, on x86-64 only (PTRACE_PEEKUSER; `rsp` in sys/user.h). Raises `OSError`."""
    ctypes.set_errno(0)
    value = int(_trace(_PEEKUSER, process, _RSP, None))
    if value == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return value & 0xFFFFFFFFFFFFFFFF


# --- looking ---------------------------------------------------------------------------------------


def open_in_root(root: int, path: str | bytes) -> int:
    """An O_PATH descriptor of *path* as a process with the root folder *root* resolves it (openat2(2)). Raises `OSError`."""
    name = os.fsencode(path)
    return _must(int(_openat2(_OPENAT2, root, name, _IN_ROOT, len(_IN_ROOT))))


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
    if sys.platform != "linux" or platform.machine() not in MACHINES:
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
            install(filter_program(os.getpid(), os.getpgrp(), scoped=landlock_abi() >= 6))
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
    "EVENT_EXEC", "LANDLOCK_CREATE", "LANDLOCK_RESTRICT", "PIVOT_ROOT", "WALL", "Listener", "adopt_orphans", "borrow_fd",
    "call", "detach", "dumpable", "go_on", "install", "landlock_abi", "no_new_privileges", "open_in_root", "put_filter",
    "seize", "send_fd", "short_slices", "stack_pointer", "support",
]  # fmt: skip
