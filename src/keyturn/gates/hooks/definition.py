"""What an agent is, as far as files tell: a digest over the instructions, settings, hooks and servers it loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keyturn import canonical
from keyturn.gates.hooks import files
from keyturn.gates.hooks.dialects import Dialect

MAX_FILES = 200
MAX_FILE = 1024 * 1024


def definition(dialect: Dialect, workspace: str, home: str, uid: int) -> str:
    """`sha256:<hex>` over the files of `dialect.loads` that are there, each by its own digest.

    A file beyond 1 MiB or not readable counts by its size alone; of one pattern's files the first 200 by name.
    """
    found: dict[str, Any] = {}
    for pattern in dialect.loads:
        for path in _matching(pattern, workspace, home):
            data = files.content(path, uid, MAX_FILE)
            found[path] = canonical.digest_bytes(data) if data is not None else {"size": _size(path)}
    return canonical.digest({"v": 1, "client": dialect.name, "files": found})


def _matching(pattern: str, workspace: str, home: str) -> list[str]:
    if pattern.startswith("~/"):
        root, pattern = home, pattern[2:]
    else:
        root = "/" if pattern.startswith("/") else workspace
    if not root:
        return []
    try:
        paths = sorted(Path(root).glob(pattern.lstrip("/")))
    except OSError:
        return []
    return [str(path) for path in paths if path.is_file()][:MAX_FILES]


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1
