"""Landlock through ctypes: what a process and all its descendants may do with files, TCP and processes outside.

A rule allows; what is handled and has no rule is denied, for ever, whatever is executed afterwards. The handled rights are all
that the running kernel knows, so a newer kernel denies more. It knows nothing of stat(2), chmod(2), utime(2), setxattr(2),
pathname sockets and UDP: those are for the mount and network namespaces (`namespaces`).

Sources: landlock(7), linux/landlock.h, the kernel's Documentation/userspace-api/landlock.rst ("Previous limitations").
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterable

from msgspec import Struct

from keyturn.gates.exec import kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
WRITE = (
    WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM | REFER | TRUNCATE
)  # fmt: skip
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV

_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights that a rule on a file that is no folder may give."""

_SINCE = {1: 0, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
_FIRST = (1 << 13) - 1
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2
_ADD_RULE = 445
_PATH_BENEATH, _NET_PORT = 1, 2
TCP_SINCE, SCOPES_SINCE = 4, 6


class Rule(Struct, frozen=True):
    """*rights* on `path` and, if it is a folder, on everything below it. A symbolic link is not followed."""

    path: str
    rights: int


class Ports(Struct, frozen=True):
    """The TCP ports that may be bound and connected to; all others are denied."""

    bind: tuple[int, ...] = ()
    connect: tuple[int, ...] = ()


def handled(abi: int) -> int:
    """The rights on files that a kernel with *abi* can deny."""
    rights = _FIRST if abi >= 1 else 0
    for since, more in _SINCE.items():
        if abi >= since:
            rights |= more
    return rights


def restrict(rules: Iterable[Rule], ports: Ports | None, given: Iterable[int] = ()) -> int:
    """Deny the caller and its descendants everything but *rules*; returns the ABI that it stands on. Raises `OSError`.

    What the descriptors *given* lead to may be opened again by their names (`/dev/stdout`), for what they are open for. With
    *ports* None TCP is left alone. From ABI 6 nothing signals or traces a process outside, or reaches an abstract
    socket there (tracing is denied by every ABI). The caller must be single-threaded.
    """
    abi = kernel.landlock_abi()
    if not abi:
        raise OSError(38, "this kernel has no Landlock")
    files = handled(abi)
    tcp = _BIND_TCP | _CONNECT_TCP if ports is not None and abi >= TCP_SINCE else 0
    scopes = _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL if abi >= SCOPES_SINCE else 0
    size = 8 if abi < TCP_SINCE else 16 if abi < SCOPES_SINCE else 24

    def add(rules_fd: int) -> None:
        for rule in rules:
            _allow_path(rules_fd, rule, files)
        for fd in given:
            _allow_again(rules_fd, fd, files)
        if tcp and ports is not None:
            for right, numbers in ((_BIND_TCP, ports.bind), (_CONNECT_TCP, ports.connect)):
                for number in numbers:
                    _add(rules_fd, _NET_PORT, struct.pack("<QQ", right, number))

    _restricted(struct.pack("<QQQ", files, tcp, scopes)[:size], add)
    return abi


def no_signals_outward() -> bool:
    """Nothing below the caller signals or traces what isn't. False where the kernel can't (ABI < 6)."""
    if kernel.landlock_abi() < SCOPES_SINCE:
        return False
    _restricted(struct.pack("<QQQ", 0, 0, _SCOPE_SIGNAL), lambda _rules: None)
    return True


def _restricted(attributes: bytes, add: Callable[[int], None]) -> None:
    size = ctypes.c_size_t(len(attributes))
    rules = kernel.call(kernel.LANDLOCK_CREATE, ctypes.c_char_p(attributes), size, 0)
    try:
        add(rules)
        kernel.no_new_privileges()
        kernel.call(kernel.LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow_path(rules_fd: int, rule: Rule, files: int) -> None:
    fd = os.open(rule.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        is_folder = os.fstat(fd).st_mode & 0o170000 == 0o040000
        rights = rule.rights & files & (~0 if is_folder else _OF_A_FILE)
        if rights:
            _add(rules_fd, _PATH_BENEATH, struct.pack("<Qi", rights, fd))
    finally:
        os.close(fd)


def _allow_again(rules_fd: int, fd: int, files: int) -> None:
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
        return  # a pipe or socket can be opened again without a rule; a folder is nothing to be given
    way = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    rights = (READ_FILE if way != os.O_WRONLY else 0) | (WRITE_FILE | TRUNCATE if way != os.O_RDONLY else 0)
    rights |= IOCTL_DEV if stat.S_ISCHR(mode) else 0
    try:
        _add(rules_fd, _PATH_BENEATH, struct.pack("<Qi", rights & files, fd))
    except OSError:
        return  # a file without a place in any folder, as a memory file: nothing that a rule can name


def _add(rules_fd: int, kind: int, attributes: bytes) -> None:
    kernel.call(_ADD_RULE, rules_fd, kind, ctypes.c_char_p(attributes), 0)


__all__ = [
    "DEVICE", "EXECUTE", "READ", "READ_DIR", "READ_FILE", "SCOPES_SINCE", "TCP_SINCE", "WRITE", "WRITE_FILE", "Ports", "Rule",
    "handled", "no_signals_outward", "restrict",
]  # fmt: skip
