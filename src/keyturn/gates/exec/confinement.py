"""The envelope around one run: built in the child, said to the person, and cleared away afterwards.

A wall that was asked for and can't be built ends the run before anything starts (`NotConfined`). What this kernel can't wall off
at all is said by name (`Standing.open`), never left out.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.exec import calls, landlock, namespaces
from keyturn.gates.exec.envelope import Envelope, envelope, scrubbed
from keyturn.gates.exec.model import Support
from keyturn.gates.exec.survey import Survey, Unsurveyed, survey
from keyturn.resources import Surroundings
from keyturn.service.model import Confinement

_PLACEHOLDER = stat.S_ISVTX | 0o555
ASIDE = ".put-aside-by-keyturn"
"""What is added to the name of what appeared where nothing may stand."""


class NoEnvelope(KeyturnError):
    """The envelope that was asked for can't be built around this command."""

    code = "run.no_envelope"
    status = 409
    exit_code = ExitCode.RUN_REFUSED
    not_done = "Nothing was started."
    next_step = (
        "Run it where the kernel can, choose another profile, or leave --confine out if policy lets you."
    )


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


def standing(whole: Envelope, abi: int) -> Standing:
    """Which walls *whole* has on a kernel with Landlock *abi*."""
    walls = [f"landlock={abi}", "mounts", "ipc", "calls"]
    if not whole.network:
        walls.append("network")
    if whole.ports is not None and abi >= landlock.TCP_SINCE:
        walls.append("tcp")
    if whole.executables:
        walls.append(f"programs={len(whole.executables)}")
    gaps = ["command lines of other processes can be read"]
    if abi >= landlock.SCOPES_SINCE:
        walls.append("signals")
    else:
        gaps.append("signals to other processes of this account (Landlock before ABI 6)")
    if whole.network:
        gaps.append("UDP" if whole.ports is not None else "the machine's network")
        if whole.ports is not None and abi < landlock.TCP_SINCE:
            gaps.append("TCP ports (Landlock before ABI 4)")
        if abi < landlock.SCOPES_SINCE:
            gaps.append("abstract sockets (Landlock before ABI 6)")
    return Standing(whole.profile, tuple(walls), tuple(gaps), whole.masked, whole.protected)


def builder(whole: Envelope) -> Callable[[], None]:
    """What is called in the child, between fork and exec, to put it into *whole*. It raises `OSError`: then nothing starts."""
    code = calls.program(executable_memory=whole.executable_memory)

    def build() -> None:
        for number in range(3):
            if stat.S_ISDIR(os.fstat(number).st_mode):
                raise OSError(9, f"its standard descriptor {number} is a folder, which would be a way out")
        namespaces.enter(whole.places, whole.cwd, network=whole.network)
        landlock.restrict(whole.rules, whole.ports, range(3))
        calls.take_away(code)

    return build


class Confined:
    """One run's envelope, from the look at the disk to the clearing away. Raises `NoEnvelope`.

    *around* says where the command starts, *own* what is Keyturn's, *support* what the kernel offers.
    """

    def __init__(self, told: Confinement, around: Surroundings, own: Iterable[str], support: Support) -> None:
        profile = told.profile
        if lack := missing(support):
            raise NoEnvelope(f"No command can be confined here: {lack}.")
        try:
            seen = survey(profile, told.labels, around, tuple(own))
        except (Unsurveyed, OSError) as problem:
            raise NoEnvelope(f"The command can't be confined by {profile.name}: {problem}.") from problem
        watched = [f"{git}/commondir" for git in seen.git_folders]
        self._placeholders = Placeholders(seen.absent, seen.protected, watched)
        self._profile = profile
        whole = envelope(profile, covered(seen, self._placeholders.made))
        self.standing = standing(whole, support.landlock_abi)
        self.build = builder(whole)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What of *given* the tree gets."""
        return scrubbed(given, self._profile)

    def clear(self) -> list[str]:
        """See `Placeholders.clear`."""
        return self._placeholders.clear()


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


def covered(seen: Survey, made: Iterable[str]) -> Survey:
    """*seen* with the placeholders *made* among what is protected."""
    return replace(seen, protected=tuple(sorted({*seen.protected, *made})))


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


__all__ = [
    "ASIDE",
    "Confined",
    "NoEnvelope",
    "Placeholders",
    "Standing",
    "builder",
    "covered",
    "missing",
    "standing",
]
