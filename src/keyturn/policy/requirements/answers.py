"""What outside sources answer, as values: JSON or TOML of people who may make mistakes, or mean harm. Pure, bounded by its caller."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import Any

import msgspec


class Unreadable(ValueError):
    """A source's answer is not what such a source answers."""


def json_of(answer: bytes) -> Any:
    """JSON as values. Raises `Unreadable`."""
    try:
        return msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {str(error)[:100]}") from error


def toml_or_json(answer: bytes, name: str) -> Any:
    """JSON if *name* ends in `.json`, else TOML. Raises `Unreadable`."""
    if name.endswith(".json"):
        return json_of(answer)
    try:
        return tomllib.loads(answer.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unreadable(f"it is not TOML: {str(error)[:100]}") from error


def time_of(value: Any) -> int | None:
    """A time as milliseconds since 1970: a TOML date-time, or ISO 8601 text; without an offset it is UTC. None for others."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    try:
        return int(aware.timestamp() * 1000)
    except (OverflowError, ValueError):
        return None
