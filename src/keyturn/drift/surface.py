"""How far from an agent's own work something lies that it changes: ranks from 0 (its own work) to 5 (what gives power). Pure.

The ranks are a lattice of zones, labels and well-known folders: who may write one rank may usually undo the protection of none below it.
What is not known lies as high as the highest it may be.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from keyturn.actions import Effect, Reading
from keyturn.drift.remembering import Remembered

RANKS = (
    "its own work",
    "temporary files",
    "what others keep (logs, caches, data, homes)",
    "configuration of the system",
    "programs of the system, or a user's own settings",
    "what gives power",
)
"""What each rank is called."""
POWER = len(RANKS) - 1

_POWER = (
    "/etc/sudoers", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/ssh", "/etc/pam.d", "/etc/security", "/etc/cron",
    "/etc/systemd", "/etc/init.d", "/etc/ld.so", "/etc/profile", "/etc/environment", "/etc/polkit-1", "/etc/kubernetes",
    "/etc/ssl/private", "/etc/doas.conf", "/etc/nsswitch.conf", "/etc/udev", "/etc/apt", "/etc/rc", "/etc/fstab", "/lib/systemd",
    "/usr/lib/systemd", "/var/spool/cron", "/var/run/docker.sock", "/run/docker.sock", "/root", "/proc", "/sys", "/boot", "/dev",
    "/lib/security", "/usr/share/polkit-1",
)  # fmt: skip
_CONFIGURATION = ("/etc", "/opt", "/usr/local", "/var/lib", "/srv")
_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_SECRET_LABELS = frozenset({"secret", "private-key"})
_SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".config/gcloud"})
_CHANGES = frozenset({"writes", "deletes", "configures", "grants"})
_OWN_ZONES = {
    "workspace": 0,
    "device": 0,
    "tool": 0,
    "code": 0,
    "loopback": 0,
    "temporary": 1,
    "keyturn": POWER,
}


class Reach(Struct, frozen=True, order=True):
    """The farthest that one action changes: its rank and the path."""

    rank: int
    path: str


def reach(reading: Reading, known: Sequence[str] = ()) -> Reach | None:
    """The farthest thing that *reading* changes, leaving out what lies below *known* folders; None where it changes nothing."""
    return _REACHES.of(reading, known, "", lambda: _reach(reading, known))


_REACHES: Remembered[Reach | None] = Remembered()


def _reach(reading: Reading, known: Sequence[str]) -> Reach | None:
    found = [
        Reach(rank(effect), effect.what)
        for effect in reading.effects
        if effect.verb in _CHANGES and effect.zone != "network"
    ]
    counted = [one for one in found if not any(_below(one.path, folder) for folder in known)]
    return max(counted, default=None)


def rank(effect: Effect) -> int:
    """How far what *effect* changes lies from the agent's own work."""
    if _SECRET_LABELS.intersection(effect.labels):
        return POWER
    if effect.zone in _OWN_ZONES:
        return _OWN_ZONES[effect.zone]
    path = effect.what
    if not path.startswith("/"):
        return 2 if effect.zone != "unknown" else 3
    if any(_may_lie_below(path, folder) for folder in _POWER):
        return POWER
    if effect.zone in ("home", "environment"):
        return _home(path)
    if any(_below(path, folder) for folder in _CONFIGURATION):
        return 3
    if path == "/" or any(_below(path, folder) for folder in _PROGRAMS):
        return 4
    return 3 if effect.zone == "unknown" else 2


def _home(path: str) -> int:
    parts = path.split("/")[2:]
    if any(part in _SECRET_FOLDERS for part in parts):
        return POWER
    return 4 if any(part.startswith(".") for part in parts) else 2


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _may_lie_below(path: str, folder: str) -> bool:
    """Whether *path* begins like *folder* (`/etc/sudoers` is meant with `/etc/sudoers.d`, too), or a pattern in it may."""
    if path.startswith(folder) and (
        folder not in ("/dev", "/proc", "/sys", "/root", "/boot") or _below(path, folder)
    ):
        return True
    wild = min((at for at in map(path.find, "*?[") if at >= 0), default=-1)
    return wild >= 0 and folder.startswith(path[:wild]) and path[:wild].count("/") >= folder.count("/")
