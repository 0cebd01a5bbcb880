"""System calls that a confined tree doesn't get: those that would change or leave what the envelope has set up.

A filter of its own beneath the gate's, without a listener. What a program can do without is an error; nothing is killed.
Sources: seccomp(2), the system call tables of x86-64, i386 and arm64, and what container engines take away by default
(moby/profiles/seccomp); TIOCSTI: ioctl_tty(2), CVE-2017-5226; AF_VSOCK: vsock(7), which knows no network namespace.
"""

from __future__ import annotations

import errno
import struct

from keyturn.gates.exec import filter, kernel

_NUMBERS: dict[str, tuple[int | None, int | None, int | None]] = {
    # x86-64, i386, arm64
    "mount": (165, 21, 40), "umount2": (166, 52, 39), "umount": (None, 22, None), "pivot_root": (155, 217, 41),
    "chroot": (161, 61, 51), "setns": (308, 346, 268), "open_tree": (428, 428, 428), "move_mount": (429, 429, 429),
    "fsopen": (430, 430, 430), "fsconfig": (431, 431, 431), "fsmount": (432, 432, 432), "fspick": (433, 433, 433),
    "mount_setattr": (442, 442, 442), "open_tree_attr": (467, 467, 467),
    "open_by_handle_at": (304, 342, 265), "name_to_handle_at": (303, 341, 264),
    "add_key": (248, 286, 217), "request_key": (249, 287, 218), "keyctl": (250, 288, 219),
    "bpf": (321, 357, 280), "perf_event_open": (298, 336, 241), "userfaultfd": (323, 374, 282),
    "pidfd_getfd": (438, 438, 438), "kcmp": (312, 349, 272), "process_madvise": (440, 440, 440),
    "init_module": (175, 128, 105), "finit_module": (313, 350, 273), "delete_module": (176, 129, 106),
    "kexec_load": (246, 283, 104), "kexec_file_load": (320, None, 294), "reboot": (169, 88, 142),
    "swapon": (167, 87, 224), "swapoff": (168, 115, 225), "acct": (163, 51, 89), "syslog": (103, 103, 116),
    "quotactl": (179, 131, 60), "quotactl_fd": (443, 443, 443), "sethostname": (170, 74, 161),
    "setdomainname": (171, 121, 162), "settimeofday": (164, 79, 170), "clock_settime": (227, 264, 112),
    "adjtimex": (159, 124, 171), "clock_adjtime": (305, 343, 266), "fanotify_init": (300, 338, 262),
    "iopl": (172, 110, None), "ioperm": (173, 101, None), "vhangup": (153, 111, 58), "lookup_dcookie": (212, 253, 18),
    "migrate_pages": (256, 294, 238), "move_pages": (279, 317, 239),
}  # fmt: skip
_CLONE, _UNSHARE, _CLONE3 = (56, 120, 220), (272, 310, 97), (435, 435, 435)
_IOCTL, _SOCKET, _SOCKETPAIR, _MEMFD = (16, 54, 29), (41, 359, 198), (53, 360, 199), (319, 356, 279)
_SOCKETCALL = 102
_OF_ONE_PROCESS = {
    "prlimit64": (302, 340, 261),
    "sched_setparam": (142, 154, 118),
    "sched_setscheduler": (144, 156, 119),
    "sched_setaffinity": (203, 241, 122),
    "sched_setattr": (314, 351, 274),
}
"""Calls whose first argument is a process, 0 for the caller: any process of the same account, Landlock knows nothing of it."""
_OF_SOME_PROCESSES = {"setpriority": ((141, 97, 140), 0), "ioprio_set": ((251, 289, 30), 1)}
"""Calls that name a kind of target first (the number here is *one process*) and then which, 0 for the caller."""
_PLACE = {filter.ARCH_X86_64: 0, filter.ARCH_I386: 1, filter.ARCH_AARCH64: 2}

NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (clone(2)); NEWTIME is only for unshare and clone3."""
_NEW_TIME = 0x80
_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI types for the person, TIOCLINUX pastes for them."""
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: what namespaces hold in. vsock, packet, Bluetooth and others are not among them."""
_NOEXEC_SEAL = 8

_LD, _JEQ, _JSET, _JA, _RET = 0x20, 0x15, 0x45, 0x05, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_X32_BIT = 0x40000000

Code = list[tuple[int, int, int, int]]


def program(*, executable_memory: bool) -> bytes:
    """The seccomp program. Without *executable_memory* a memory file is one that can't be executed, or an error."""
    code: Code = []
    for arch in filter.architectures():
        part = _part(_PLACE[arch], executable_memory)
        code += [(_LD, 0, 0, _ARCH), (_JEQ, 1, 0, arch), (_JA, 0, 0, len(part)), *part]
    code.append((_RET, 0, 0, _ERRNO | errno.ENOSYS))
    return b"".join(struct.pack("<HBBI", *one) for one in code)


def _part(place: int, executable_memory: bool) -> Code:
    eperm, enosys = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    code: Code = [(_LD, 0, 0, _NR)]
    if place == 0:
        code += [(0x35, 0, 1, _X32_BIT), (_RET, 0, 0, enosys)]  # JGE
    for numbers in _NUMBERS.values():
        number = numbers[place]
        if number is not None:
            code += _when(number, [(_RET, 0, 0, eperm)])
    # The flags of clone3 lie in memory, where a filter can't look: C libraries fall back to clone.
    code += _when(_CLONE3[place], [(_RET, 0, 0, enosys)])
    code += _when(_CLONE[place], _any_of(NEW_NAMESPACES, eperm))
    code += _when(_UNSHARE[place], _any_of(NEW_NAMESPACES | _NEW_TIME, eperm))
    code += _when(
        _IOCTL[place], [(_LD, 0, 0, _ARGS + 8), *_equal(_TERMINAL_INPUT, eperm), (_RET, 0, 0, _ALLOW)]
    )
    for numbers in (_SOCKET, _SOCKETPAIR):
        inner = [(_LD, 0, 0, _ARGS), *_equal(_FAMILIES, _ALLOW), (_RET, 0, 0, _ERRNO | errno.EAFNOSUPPORT)]
        code += _when(numbers[place], inner)
    for numbers in _OF_ONE_PROCESS.values():
        code += _when(numbers[place], [(_LD, 0, 0, _ARGS), *_equal((0,), _ALLOW), (_RET, 0, 0, eperm)])
    for numbers, process in _OF_SOME_PROCESSES.values():
        inner = [(_LD, 0, 0, _ARGS), (_JEQ, 1, 0, process), (_RET, 0, 0, eperm)]
        inner += [(_LD, 0, 0, _ARGS + 8), *_equal((0,), _ALLOW), (_RET, 0, 0, eperm)]
        code += _when(numbers[place], inner)
    if place == 1:  # the old way in: its arguments lie in memory
        code += _when(_SOCKETCALL, [(_RET, 0, 0, enosys)])
    if not executable_memory:
        inner = [
            (_LD, 0, 0, _ARGS + 8),
            (_JSET, 0, 1, _NOEXEC_SEAL),
            (_RET, 0, 0, _ALLOW),
            (_RET, 0, 0, eperm),
        ]
        code += _when(_MEMFD[place], inner)
    code.append((_RET, 0, 0, _ALLOW))
    return code


def _when(number: int, then: Code) -> Code:
    return [(_JEQ, 0, len(then), number), *then]


def _any_of(bits: int, verdict: int) -> Code:
    return [(_LD, 0, 0, _ARGS), (_JSET, 0, 1, bits), (_RET, 0, 0, verdict), (_RET, 0, 0, _ALLOW)]


def _equal(values: tuple[int, ...], verdict: int) -> Code:
    return [one for value in values for one in ((_JEQ, 0, 1, value), (_RET, 0, 0, verdict))]


def take_away(code: bytes) -> None:
    """Put *code* on the caller for ever. Raises `OSError`."""
    kernel.no_new_privileges()
    kernel.put_filter(code, 0)


__all__ = ["NEW_NAMESPACES", "program", "take_away"]
