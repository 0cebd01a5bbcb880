"""The envelope around one run: built in the child, said to the person, and cleared away afterwards.

A wall that was asked for and can't be built ends the run before anything starts (`NotConfined`). What this kernel can't wall off
at all is said by name (`Standing.open`), never left out.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from keyturn.gates.exec import calls, landlock, namespaces
from keyturn.gates.exec.envelope import Envelope
from keyturn.gates.exec.model import Support
from keyturn.gates.exec.survey import Survey

_PLACEHOLDER = stat.S_ISVTX | 0o555
ASIDE = ".put-aside-by-keyturn"
"""What is added to the name of what appeared where nothing may stand."""


class Standing(Struct, frozen=True):
    """Which walls stand around a tree. `open` says in words what this kernel leaves open; `masked` and `protected` count paths."""

    profile: str
    walls: tuple[str, ...]
    open: tuple[str, ...] = ()
    masked: int = 0
    protected: int = 0

    @property
    def mark(self) -> str:
        """All of it in one word, for the gate's version in the ledger."""
        return f"{self.profile}({','.join((*self.walls, f'masked={self.masked}', f'protected={self.protected}'))})"

    @property
    def words(self) -> str:
        """All of it in a sentence."""
        gap = f"; open: {', '.join(self.open)}" if self.open else ""
        return f"confined by {self.profile}: {', '.join(self.walls)}; {self.masked} masked, {self.protected} protected{gap}."


def missing(support: Support) -> str:
    """What this kernel lacks for any envelope, in words; empty if nothing."""
    if not support.verified:
        return "programs can't be stopped here as they start"
    if not support.landlock_abi:
        return "there is no Landlock"
    return "" if support.namespaces else "this account gets no user, mount and network namespaces"


def standing(envelope: Envelope, abi: int) -> Standing:
    """Which walls *envelope* has on a kernel with Landlock *abi*."""
    walls = [f"landlock={abi}", "mounts", "ipc", "calls"]
    if not envelope.network:
        walls.append("network")
    if envelope.ports is not None and abi >= landlock.TCP_SINCE:
        walls.append("tcp")
    if envelope.executables:
        walls.append(f"programs={len(envelope.executables)}")
    gaps = ["command lines of other processes can be read"]
    if abi >= landlock.SCOPES_SINCE:
        walls.append("signals")
    else:
        gaps.append("signals to other processes of this account (Landlock before ABI 6)")
    if envelope.network:
        gaps.append("UDP" if envelope.ports is not None else "the machine's network")
        if envelope.ports is not None and abi < landlock.TCP_SINCE:
            gaps.append("TCP ports (Landlock before ABI 4)")
        if abi < landlock.SCOPES_SINCE:
            gaps.append("abstract sockets (Landlock before ABI 6)")
    return Standing(envelope.profile, tuple(walls), tuple(gaps), envelope.masked, envelope.protected)


def builder(envelope: Envelope) -> Callable[[], None]:
    """What is called in the child, between fork and exec, to put it into *envelope*. It raises `OSError`: then nothing starts."""
    code = calls.program(executable_memory=envelope.executable_memory)

    def build() -> None:
        for number in range(3):
            if stat.S_ISDIR(os.fstat(number).st_mode):
                raise OSError(9, f"its standard descriptor {number} is a folder, which would be a way out")
        namespaces.enter(envelope.places, envelope.cwd, network=envelope.network)
        landlock.restrict(envelope.rules, envelope.ports)
        calls.take_away(code)

    return build


# --- what isn't there yet --------------------------------------------------------------------------


class Placeholders:
    """Protected paths that aren't there, made so that a mount can cover them, and taken away again when the last run ends.

    Empty folders, which git doesn't see, marked by the sticky bit and no right to write as nobody's. Each run that uses one
    holds a shared lock on it. *watched* are paths where nothing may stand that a program reads: what appears there is given
    another name at the end.
    """

    def __init__(self, absent: Iterable[str], present: Iterable[str], watched: Iterable[str]) -> None:
        self.made = tuple(path for path in absent if _placed(path))
        others = (path for path in present if _is_placeholder(path))  # another run's, or one that was cut off
        self._held = {path: _locked(path) for path in (*self.made, *others)}
        self._watched = [path for path in watched if not os.path.lexists(path)]

    def clear(self) -> list[str]:
        """Take them away, but those another run needs; the watched paths where something appeared, which it got another name."""
        for path, lock in self._held.items():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_placeholder(path):
                    os.rmdir(path)
            except OSError:
                continue  # the last of the runs does it
            finally:
                os.close(lock)
        self._held.clear()
        return [path for path in self._watched if _put_aside(path)]


def covered(survey: Survey, made: Iterable[str]) -> Survey:
    """*survey* with the placeholders *made* among what is protected."""
    return replace(survey, protected=tuple(sorted({*survey.protected, *made})))


def _locked(path: str) -> int:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return lock


def _placed(path: str) -> bool:
    try:
        os.mkdir(path, 0o500)
        os.chmod(path, _PLACEHOLDER)
    except OSError:
        return False  # this account can't make it, so neither can the tree
    return True


def _put_aside(path: str) -> bool:
    try:
        os.rename(path, f"{path}{ASIDE}")
    except OSError:
        return False
    return True


def _is_placeholder(path: str) -> bool:
    try:
        status = os.lstat(path)
        ours = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == _PLACEHOLDER
        return ours and status.st_uid == os.geteuid() and not os.listdir(path)
    except OSError:
        return False


__all__ = ["ASIDE", "Placeholders", "Standing", "builder", "covered", "missing", "standing"]
