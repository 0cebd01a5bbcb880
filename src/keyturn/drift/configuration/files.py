"""A file tree: which files there are, their content by digest, and their modes.

Read from `sha256sum` output, or from JSON: path → digest, or path → {digest, mode, owner, size}.
"""

from __future__ import annotations

import re
from typing import Any

from keyturn.drift.configuration.reading import (
    Configuration,
    ConfigurationMalformed,
    Hiding,
    bounded,
    counted,
    parsed,
    table,
)

_LINE = re.compile(r"\\?([0-9a-fA-F]{32,128}) [ *](.+)")
_DIGEST = re.compile(r"(?:[a-z0-9]{2,12}:)?[0-9a-fA-F]{16,128}")
_KEYS = ("digest", "mode", "owner", "group", "size", "link", "type")


def read(data: bytes, hiding: Hiding) -> Configuration:
    """The manifest *data*. Raises `ConfigurationMalformed`, `TooLarge`."""
    bounded(data)
    if data.lstrip()[:1] == b"{":
        return Configuration(counted(_of_json(table(parsed(data, "manifest"), "manifest"))))
    state: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigurationMalformed(
                f"Line {number} of the manifest is no digest with a path, as sha256sum writes it."
            )
        state[_path(match[2])] = {"digest": match[1].lower()}
    return Configuration(counted(state))


def _of_json(body: Any) -> dict[str, dict[str, Any]]:
    listed = body.get("files", body)
    state: dict[str, dict[str, Any]] = {}
    for path, one in table(listed, "manifest").items():
        if isinstance(one, str) and _DIGEST.fullmatch(one):
            state[_path(path)] = {"digest": one.lower()}
        elif isinstance(one, dict) and any(key in one for key in _KEYS):
            state[_path(path)] = {key: one[key] for key in _KEYS if isinstance(one.get(key), str | int)}
        else:
            raise ConfigurationMalformed(
                f"The manifest says of {path[:120]!r} neither a digest nor a table with one."
            )
    return state


def _path(path: str) -> str:
    return path[2:] if path.startswith("./") else path
