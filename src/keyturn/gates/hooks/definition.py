"""What an agent is, as far as files tell: instructions, settings, hooks, servers and permissions that its client loads.

Bounded: a file beyond 1 MiB or not readable counts by its size alone; of one pattern's files the first 200 by name; imports
are followed five files deep.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from keyturn import canonical
from keyturn.drift.definition import MAX_PARTS, Definition, Part, file_part, fitting, ordered
from keyturn.drift.definition_parts import Server, configured, derived, imports, kind_of
from keyturn.gates.hooks import files
from keyturn.gates.hooks.dialects import Dialect

MAX_FILES = 200
MAX_FILE = 1024 * 1024
MAX_HOPS = 5
"""Imports of imports that Claude Code follows."""
MAX_ABOVE = 20
MAX_IMPORTS = 100


def captured(dialect: Dialect, workspace: str, home: str, uid: int, model: str = "") -> Definition:
    """The definition of the agent that *dialect*'s client is in *workspace*, read with the rights of user *uid*."""
    reading = _Reading(dialect, workspace, home, uid)
    parts = ordered(reading.parts())[:MAX_PARTS]
    place = workspace if not workspace or _below(workspace, home) else f"{workspace} of uid {uid}"
    return fitting(Definition(dialect.name, model if dialect.tells_model else "", {}, parts, place))


def configured_servers(dialect: Dialect, workspace: str, home: str, uid: int) -> tuple[Server, ...]:
    """The MCP servers that *dialect*'s client would start or speak to, with the values that they need."""
    reading = _Reading(dialect, workspace, home, uid)
    found: dict[tuple[str, str], Server] = {}
    for pattern in (*dialect.loads, *dialect.configures):
        for path in reading.matching(pattern):
            data = files.content(path, uid, files.MAX_FILE)
            name = reading.name(path)
            if data is None or kind_of(name) == "instructions":
                continue
            whole = (name, canonical.digest_bytes(data)) if pattern in dialect.loads else None
            for server in configured(name, data.decode("utf-8", "replace"), workspace):
                found.setdefault(server.part.key, replace(server, file=whole))
    return tuple(found.values())


def definition(dialect: Dialect, workspace: str, home: str, uid: int) -> str:
    """Its digest."""
    return captured(dialect, workspace, home, uid).digest


class _Reading:
    """One look at a client's files."""

    def __init__(self, dialect: Dialect, workspace: str, home: str, uid: int) -> None:
        self._dialect, self._workspace, self._home, self._uid = dialect, workspace, home, uid
        self._seen: set[str] = set()
        self._found_above: set[str] = set()

    def parts(self) -> Iterator[Part]:
        """Every part, a file and what it configures one after another."""
        for pattern in self._dialect.loads:
            for path in self.matching(pattern):
                yield from self._file(path)
        for path in self._above():
            yield from self._file(path)
        for pattern in self._dialect.configures:
            for path in self.matching(pattern):
                data = files.content(path, self._uid, files.MAX_FILE)
                text = data.decode("utf-8", "replace") if data is not None else ""
                yield from derived(self.name(path), text, self._workspace)

    def _file(self, path: str, hops: int = 0) -> Iterator[Part]:
        if path in self._seen or len(self._seen) >= MAX_PARTS:
            return
        self._seen.add(path)
        name = self.name(path)
        kind = kind_of(name)
        data = files.content(path, self._uid, MAX_FILE)
        if data is None:
            size = _size(path)
            yield Part(kind, name, canonical.digest({"size": size}), max(0, size))
            return
        part = file_part(kind, name, data)
        yield part
        if part.text is None:
            return
        if kind != "instructions":
            yield from derived(name, part.text, self._workspace)
        elif hops < MAX_HOPS and self._dialect.imports:
            for written in imports(part.text)[:MAX_IMPORTS]:
                wanted = self._imported(written, path)
                if wanted is not None:
                    yield from self._file(wanted, hops + 1)

    def _imported(self, written: str, path: str) -> str | None:
        folder, name = (
            (Path(self._home), written[2:]) if written.startswith("~/") else (Path(path).parent, written)
        )
        wanted = os.path.normpath(folder / name)
        try:
            return wanted if Path(wanted).is_file() else None
        except (OSError, ValueError):
            return None

    def _above(self) -> Iterator[str]:
        """The instructions in folders above the workspace, nearest first."""
        folder = Path(self._workspace) if self._workspace else Path("/")
        for above in list(folder.parents)[:MAX_ABOVE]:
            for name in self._dialect.above:
                path = above / name
                if self._workspace and above != Path("/") and _is_file(path):
                    self._found_above.add(str(path))
                    yield str(path)

    def matching(self, pattern: str) -> list[str]:
        """The files that *pattern* of a dialect means."""
        if pattern.startswith("~/"):
            root, pattern = self._home, pattern[2:]
        else:
            root = "/" if pattern.startswith("/") else self._workspace
        if not root:
            return []
        try:
            paths = sorted(Path(root).glob(pattern.lstrip("/")))
        except OSError:
            return []
        return [str(path) for path in paths if _is_file(path)][:MAX_FILES]

    def name(self, path: str) -> str:
        """*path* without saying whose it is."""
        work, home = self._workspace, self._home
        if work and (_below(path, work) or path in self._found_above):
            name = os.path.relpath(path, work)
        elif home and _below(path, home):
            name = "~/" + os.path.relpath(path, home)
        else:
            name = path
        shown = name.encode("utf-8", "backslashreplace").decode()
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)[:1000]


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1
