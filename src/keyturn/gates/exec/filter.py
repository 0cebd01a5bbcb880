"""The seccomp filter of a supervised tree: which calls wait for the supervisor, and which are errors.

Sources: seccomp(2), linux/seccomp.h, linux/filter.h, linux/audit.h and the system call tables of x86-64, i386 and arm64.
"""

from __future__ import annotations

import errno
import platform
import struct

ARCH_X86_64, ARCH_I386, ARCH_AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
X32_BIT = 0x40000000
_RET_KILL, _RET_ERRNO, _RET_NOTIFY, _RET_ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_LD_ABS, _JEQ, _JGE, _RET = 0x20, 0x15, 0x35, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16


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
MACHINES = {"x86_64": (ARCH_X86_64, ARCH_I386), "aarch64": (ARCH_AARCH64,)}


def architectures() -> tuple[int, ...]:
    """The kinds of system calls that programs can make on this machine."""
    return MACHINES.get(platform.machine(), ())


class _Block:
    """Instructions of one architecture's part; every jump is to the next instruction or over one return."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def load(self, offset: int) -> None:
        self.code.append((_LD_ABS, 0, 0, offset))

    def when(self, value: int, verdict: int) -> None:
        """Return *verdict* if what was loaded is *value*."""
        self.code += [(_JEQ, 0, 1, value & 0xFFFFFFFF), (_RET, 0, 0, verdict)]


def filter_program(supervisor: int, group: int, *, scoped: bool) -> bytes:
    """The seccomp program: execs notify; what goes around it, or is aimed at *supervisor*, is an error.

    *supervisor* and *group* are the supervisor's process and process group, in the pid namespace of the tree. *scoped*:
    Landlock keeps signals inside the tree; where it doesn't, each of them notifies, too (`aimed`).
    """
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


__all__ = [
    "ARCH_AARCH64",
    "ARCH_I386",
    "ARCH_X86_64",
    "MACHINES",
    "TABLES",
    "Table",
    "architectures",
    "filter_program",
]
