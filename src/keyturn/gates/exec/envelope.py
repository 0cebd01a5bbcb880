"""The envelope: what a process tree may read, write, execute and connect to, worked out from a profile. Pure.

`survey` looks at the disk and says what is there; `confinement` makes it so in the child. Rules kept here:

- What no rule names isn't there. A file that a tree may not read has no name in its view, and neither has a socket.
- Everything is there once: of several at one path what hides stands before what protects, and that before what gives; what
  lies deeper comes later.
- Every wall is built twice where the kernel can: mounts and Landlock for files, a network namespace and Landlock for TCP. What
  lies inside a folder that may be changed and still is hidden or protected rests on its mount alone.
- A protected path can't be moved away with the folder it lies in: each folder on the way to it is a mount.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from keyturn.gates.exec import landlock
from keyturn.gates.exec.landlock import Ports, Rule
from keyturn.gates.exec.namespaces import Place
from keyturn.gates.exec.survey import SYSTEM, Survey
from keyturn.policy.profiles import Profile
from keyturn.resources import inside

_PRIVATE = ("/tmp", "/var/tmp", "/run", "/dev/shm")  # noqa: S108 (these are its own)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_DEVICE_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/ptmx": "pts/ptmx",
}

PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "NO_COLOR",
    "FORCE_COLOR", "COLUMNS", "LINES", "CI", "KEYTURN_SESSION",
)  # fmt: skip
"""The variables that a confined tree gets; and LC_*."""


class Envelope(Struct, frozen=True):
    """Everything that `confinement.apply` needs. `places` shallow before deep; `ports` None leaves TCP to the namespace.

    `executables` are the only files that may be executed, empty when the folders' rules say it; `masked` and `protected`
    count what is hidden and what is kept as it is.
    """

    profile: str
    cwd: str
    places: tuple[Place, ...]
    rules: tuple[Rule, ...]
    ports: Ports | None
    network: bool
    executables: tuple[str, ...]
    executable_memory: bool
    masked: int
    protected: int


def envelope(profile: Profile, survey: Survey) -> Envelope:
    """The envelope of *profile* where *survey* looked."""
    anywhere = profile.execute == "anywhere"
    places: dict[str, Place] = {}
    for path in _PRIVATE:
        places[path] = Place(path, "private", writable=True, executable=anywhere)
    if survey.home and "/" not in survey.read:
        places[survey.home] = Place(survey.home, "private", writable=True, executable=anywhere)
    places |= _devices(survey)
    for path in survey.read:
        places[path] = Place(path, executable=anywhere or of_the_system(path) or path in survey.tools)
    for path in survey.write:
        places[path] = Place(path, writable=True, executable=anywhere)
    for path, target in survey.links:
        places.setdefault(path, Place(path, "link", target=target))
    protected = _outermost(survey)
    for path in protected:
        for above in _between(path, survey.write):
            places.setdefault(above, Place(above, writable=True, executable=anywhere))
        places[path] = Place(path, executable=anywhere)
    there = [path for path in (*survey.read, *survey.write) if path not in ("/proc", "/sys")]
    hidden = {path: Place(path, "empty") for path in survey.hidden_folders}
    hidden |= {path: Place(path, "mask") for path in survey.hidden_files}
    hidden = {path: place for path, place in hidden.items() if any(inside(path, one) for one in there)}
    places |= hidden
    ordered = tuple(
        sorted(_visible(places.values(), survey.hidden_folders), key=lambda place: _depth(place.path))
    )
    return Envelope(
        profile=profile.name,
        cwd=survey.cwd,
        places=ordered,
        rules=tuple(_rules(ordered, survey)),
        ports=_ports(profile),
        network=profile.network,
        executables=survey.executables,
        executable_memory=anywhere and not survey.executables,
        masked=len(hidden),
        protected=len(protected),
    )


def of_the_system(path: str) -> bool:
    """Whether *path* lies in a folder that only an administrator changes."""
    return any(inside(path, folder) for folder in SYSTEM)


def scrubbed(environment: Mapping[str, str], profile: Profile) -> dict[str, str]:
    """*environment* with only what may be passed on, temporary files where the tree has a folder for them."""
    names = {*PASSED_ON, *profile.environment}
    kept = {name: value for name, value in environment.items() if name in names or name.startswith("LC_")}
    return kept | ({} if "TMPDIR" in profile.environment else {"TMPDIR": "/tmp"})  # noqa: S108 (its own)


def _devices(survey: Survey) -> dict[str, Place]:
    """A /dev of nothing but what keeps and leads nowhere, with terminals of its own."""
    places = {
        "/dev": Place("/dev", "private", writable=True),
        "/dev/pts": Place("/dev/pts", "terminals", True, devices=True),
    }
    places |= {path: Place(path, writable=True, devices=True) for path in _DEVICES if path in survey.devices}
    return places | {path: Place(path, "link", target=target) for path, target in _DEVICE_LINKS.items()}


def _ports(profile: Profile) -> Ports | None:
    """TCP: nothing for who has no network and writes nothing; a project's tests may talk to themselves."""
    if profile.network:
        return Ports(connect=profile.connect) if profile.connect else None
    return None if profile.write else Ports()


def _rules(places: Iterable[Place], survey: Survey) -> Iterator[Rule]:
    yield Rule("/", landlock.READ_DIR)
    for place in places:
        rights = landlock.READ
        if place.kind == "link" or place.kind in ("mask", "empty"):
            continue
        if place.path == "/dev":
            rights = landlock.READ_DIR
        elif place.devices:
            rights = landlock.DEVICE | landlock.READ_DIR
        else:
            rights |= landlock.WRITE if place.writable else 0
            rights |= landlock.EXECUTE if place.executable and not survey.executables else 0
        yield Rule(place.path, rights)
    for path in survey.executables:
        yield Rule(path, landlock.READ | landlock.EXECUTE)


def _outermost(survey: Survey) -> tuple[str, ...]:
    """The protected paths that lie where something may be written, without those inside another."""
    fixed = {*survey.read, *survey.protected} - {*survey.write}

    def above(path: str) -> str:
        return max(
            (one for one in (*fixed, *survey.write) if one != path and inside(path, one)), key=len, default=""
        )

    return tuple(path for path in survey.protected if above(path) in survey.write)


def _between(path: str, above: Iterable[str]) -> Iterator[str]:
    """The folders on the way to *path* from the innermost of *above*, without the ends."""
    folders = [folder for folder in above if inside(path, folder)]
    if not folders:
        return
    top = max(folders, key=len)
    at = posixpath.dirname(path)
    while at != top and inside(at, top):
        yield at
        at = posixpath.dirname(at)


def _visible(places: Iterable[Place], hidden: Iterable[str]) -> Iterator[Place]:
    """*places* without those inside a hidden folder: there is nothing to be seen."""
    folders = tuple(hidden)
    for place in places:
        if not any(inside(place.path, folder) and place.path != folder for folder in folders):
            yield place


def _depth(path: str) -> tuple[int, str]:
    return (0 if path == "/" else path.count("/"), path)


__all__ = ["PASSED_ON", "Envelope", "envelope", "of_the_system", "scrubbed"]
