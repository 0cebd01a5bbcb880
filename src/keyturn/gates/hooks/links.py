"""Symbolic links on the way of a command: where the paths that it names really lie, as far as this machine can tell.

Readers know names only. What a link says can change between the answer and the act; a gate that enforces looks again.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from glob import iglob
from itertools import islice

from msgspec.structs import replace

from keyturn import readers
from keyturn.actions import Action, Effect, Reading, Shell
from keyturn.resources import Surroundings

MAX_LOOKED_AT = 256
"""Most paths and matches of patterns that are followed for one command."""

_FOLLOWED = frozenset(("workspace", "temporary", "home", "outside", "system", "unknown"))


def followed(action: Action, around: Surroundings) -> Surroundings:
    """*around* with the links that *action*'s paths go through. Looks at the disk; never raises for what is there."""
    if not isinstance(action.content, Shell):
        return around
    reading = readers.read(action.content, around)
    effects = (effect for step in reading.steps for effect in step.effects)
    found = dict.fromkeys(pair for effect in effects for pair in _pairs(effect))
    return replace(around, links=tuple(sorted(islice(found, MAX_LOOKED_AT)))) if found else around


def may_be_followed(reading: Reading) -> bool:
    """Whether *reading* names a path that `followed` would look at."""
    return any(_is_place(effect) for step in reading.steps for effect in step.effects)


def _is_place(effect: Effect) -> bool:
    path = effect.what
    return path.startswith("/") and effect.zone in _FOLLOWED and "\0" not in path


def _pairs(effect: Effect) -> Iterator[tuple[str, str]]:
    if not _is_place(effect):
        return
    path = effect.what
    for name in _names(path):
        real = _real(name, effect.verb == "deletes")
        if real != posixpath.normpath(name):
            yield path, real


def _names(path: str) -> Iterator[str]:
    """*path* itself, the folder where a pattern begins, and what a pattern matches now."""
    at = next((n for n, part in enumerate(path.split("/")) if any(mark in part for mark in "*?[")), None)
    if at is None:
        yield path
        return
    fixed = "/".join(path.split("/")[:at]) or "/"
    yield fixed
    if "**" not in path:
        try:
            yield from islice(iglob(path), MAX_LOOKED_AT)  # noqa: PTH207 (the pattern is absolute)
        except (OSError, ValueError):
            return


def _real(path: str, itself: bool) -> str:
    """Where *path* leads; with *itself* the link is meant, not what it points to."""
    try:
        if itself:
            folder, name = posixpath.split(path.rstrip("/"))
            return posixpath.join(os.path.realpath(folder or "/"), name)
        return os.path.realpath(path)
    except (OSError, ValueError):
        return posixpath.normpath(path)
