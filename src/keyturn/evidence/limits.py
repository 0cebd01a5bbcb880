"""What this layer can't show, whatever its controls say (`limits.toml`): told in every report and every pack."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

from msgspec import Struct, convert


class Limit(Struct, frozen=True, forbid_unknown_fields=True):
    """One of them. `outside`: somebody else's evidence is needed; `residual`: what stays possible in spite of all tests."""

    id: str
    kind: Literal["outside", "residual"]
    says: str
    shown_by: str


@cache
def load_limits() -> tuple[Limit, ...]:
    """All of them, as they stand in the file."""
    text = resources.files("keyturn.evidence").joinpath("limits.toml").read_text("utf-8")
    return tuple(convert(one, Limit) for one in tomllib.loads(text)["limit"])


__all__ = ["Limit", "load_limits"]
