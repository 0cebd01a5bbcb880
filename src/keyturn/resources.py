"""Where things lie and what they are: zones and labels of paths and hosts (`resources.toml`).

A *zone* is one word that says where a path or host lies relative to the agent's work; a *label* says what
it is. Both are worked out from names alone (no I/O); symbolic links are the caller's business.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

ZONES = (
    "workspace",
    "temporary",
    "system",
    "home",
    "environment",
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
user's home outside the workspace · `environment` a path that a variable of the person's environment
names, which the agent does not set · `keyturn` Keyturn's own home and the configuration that wires its gates ·
`device` /dev/null and kin that keep nothing · `outside` elsewhere · `network`/`loopback` hosts ·
`tool` a named tool · `code` code that the reading itself contains or names · `unknown` not resolvable."""


class Label(Struct, frozen=True):
    """One `[[label]]` of resources.toml: `name`, and glob patterns of `paths` and `hosts` it applies to.

    A pattern without a slash is matched against every path component; `~/` is the user's home (any folder, while the
    home is unknown); a pattern that begins with neither `/` nor `~/` may begin in any folder; `*`, `?` and `[…]` stay
    within one component, `**` as a component spans any number of them, none too. What holds for a folder holds for
    everything below it.
    """

    name: str
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class CodeFile(Struct, frozen=True):
    """A file that a command would run, as the gate found it under the absolute name `path`.

    `digest` is `sha256:<hex>` of its bytes, empty with a `why` where they can't be had (`missing`: there is none).
    `text` is the whole content of a text that may be read in place of the command; None where it is only digested.
    """

    path: str
    digest: str = ""
    text: str | None = None
    why: str = ""
    missing: bool = False


class Surroundings(Struct, frozen=True):
    """What a reader may know beside the content: folders and labels. Everything absolute, no trailing slash.

    `protected` are paths that belong to Keyturn itself (its home, the client configuration that wires its gates).
    `links` are paths and patterns that the gate saw lead elsewhere through symbolic links: (as named, where it leads).
    `contents` are the files that the command would run, as the gate found them; None where nobody looked.
    `programs` are the policy's own descriptions of programs: (file name, text). What a gate says here does not count.
    `fresh` says that each command gets a shell of its own: what an earlier one set is not there any more.
    """

    cwd: str = "/"
    workspace: str = ""
    home: str = ""
    protected: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    contents: tuple[CodeFile, ...] | None = None
    programs: tuple[tuple[str, str], ...] = ()
    fresh: bool = False


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
    return _normal(posixpath.join(around.cwd or "/", path))


def inside(path: str, folder: str) -> bool:
    """Whether absolute *path* is *folder* or below it."""
    return bool(folder) and (path == folder or path.startswith(folder.rstrip("/") + "/") or folder == "/")


def zone(path: str, around: Surroundings) -> str:
    """The zone of absolute *path*. The first that fits of: keyturn, device, workspace, temporary, home, system, outside.

    A workspace of `/` is none: an agent started there does not thereby own the machine.
    """
    path = _normal(path)
    if any(inside(path, own) for own in around.protected):
        return "keyturn"
    if path in _HARMLESS_DEVICES or _DESCRIPTOR.fullmatch(path):
        return "device"
    if _elsewhere_by_a_link(path):
        return "unknown"
    if inside(path, around.workspace) and _normal(around.workspace) != "/":
        return "workspace"
    if any(inside(path, folder) for folder in _TEMPORARY):
        return "temporary"
    if inside(path, around.home) and around.home not in ("", "/"):
        return "home"
    if path == "/" or any(inside(path, folder) for folder in _SYSTEM):
        return "system"
    return "outside"


_DESCRIPTOR = re.compile(r"/dev/fd/[0-9]+")
_PROCESS = re.compile(r"/proc/(?:self|thread-self|[0-9]+)(?:/task(?:/[0-9]+)?)?(?:/(.*))?", re.DOTALL)
_OF_A_PROCESS = frozenset(
    ("cgroup", "comm", "io", "limits", "loginuid", "maps", "mountinfo", "mounts", "oom_score", "oom_score_adj", "sched",
     "schedstat", "smaps_rollup", "stat", "statm", "status", "wchan")
)  # fmt: skip
"""Files in a process's folder that say nothing of its words, variables, memory or open files (proc(5))."""


def _elsewhere_by_a_link(path: str) -> bool:
    """Whether *path* goes through what the kernel makes up for one process: `root`, `cwd` and descriptors lead anywhere.

    A process's whole folder counts, too: whoever reads below it reads those.
    """
    if path.startswith("/dev/fd/"):
        return True
    process = _PROCESS.fullmatch(path)
    return process is not None and process.group(1) not in _OF_A_PROCESS


def host_zone(host: str) -> str:
    """`loopback` for this machine's own names and addresses, however they are spelled, else `network`.

    127.0.0.0/8 and ::1 (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3), the unspecified addresses, which reach this machine
    on Linux, and IPv4 addresses within IPv6 ones. A name that only begins like an address is a name.
    """
    bare = _bare_host(host)
    if bare == "localhost":
        return "loopback"
    address = _address(bare)
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if address is None:
        return "network"
    first_octet_is_zero = isinstance(address, IPv4Address) and int(address) >> 24 == 0
    return "loopback" if address.is_loopback or address.is_unspecified or first_octet_is_zero else "network"


def path_labels(path: str, around: Surroundings) -> tuple[str, ...]:
    """Names of all labels whose patterns match absolute *path* or a folder above it, sorted."""
    path = _normal(path)
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
    """Names of all labels whose host patterns match *host* (or the address it spells), sorted."""
    bare = _bare_host(host)
    address = _address(bare)
    names = {bare} if address is None else {bare, str(address)}
    return tuple(
        sorted(
            {
                label.name
                for label in around.labels
                for pattern in label.hosts
                if any(fnmatch.fnmatchcase(name, pattern.lower()) for name in names)
            }
        )
    )


def _normal(path: str) -> str:
    """*path* from the root, without `.`, `..` and doubled slashes."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def _bare_host(host: str) -> str:
    return host.strip("[]").lower().rstrip(".")


def _address(bare: str) -> IPv4Address | IPv6Address | None:
    """The address that *bare* spells: IPv6, or IPv4 in any form that inet_aton(3) takes (`127.1`, `0x7f.1`, `2130706433`)."""
    if ":" in bare:
        try:
            return IPv6Address(bare)
        except ValueError:
            return None
    parts = bare.split(".")
    if len(parts) > 4 or not all(_OCTETS.fullmatch(part) for part in parts):
        return None
    numbers = [_aton_number(part) for part in parts]
    if None in numbers:
        return None
    *leading, last = [number for number in numbers if number is not None]
    if any(number > 255 for number in leading) or last >= 256 ** (4 - len(leading)):
        return None
    value = sum(number << (24 - 8 * place) for place, number in enumerate(leading)) + last
    return IPv4Address(value)


_OCTETS = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,16}", re.ASCII)


def _aton_number(text: str) -> int | None:
    """A number as inet_aton(3) reads it: hexadecimal after `0x`, octal after `0`, else decimal."""
    try:
        if text.startswith("0x"):
            return int(text, 16)
        return int(text, 8) if text.startswith("0") else int(text)
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def _path_matches(path: str, pattern: str, home: str) -> bool:
    """Whether *pattern* matches *path* or a folder above it: one pass, going back to the last `**` only."""
    names = [name for name in path.split("/") if name]
    globs = _globs(pattern, home)
    at = begun = begun_again = 0
    resume: int | None = None  # the glob after the last `**`, tried again one name later
    while at < len(globs):
        if globs[at] == "**":
            at += 1
            resume, begun_again = at, begun
        elif begun < len(names) and fnmatch.fnmatchcase(names[begun], globs[at]):
            at, begun = at + 1, begun + 1
        elif resume is not None and begun_again < len(names):
            begun_again += 1
            at, begun = resume, begun_again
        else:
            return False
    return True


@lru_cache(maxsize=4_096)
def _globs(pattern: str, home: str) -> tuple[str, ...]:
    """*pattern* as one glob for each path component, from the root; `**` stands for any number of components."""
    if pattern == "~" or pattern.startswith("~/"):
        pattern = (home if home else "/**") + pattern[1:]
    elif not pattern.startswith("/"):
        pattern = "/**/" + pattern
    return tuple(part for part in pattern.split("/") if part)
