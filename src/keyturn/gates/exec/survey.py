"""What lies on the disk where a profile looks: which of its paths there are, what is secret in the workspace, what is protected.

Done by the gate before anything starts, as the person whose command it is. Bounded: a workspace that is too large to be looked
through is not confined by half, but refused.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator

from msgspec import Struct

from keyturn.policy.profiles import TOOLS, Profile
from keyturn.resources import Label, Surroundings, inside, path_labels

SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store", "/snap",
)  # fmt: skip
"""Where programs of the system lie."""

READABLE = (
    *SYSTEM,
    "/etc",
    "/sys",
    "/proc",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/cache/man",
    "/var/lib/texmf",
)
"""What every profile may read, where it is there."""

MAX_ENTRIES = 400_000
"""Most files and folders that are looked at in a workspace."""
MAX_HIDDEN = 500
"""Most files and folders that are hidden or protected: each is a mount."""
_UNSEARCHED = frozenset(
    ("node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", ".mypy_cache", ".ruff_cache")
)
"""Folders of other people's code and of caches; secrets are not looked for in them."""
_PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_GIT_OBJECTS = frozenset(("objects", "refs", "logs", "lfs"))


class Unsurveyed(Exception):
    """What there is can't be told, so nothing is started. The message says why."""


class Survey(Struct, frozen=True):
    """What is there; every path absolute and free of symbolic links, but those of `links` (path, what the link says).

    `tools` are those of `read` that hold programs a person installed; `absent` are protected paths that aren't there.
    """

    cwd: str
    home: str = ""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    protected: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    hidden_files: tuple[str, ...] = ()
    hidden_folders: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    executables: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    git_folders: tuple[str, ...] = ()


def survey(profile: Profile, labels: Iterable[Label], around: Surroundings, own: Iterable[str]) -> Survey:
    """What *profile* finds from the folder `around.cwd`; *own* are Keyturn's folders and files. Raises `Unsurveyed`."""
    if not around.workspace and any(
        path == "." or path.startswith("./") for path in (*profile.read, *profile.write)
    ):
        raise Unsurveyed(f"{around.cwd} is no workspace (a home, or a folder of the system)")
    links: dict[str, str] = {}
    tools = tuple(_found(TOOLS, around, {}))
    write = tuple(_found(profile.write, around, links))
    read = tuple(path for path in _found((*READABLE, *profile.read), around, links) if path not in write)
    if profile.network:
        read = tuple(dict.fromkeys((*read, *_found(("/etc/resolv.conf",), around, links))))
    if not any(inside(around.cwd, path) for path in (*read, *write)):
        raise Unsurveyed(f"the profile {profile.name} lets {around.cwd} neither be read nor written")
    looked = _Look(tuple(labels), around)
    for path in dict.fromkeys((*write, *((around.workspace,) if around.workspace else ()))):
        if any(inside(path, one) for one in (*read, *write)):
            looked.through(path)
    looked.named(own)
    present, absent = looked.protected(profile.protect, write, own)
    files, folders = looked.hidden
    if len(files) + len(folders) + len(present) > MAX_HIDDEN:
        raise Unsurveyed(f"more than {MAX_HIDDEN} files and folders there are secret or protected")
    return Survey(
        cwd=around.cwd,
        home=around.home if os.path.isdir(around.home) and around.home != "/" else "",
        read=read,
        write=write,
        links=tuple(sorted(links.items())),
        protected=present,
        absent=absent,
        hidden_files=files,
        hidden_folders=folders,
        tools=tools,
        executables=programs(profile.programs),
        devices=tuple(path for path in glob.glob("/dev/*") if not os.path.islink(path)),
        git_folders=looked.git_folders,
    )


def _found(paths: Iterable[str], around: Surroundings, links: dict[str, str]) -> Iterator[str]:
    """Those of *paths* that are there, resolved; a path that is a link itself is kept in *links*."""
    for given in paths:
        path = _absolute(given, around)
        real = os.path.realpath(path)
        if path and os.path.exists(real):
            if os.path.islink(path) and os.path.realpath(posixpath.dirname(path)) == posixpath.dirname(path):
                links[path] = os.readlink(path)
            yield real


def _absolute(given: str, around: Surroundings) -> str:
    path = given.rstrip("/") or "/"
    if path == "~" or path.startswith("~/"):
        return around.home + path[1:] if around.home else ""
    return path if path.startswith("/") else posixpath.normpath(posixpath.join(around.workspace, path))


class _Look:
    """One look through the folders that the tree gets."""

    def __init__(self, labels: tuple[Label, ...], around: Surroundings) -> None:
        self._around = Surroundings(home=around.home, labels=labels)
        self._candidate = _last_parts(labels)
        self._absolute = [path for label in labels for path in label.paths if path.startswith(("/", "~"))]
        self._left = MAX_ENTRIES
        self._inodes: dict[tuple[int, int], str] = {}
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._git: list[str] = []
        self._leading: list[str] = []
        self._linked: set[int] = set()

    @property
    def hidden(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The files and folders to hide, sorted."""
        return tuple(sorted(self._files)), tuple(sorted(self._folders))

    @property
    def git_folders(self) -> tuple[str, ...]:
        """The repositories' own folders."""
        return tuple(sorted(self._git))

    def through(self, top: str) -> None:
        """Find what is secret or leads outside below *top*, and the repositories there. A second name of a secret file is found, too."""
        names: dict[int, list[str]] = {}
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            entries = self._entries(folder)
            there = {entry.name for entry in entries}
            if {"HEAD", "objects", "config"} <= there:
                self._git.append(folder)
                entries = [entry for entry in entries if entry.name not in _GIT_OBJECTS]
            self._leading += [f"{folder}/{name}" for name in _leading(entries, there)]
            for entry in entries:
                names.setdefault(entry.inode(), []).append(entry.path)
                labelled = self._candidate.fullmatch(entry.name) and path_labels(entry.path, self._around)
                if labelled or _is_special(entry):
                    self.hide(entry.path)
                elif entry.is_dir(follow_symlinks=False) and entry.name not in _UNSEARCHED:
                    waiting.append(entry.path)
        for inode in self._linked:
            for path in names.get(inode, ()):
                self.hide(path)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            return []  # whoever runs the command can't look into it either
        self._left -= len(entries)
        if self._left < 0:
            raise Unsurveyed(f"there are more than {MAX_ENTRIES:,} files to be looked through")
        return entries

    def hide(self, path: str) -> None:
        """Hide what lies at *path*, or where a link there leads."""
        real = os.path.realpath(path)
        try:
            status = os.stat(real)
        except OSError:
            return
        if stat.S_ISDIR(status.st_mode):
            self._folders.add(real)
        else:
            self._files.add(real)
            if status.st_nlink > 1:
                self._linked.add(status.st_ino)

    def named(self, own: Iterable[str]) -> None:
        """Hide what labels name by whole paths, and Keyturn's *own* folders. What is made up in /proc has Landlock's guard."""
        for pattern in self._absolute:
            path = _absolute(pattern.removesuffix("/**"), self._around)
            if path and not path.startswith("/proc/"):
                for found in glob.glob(path, include_hidden=True):
                    self.hide(found)
        for path in own:
            if os.path.isdir(path):
                self.hide(path)

    def protected(
        self, listed: Iterable[str], write: tuple[str, ...], own: Iterable[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The paths to keep as they are that are there, and those that aren't."""
        wanted = [posixpath.join(top, path) for top in write for path in listed]
        for git in self._git:
            wanted += [f"{git}/{name}" for name in ("config", "config.worktree", "hooks")]
        wanted += self._leading
        wanted += [path for path in own if not os.path.isdir(path)]
        present: set[str] = set()
        absent: set[str] = set()
        for path in wanted:
            real = os.path.realpath(path.rstrip("/"))
            if not any(inside(real, top) for top in write):
                continue
            if os.path.lexists(real):
                present.add(real)
            elif os.path.isdir(posixpath.dirname(real)):
                absent.add(real)
        known = present | absent
        bare = {path for path in absent if not any(inside(path, one) for one in known if one != path)}
        return tuple(sorted(present)), tuple(sorted(bare))


def _leading(entries: Iterable[os.DirEntry[str]], names: set[str]) -> Iterator[str]:
    """Files there that say where a repository's settings lie (gitrepository-layout(5)): of a worktree, or a submodule."""
    if {"HEAD", "commondir"} <= names:
        yield from ("commondir", "gitdir", "config.worktree")
    if any(entry.name == ".git" and entry.is_file(follow_symlinks=False) for entry in entries):
        yield ".git"


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether it is a socket, a pipe or a device: who is at its other end is outside the tree."""
    return not (entry.is_symlink() or entry.is_dir() or entry.is_file())


def _last_parts(labels: Iterable[Label]) -> re.Pattern[str]:
    """What the last part of a path looks like that a pattern could match; a match is looked at as a whole."""
    parts = {
        [part for part in pattern.split("/") if part not in ("", "**")][-1]
        for label in labels
        for pattern in label.paths
        if pattern.strip("/*")
    }
    return re.compile("|".join(fnmatch.translate(part) for part in sorted(parts)) or r"(?!)")


# --- programs --------------------------------------------------------------------------------------


def programs(listed: Iterable[str]) -> tuple[str, ...]:
    """The files that starting the programs *listed* (names, paths, folders that end in `/`) takes, links followed."""
    found: dict[str, None] = {}
    for name in listed:
        for path in _candidates(name):
            _with_interpreters(os.path.realpath(path), found, 4)
    return tuple(found)


def _candidates(name: str) -> list[str]:
    if name.endswith("/"):
        return [entry.path for entry in os.scandir(name)] if os.path.isdir(name) else []
    if "/" in name:
        return [name]
    return [path for folder in _PROGRAM_FOLDERS if os.path.exists(path := f"{folder}/{name}")]


def _with_interpreters(path: str, found: dict[str, None], depth: int) -> None:
    if path in found or not os.path.isfile(path) or not os.access(path, os.X_OK):
        return
    found[path] = None
    with open(path, "rb") as file:
        head = file.read(4096)
    if head.startswith(b"#!") and depth:
        words = head[2:].split(b"\n", 1)[0].split()
        if words:
            _with_interpreters(os.path.realpath(os.fsdecode(words[0])), found, depth - 1)
    elif head.startswith(b"\x7fELF"):
        loader = re.search(rb"/[\w./-]*ld[-\w.]*\.so[.\w]*\0", head)
        if loader:
            _with_interpreters(os.path.realpath(os.fsdecode(loader.group()[:-1])), found, 0)


__all__ = ["READABLE", "SYSTEM", "Survey", "Unsurveyed", "programs", "survey"]
