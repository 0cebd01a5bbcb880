"""Named statements from `sql/*.sql`: each begins with a line `-- name: x`, and ends where the next begins."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: ([a-z_]+)[ ]*$", re.MULTILINE)


@cache
def statements(dialect: str) -> dict[str, str]:
    """Statement texts by name out of `sql/<dialect>.sql`, comments and blank lines left out."""
    text = resources.files("keyturn.store").joinpath("sql", f"{dialect}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    found: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in found:
            raise ValueError(f"{dialect}.sql names {name} twice")
        lines = [line for line in body.splitlines() if line.strip() and not line.startswith("--")]
        found[name] = "\n".join(lines).strip().removesuffix(";")
    return found
