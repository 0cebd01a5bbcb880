"""Where things lie and what they are: zones and labels of paths and hosts (`resources.toml`).

A *zone* is one word that says where a path or host lies relative to the agent's work; a *label* says what
it is. Both are worked out from names alone (no I/O); symbolic links are the caller's business.
"""

from __future__ import annotations

import fnmatch
import posixpath
from functools import lru_cache

from msgspec import Struct

ZONES = (
    "workspace",
    "temporary",
    "system",
    "home",
    "outside",
    "keyturn",
    "device",
    "network",
    "loopback",
    "unknown",
    "tool",
    "code",
)
"""`workspace` under the agent's work folder · `temporary` /tmp and kin · `system` /usr, /etc, … · `home` the
user's home outside the workspace · `keyturn` Keyturn's own home and the configuration that wires its gates ·
`device` /dev/null and kin that keep nothing · `outside` elsewhere · `network`/`loopback` hosts ·
`tool` a named tool · `code` code that the reading itself contains or names · `unknown` not resolvable."""


class Label(Struct, frozen=True):
    """One `[[label]]` of resources.toml: `name`, and glob patterns of `paths` and `hosts` it applies to.

    A pattern without a slash is matched against every path component; `~/` is the user's home; `**` spans folders.
    """

    name: str
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Surroundings(Struct, frozen=True):
    """What a reader may know beside the content: folders and labels. Everything absolute, no trailing slash.

    `protected` are paths that belong to Keyturn itself (its home, the client configuration that wires its gates).
    """

    cwd: str = "/"
    workspace: str = ""
    home: str = ""
    protected: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()


_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc",
    "/opt",
    "/boot",
    "/proc",
    "/sys",
    "/var",
    "/run",
    "/srv",
    "/dev",
)
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
_HARMLESS_DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/stdin",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/tty",
    "/dev/random",
    "/dev/urandom",
)


def absolute(path: str, around: Surroundings) -> str:
    """*path* as an absolute, normalised path; `~/` is the user's home. Purely textual."""
    if path == "~" or path.startswith("~/"):
        path = around.home + path[1:] if around.home else path
    joined = posixpath.normpath(posixpath.join(around.cwd or "/", path))
    return "/" + joined.lstrip("/")


def inside(path: str, folder: str) -> bool:
    """Whether absolute *path* is *folder* or below it."""
    return bool(folder) and (path == folder or path.startswith(folder.rstrip("/") + "/") or folder == "/")


def zone(path: str, around: Surroundings) -> str:
    """The zone of absolute *path*. The first that fits of: keyturn, device, workspace, temporary, home, system, outside."""
    if any(inside(path, own) for own in around.protected):
        return "keyturn"
    if path in _HARMLESS_DEVICES or path.startswith("/dev/fd/"):
        return "device"
    if inside(path, around.workspace):
        return "workspace"
    if any(inside(path, folder) for folder in _TEMPORARY):
        return "temporary"
    if inside(path, around.home) and around.home not in ("", "/"):
        return "home"
    if path == "/" or any(inside(path, folder) for folder in _SYSTEM):
        return "system"
    return "outside"


def host_zone(host: str) -> str:
    """`loopback` for this machine's own names, else `network`."""
    bare = host.strip("[]").lower()
    return "loopback" if bare == "localhost" or bare == "::1" or bare.startswith("127.") else "network"


def path_labels(path: str, around: Surroundings) -> tuple[str, ...]:
    """Names of all labels whose patterns match absolute *path*, sorted."""
    return tuple(
        sorted(
            {
                label.name
                for label in around.labels
                for pattern in label.paths
                if _path_matches(path, pattern, around.home)
            }
        )
    )


def host_labels(host: str, around: Surroundings) -> tuple[str, ...]:
    """Names of all labels whose host patterns match *host*, sorted."""
    bare = host.lower().rstrip(".")
    return tuple(
        sorted(
            {
                label.name
                for label in around.labels
                for p in label.hosts
                if fnmatch.fnmatchcase(bare, p.lower())
            }
        )
    )


@lru_cache(maxsize=65_536)
def _path_matches(path: str, pattern: str, home: str) -> bool:
    if pattern.startswith("~/"):
        pattern = home + pattern[1:]
    if "/" not in pattern:
        return any(fnmatch.fnmatchcase(part, pattern) for part in path.split("/") if part)
    if not pattern.startswith("/"):
        pattern = "**/" + pattern
    return fnmatch.fnmatchcase(path, pattern.replace("**/", "*")) or fnmatch.fnmatchcase(
        path, pattern.replace("**", "*")
    )
