"""Commands written for these tests (`hostile.toml`, `everyday.toml`), and where they are read."""

from __future__ import annotations

import tomllib
from pathlib import Path

from keyturn.actions import Reading
from keyturn.resources import Label, Surroundings

AROUND = Surroundings(
    cwd="/data/project",
    workspace="/data/project",
    home="/home/dev",
    protected=("/home/dev/.keyturn",),
    labels=(Label("secret", (".env", "*.pem", "~/.ssh/**", "/etc/shadow")),),
)

BENIGN = {"reads:workspace", "reads:system", "reads:temporary", "reads:device", "writes:device"}
"""What a rule for harmless commands would let run at once (writes to /dev/null keep nothing)."""


def is_benign(reading: Reading) -> bool:
    """Whether a rule that lets benign effects run would let this one run."""
    keys = {effect.key for effect in reading.effects}
    return reading.complete and keys <= BENIGN and not any(effect.labels for effect in reading.effects)


_HERE = Path(__file__).parent

HOSTILE: dict[str, list[str]] = tomllib.loads((_HERE / "hostile.toml").read_text("utf-8"))
"""Commands by the way in which they try to look harmless."""

HOSTILE["display"].append("ls \ud800")  # TOML can't write a lone surrogate
HOSTILE["separators"].append("ls; " * 60 + "rm x")
HOSTILE["display"] += ["ls\n" * 200 + "rm x", "ls " + " " * 300 + "; rm x"]

_EVERYDAY = tomllib.loads((_HERE / "everyday.toml").read_text("utf-8"))

HARMLESS: list[str] = _EVERYDAY["benign"]
"""Everyday commands that at most read."""

ACTING: dict[str, list[str]] = _EVERYDAY["acting"]
"""Everyday commands that do something, with all that they do."""
