"""What a session is made of, for statistics: categories of its actions. A pure function of their readings, and nothing of their content.

Rules kept here:

- A *category* says kind, program, and where its strongest effects go: `shell git writes:workspace`. No path, host, argument or text: it
  may be shown to everybody and kept for ever.
- An action counts as its strongest step (`STRENGTH`); what its other steps do is in its effects, so nothing hides in a pipeline.
- Names come from an agent: they are cut, and only plain characters stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

STRENGTH = ("reads", "executes", "writes", "connects", "sends", "configures", "grants", "deletes")
"""Mildest first: what one action is counted as."""
MOST_ACTIONS = 200
"""A session is measured after so many actions, and goes on as a new one."""
IDLE_MS = 30 * 60 * 1000
"""And after so long without an action."""

_ODD = re.compile(r"[^A-Za-z0-9._/+@-]+")
MAX_PROGRAM = 48


class Doing(Struct, frozen=True):
    """One action as statistics see it: its category, its effects (`verb:zone`, `verb:zone+label`), whether it is sensitive."""

    category: str
    effects: tuple[str, ...]
    sensitive: bool


class Session(Struct, frozen=True):
    """What was done in a session (or a part of one), in order. `effects` are sorted, each once; `sensitive` counts actions."""

    categories: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    sensitive: int = 0

    @property
    def share(self) -> float:
        """Of its actions that are sensitive."""
        return self.sensitive / len(self.categories) if self.categories else 0.0


def session(doings: Sequence[Doing]) -> Session:
    """Of its actions, in order."""
    effects = sorted({effect for doing in doings for effect in doing.effects})
    return Session(
        tuple([doing.category for doing in doings]), tuple(effects), sum(doing.sensitive for doing in doings)
    )


def doing(reading: Mapping[str, Any], sensitive: Collection[str]) -> Doing:
    """Of an action, from its reading as it lies in the log; *sensitive* are the labels that make it so."""
    parts: list[Any] = [reading["kind"], "" if reading["complete"] else "unread"]
    add = parts.append
    for step in reading["steps"]:
        add(_STEP)
        add(step["program"])
        for effect in step["effects"]:
            add(_EFFECT)
            add(effect["verb"])
            add(effect["zone"])
            if effect["labels"]:
                parts += effect["labels"]
    return _doing(tuple(parts), frozenset(sensitive) if type(sensitive) is not frozenset else sensitive)


_STEP, _EFFECT = 0, 1
"""Numbers, so that no name can be taken for one."""


@lru_cache(maxsize=8_192)
def _doing(parts: tuple[Any, ...], sensitive: frozenset[str]) -> Doing:
    """Agents do the same again and again: what a reading comes to is worked out once."""
    kind, unread = parts[:2]
    keys: set[str] = set()
    found_sensitive = False
    strongest, program, where = -1, "", ""
    for own, effects in _steps(parts[2:]):
        if strongest < 0 and not program:
            program = own
        for verb, zone, labels in effects:
            key = f"{verb}:{zone}"
            keys |= {key, *(f"{key}+{label}" for label in labels)}
            found_sensitive = found_sensitive or not sensitive.isdisjoint(labels)
            strength = _RANK.get(verb, 0) + (len(_RANK) if labels else 0)
            if strength > strongest:
                strongest, program, where = strength, own, "+".join((key, *labels))
    category = " ".join(word for word in (kind, _plain(program), where, unread) if word)
    return Doing(category, tuple(sorted(keys)), found_sensitive)


def _steps(parts: Sequence[Any]) -> list[tuple[str, list[tuple[str, str, tuple[str, ...]]]]]:
    """(program, effects as verb, zone and labels) of each step."""
    found: list[tuple[str, list[tuple[str, str, tuple[str, ...]]]]] = []
    marks = [at for at, part in enumerate(parts) if isinstance(part, int)]
    for at, end in zip(marks, [*marks[1:], len(parts)], strict=False):
        if parts[at] == _STEP:
            found.append((parts[at + 1], []))
        else:
            found[-1][1].append((parts[at + 1], parts[at + 2], tuple(parts[at + 3 : end])))
    return found


_RANK = {verb: place for place, verb in enumerate(STRENGTH)}


def _plain(name: str) -> str:
    return _ODD.sub("_", name)[:MAX_PROGRAM] or "-"
