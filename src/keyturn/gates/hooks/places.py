"""Where a hook's client works: its folder and its user's home, from the kernel rather than from its words.

The hook process is the peer of the socket; its parent (or its parent's parent, when a shell stands between) is the
agent client. The client's own working directory is where it was started: an agent that changes directory in its shell
moves its commands, not its workspace.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ash", "busybox", "env", "timeout"))
_TOO_WIDE = ("/", "/home", "/root", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt", "/boot", "/proc", "/sys", "/var", "/run", "/srv", "/dev", "/tmp", "/var/tmp", "/mnt", "/media")  # noqa: S108, E501  # fmt: skip
MAX_ANCESTORS = 32


class Place(Struct, frozen=True):
    """Where a client runs. `pids` are the client and its ancestors, nearest first; `workspace` is empty when there is none."""

    home: str
    workspace: str
    pids: tuple[int, ...] = ()


def place(pid: int, uid: int, cwd: str, in_process: bool = False) -> Place:
    """The place of the client whose hook is process *pid* of user *uid*; *cwd* is what the client says.

    With *in_process* the client itself is at the other end.
    """
    above = (pid, *ancestors(pid)) if in_process else ancestors(pid)
    at = next((n for n, p in enumerate(above) if _name(p) not in _SHELLS), len(above))
    pids = above[at:]
    client = pids[0] if pids else None
    home = _own_home(client, uid) or _home(uid)
    return Place(home, workspace(_link(client, "cwd") or cwd, home), pids)


def workspace(folder: str, home: str) -> str:
    """*folder* as a workspace, resolved; empty when it is the home, above it, or a folder of the system."""
    real = os.path.realpath(folder)
    above_home = home == real or home.startswith(real.rstrip("/") + "/")
    return "" if real in _TOO_WIDE or above_home else real


def ancestors(pid: int) -> tuple[int, ...]:
    """The parents of *pid*, nearest first."""
    found: list[int] = []
    while len(found) < MAX_ANCESTORS:
        parent = _parent(pid)
        if parent <= 1:
            break
        found.append(parent)
        pid = parent
    return tuple(found)


def _parent(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError), Path(f"/proc/{pid}/stat").open("rb") as source:
        return int(source.read().rpartition(b")")[2].split()[1])
    return 0


def _name(pid: int) -> str:
    with suppress(OSError), Path(f"/proc/{pid}/comm").open() as source:
        return source.read().strip()
    return ""


def _link(pid: int | None, name: str) -> str | None:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/{name}").readlink()) if pid else None
    return None


def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir.rstrip("/")
    except KeyError:
        return ""


def _own_home(pid: int | None, uid: int) -> str | None:
    """HOME as the client was started with it, if that is a folder of the user's own."""
    if pid is None:
        return None
    with suppress(OSError, UnicodeDecodeError, ValueError), Path(f"/proc/{pid}/environ").open("rb") as source:
        for variable in source.read(262_144).split(b"\0"):
            if variable.startswith(b"HOME=/"):
                home = os.path.realpath(variable[5:].decode())
                return home if Path(home).stat().st_uid == uid else None
    return None
