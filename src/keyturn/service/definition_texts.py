"""How a part's text becomes what is kept: the one place where it does.

Rules kept here:

- Values of environment variables and headers are not kept; that they are set is. A settings file that can't be read as what it
  claims to be is not kept at all.
- What is kept went through the redaction of secrets (promise 9). The part's own digest is that of what the client loads.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

from keyturn.drift.definition import Part

NOT_KEPT = "(not kept)"
_VALUES = ("env", "environment", "headers", "http_headers", "env_http_headers")
"""Tables whose values are often secrets."""
_HEADING = re.compile(r"\s*\[+([^\]]+)\]+")
_ASSIGNMENT = re.compile(r"(\s*[\w.\"'-]+\s*=\s*)(.*)", re.DOTALL)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_VARIABLE = re.compile(r"(\s*(?:export\s+)?\w+\s*=).*")

Redact = Callable[[str], str]


def kept(part: Part, redact: Redact) -> bytes | None:
    """The bytes of *part*'s text that are stored, or None when nothing of it is."""
    if part.text is None:
        return None
    text = _without_values(part.name, part.text) if part.kind != "instructions" else part.text
    return redact(text).encode() if text is not None else None


def _without_values(name: str, text: str) -> str | None:
    file = name.partition(": ")[0] if name.endswith(": hooks") else name
    if file.endswith(".env"):
        return "".join(_variable(line) for line in text.splitlines(keepends=True))
    if file.endswith((".js", ".ts", ".rules", ".md")):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _toml(text)
    masked = _masked(value)
    return text if masked == value else json.dumps(masked, indent=2, ensure_ascii=False) + "\n"


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: dict.fromkeys(item, NOT_KEPT) if key in _VALUES and isinstance(item, dict) else _masked(item)
        for key, item in value.items()
    }


def _toml(text: str) -> str | None:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
    lines, inside = [], False
    for line in text.splitlines(keepends=True):
        heading = _HEADING.fullmatch(line.rstrip("\n").split("#")[0].rstrip())
        if heading:
            inside = heading[1].split(".")[-1].strip(" \"'") in _VALUES
        given = _ASSIGNMENT.fullmatch(line)
        named = given is not None and given[1].strip(" =\"'").split(".")[-1] in _VALUES
        dotted = given is not None and any(
            part.strip(" \"'") in _VALUES for part in given[1].rstrip(" =").split(".")[:-1]
        )
        if heading or not (inside or named or dotted):
            lines.append(line)
        elif given is None:  # a value that goes on over lines
            lines.append(_QUOTED.sub(f'"{NOT_KEPT}"', line))
        else:
            lines.append(given[1] + _QUOTED.sub(f'"{NOT_KEPT}"', given[2]))
    masked = "".join(lines)
    try:
        return masked if _clean(tomllib.loads(masked)) else None
    except ValueError:
        return None


def _clean(value: Any, inside: bool = False) -> bool:
    """Whether no value is left where values are not kept: a text over several lines hides from a look at each line."""
    if isinstance(value, dict):
        return all(_clean(item, inside or key in _VALUES) for key, item in value.items())
    if isinstance(value, list):
        return all(_clean(item, inside) for item in value)
    return not inside or not isinstance(value, str) or value == NOT_KEPT


def _variable(line: str) -> str:
    given = _VARIABLE.match(line)
    return f"{given[1]}{NOT_KEPT}\n" if given else line


__all__ = ["NOT_KEPT", "Redact", "kept"]
