"""Which process is at the other end, and whether it is an agent's: from the kernel, not from its words (proc(5)).

Rules kept here:

- A process id is used again: a process is its id *and* when it began. What began after its session is another process.
- An agent's process is one that opened a session that is still open, or descends from one, or whose environment at its start
  named an open session. The first two can't be shed by a process that keeps its parents; the third, once given, stays in
  `/proc/PID/environ`. Who says that it is in a session gains nothing by it.
- What can't be seen (another account's process over loopback, another machine's) is not guessed at: the answer is *not known*.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from keyturn.service.core import Core

MAX_ABOVE = 256
MAX_ENVIRON = 262_144
SLACK_SECONDS = 2.0
"""How far a process's start, counted in ticks since boot, and an entry's wall clock may disagree."""

SESSION_VARIABLE = b"KEYTURN_SESSION="
_TICKS = os.sysconf("SC_CLK_TCK")


def started(pid: int) -> int:
    """When *pid* began, in ticks since boot (proc_pid_stat(5), field 22); 0 when there is no such process."""
    return _stat(pid)[1]


def alive(pid: int, began: int) -> bool:
    """Whether that very process still runs."""
    return began != 0 and started(pid) == began


def above(pid: int) -> Iterator[tuple[int, int]]:
    """*pid* and its ancestors, nearest first, each with when it began."""
    for _ in range(MAX_ABOVE):
        if pid <= 1:
            return
        parent, began = _stat(pid)
        if not began:
            return
        yield pid, began
        pid = parent


def session_around(core: Core, pid: int) -> str | None:
    """The open session that *pid* belongs to: one whose process it is or descends from, or that its environment names."""
    if pid <= 1:
        return None
    opened = {
        row["pid"]: row for row in core.ledger.rows("session", state="open", limit=100_000) if row.get("pid")
    }
    boot = time.time() - _uptime()
    for process, began in above(pid):
        row = opened.get(process)
        if row is not None and boot + began / _TICKS <= row["opened"] / 1000 + SLACK_SECONDS:
            return str(row["id"])
        named = _named(process)
        row = core.ledger.row("session", named) if named else None
        if row is not None and not row.get("closed"):
            return named
    return None


def owner_of_tcp(own: tuple[str, int], other: tuple[str, int]) -> int:
    """The process that holds the other end, *other*, of a loopback connection to *own*; 0 when that can't be seen."""
    inode = _inode(other, own)
    if not inode:
        return 0
    wanted = f"socket:[{inode}]"
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _holds(folder / "fd", wanted):
            return int(folder.name)
    return 0


def owner(pid: int) -> int | None:
    """The account that *pid* runs under; None when that can't be seen."""
    if not pid:
        return None
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}").stat().st_uid
    return None


def is_loopback(address: str) -> bool:
    """Whether that is an address of this machine's own (also as an IPv4 address within IPv6)."""
    with contextlib.suppress(ValueError):
        one = ipaddress.ip_address(address)
        mapped = getattr(one, "ipv4_mapped", None)
        return bool(one.is_loopback or (mapped and mapped.is_loopback))
    return False


def _stat(pid: int) -> tuple[int, int]:
    """Parent and start of *pid*; zeros when there is none. A name may hold spaces and parentheses, so from the last one."""
    with contextlib.suppress(OSError, ValueError, IndexError), Path(f"/proc/{pid}/stat").open("rb") as source:
        fields = source.read(4096).rpartition(b")")[2].split()
        return int(fields[1]), int(fields[19])
    return 0, 0


def _uptime() -> float:
    """Seconds since boot. Without a number nothing is taken for an agent's by its start alone."""
    with contextlib.suppress(OSError, ValueError, IndexError), Path("/proc/uptime").open() as source:
        return float(source.read().split()[0])
    return 0.0


def _named(pid: int) -> str | None:
    """The session that the environment named with which *pid* was started."""
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/environ").open("rb") as source:
        for variable in source.read(MAX_ENVIRON).split(b"\0"):
            if variable.startswith(SESSION_VARIABLE):
                return variable[len(SESSION_VARIABLE) :].decode("ascii", "replace")
    return None


def _inode(local: tuple[str, int], remote: tuple[str, int]) -> str:
    """The inode of the established socket *local* → *remote* (proc_net_tcp(5))."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError, ValueError, IndexError), Path(table).open() as source:
            next(source)
            for line in source:
                fields = line.split()
                if _address(fields[1]) == _plain(local) and _address(fields[2]) == _plain(remote):
                    return fields[9]
    return ""


def _plain(where: tuple[str, int]) -> tuple[str, int]:
    address = ipaddress.ip_address(where[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), where[1]


def _address(text: str) -> tuple[str, int]:
    """An address as the kernel writes it: words of four bytes in the machine's own order, then the port."""
    digits, _, port = text.partition(":")
    raw = bytes.fromhex(digits)
    words = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4)) if _LITTLE else raw
    return _plain((str(ipaddress.ip_address(words)), int(port, 16)))


_LITTLE = sys.byteorder == "little"


def _holds(folder: Path, wanted: str) -> bool:
    """Whether one of the descriptors is that socket. Another account's can't be read, so it holds nothing that we know of."""
    with contextlib.suppress(OSError):
        for descriptor in folder.iterdir():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) == wanted:
                    return True
    return False
