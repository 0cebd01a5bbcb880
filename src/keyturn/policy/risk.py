"""How much care an action needs: one of four tiers, from its reading alone, explained line by line.

Rules kept here:

- Deterministic and additive: the score is the sum of the lines' points, and every point has a line that says for what.
- Nothing lowers it: no factor is negative, so one more effect, one more label, a byte less understood never make it less.
- The order of effects and steps does not matter.
- What an agent says about its action is no input, and no language model decides.

Each factor counts its worst case once, or distinct things, so repeating harmless steps does not make an action critical.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from keyturn.actions import Effect, Reading
from keyturn.policy.context import is_sweeping

Tier = Literal["low", "medium", "high", "critical"]
TIERS: tuple[Tier, ...] = ("low", "medium", "high", "critical")
"""From the one that needs least care to the one that needs most."""

Factor = Literal["undo", "reach", "sensitivity", "novelty", "target", "understanding"]

THRESHOLDS: tuple[tuple[Tier, int], ...] = (("critical", 100), ("high", 60), ("medium", 25), ("low", 0))
"""The score from which on a tier begins."""


class Line(Struct, frozen=True):
    """One reason: the factor, its points, and words for people."""

    factor: Factor
    points: int
    words: str


class Risk(Struct, frozen=True):
    """The tier, its score, and the lines that add up to it. `target` is what a person types to approve a critical one."""

    tier: Tier
    score: int
    lines: tuple[Line, ...] = ()
    target: str = ""


class Novelty(Struct, frozen=True):
    """How often this agent asked for an action of this shape before, and how often people denied it."""

    seen: int = 0
    denied: int = 0


_UNDO: dict[str, int] = {
    "reads:": 0, "connects:": 5, "executes:": 15, "executes:system": 5, "executes:tool": 15, "executes:unknown": 25,
    "writes:": 20, "writes:workspace": 5, "writes:temporary": 2, "writes:device": 0, "writes:loopback": 10,
    "writes:system": 30, "writes:unknown": 30, "writes:keyturn": 60, "deletes:": 40, "deletes:workspace": 25,
    "deletes:temporary": 5, "deletes:device": 0, "deletes:loopback": 20, "deletes:network": 50, "deletes:keyturn": 60,
    "sends:": 25, "sends:loopback": 10, "grants:": 40, "configures:": 25, "configures:workspace": 15,
    "configures:keyturn": 60,
}  # fmt: skip
"""How hard it is to take back, by `verb:zone`, or by `verb:` where the zone makes no difference."""

_WORDS_OF_UNDO = (
    (50, "can't be undone from here"),
    (40, "is hard to undo"),
    (25, "can't be undone for certain"),
    (15, "can have effects that outlast it"),
    (0, "can usually be undone"),
)
_REACH: dict[str, int] = {
    "workspace": 0, "temporary": 0, "device": 0, "code": 0, "tool": 5, "environment": 10, "loopback": 5, "home": 10,
    "outside": 15, "network": 10, "system": 20, "unknown": 15, "keyturn": 40,
}  # fmt: skip
_LABELS: dict[str, int] = {"secret": 30, "private-key": 40, "raw-device": 60, "sensitive": 25}
_OTHER_LABEL = 10
_PRODUCTION_LOOKED_AT, _PRODUCTION_CHANGED = 25, 60
_SWEEPING = 50
_MANY: tuple[tuple[int, int], ...] = ((20, 30), (5, 15), (1, 5))
"""More things than the first number: the second number of points."""
_LEAVES_WITH_SECRETS = 40
_UNREAD, _NO_STEP = 40, 20
_NEW, _RARE, _DENIED = 10, 5, 15
_RARE_BELOW = 3
MOST_LABELS, MOST_NAME = 8, 120
"""Labels with a line of their own; characters of a name in a line."""
CHANGING = frozenset(("writes", "deletes", "sends", "grants", "configures"))
"""Verbs after which something is not as it was."""


def assess(
    reading: Reading,
    *,
    target: str = "local",
    target_labels: Iterable[str] = (),
    novelty: Novelty = Novelty(),
) -> Risk:
    """The risk of an action with this *reading* at *target*, whose labels are *target_labels*."""
    effects = tuple(sorted(set(reading.effects), key=_order))
    lines = [
        *_undo(effects),
        *_reach(effects),
        *_sensitivity(effects),
        *_production(effects, frozenset(target_labels)),
        *_understanding(reading),
        *_novelty(novelty),
    ]
    lines = [line for line in lines if line.points]
    score = sum(line.points for line in lines)
    return Risk(tier_of(score), score, tuple(lines), word_to_type(effects, target))


def tier_of(score: int) -> Tier:
    """The tier that *score* is in."""
    return next(tier for tier, least in THRESHOLDS if score >= least)


def at_least(tier: str, other: str) -> bool:
    """Whether *tier* needs as much care as *other*, or more. A tier that this version does not know needs the most."""
    return _rank(tier) >= _rank(other)


def _rank(tier: str) -> int:
    return TIERS.index(tier) if tier in TIERS else len(TIERS)


def _order(effect: Effect) -> tuple[str, str, str, tuple[str, ...]]:
    return effect.verb, effect.zone, effect.what, effect.labels


def undo_points(effect: Effect) -> int:
    """How hard *effect* is to take back."""
    return _UNDO.get(effect.key, _UNDO[f"{effect.verb}:"])


def _undo(effects: tuple[Effect, ...]) -> Iterable[Line]:
    worst = max(effects, key=lambda e: (undo_points(e), _order(e)), default=None)
    if worst is not None:
        points = undo_points(worst)
        words = next(words for least, words in _WORDS_OF_UNDO if points >= least)
        yield Line("undo", points, f"It {worst.verb} {_named(worst)}, which {words}.")


def _reach(effects: tuple[Effect, ...]) -> Iterable[Line]:
    changed = [effect for effect in effects if effect.verb in CHANGING or effect.verb == "connects"]
    farthest = max(changed, key=lambda e: (_REACH.get(e.zone, 15), _order(e)), default=None)
    if farthest is not None:
        yield Line("reach", _REACH.get(farthest.zone, 15), f"It reaches {_place(farthest.zone)}.")
    swept = next((e for e in effects if e.verb in ("writes", "deletes") and is_sweeping(e.what)), None)
    if swept is not None:
        yield Line("reach", _SWEEPING, f"{swept.what} is a whole home, a system folder or everything.")
    things = {(e.verb, e.what) for e in effects if e.verb in CHANGING}
    points = next((points for more_than, points in _MANY if len(things) > more_than), 0)
    yield Line("reach", points, f"It changes {len(things)} things.")


def _sensitivity(effects: tuple[Effect, ...]) -> Iterable[Line]:
    labels = sorted({label for effect in effects for label in effect.labels} - {"production"})
    points = [_LABELS.get(label, _OTHER_LABEL) for label in labels]
    for label, own in zip(labels[:MOST_LABELS], points, strict=False):
        yield Line("sensitivity", own, f"It touches what is labelled “{label[:MOST_NAME]}”.")
    yield Line("sensitivity", sum(points[MOST_LABELS:]), f"And {len(labels) - MOST_LABELS} more labels.")
    leaves = any(e.verb in ("connects", "sends") and e.zone in ("network", "unknown") for e in effects)
    if leaves and {"secret", "private-key", "sensitive"}.intersection(labels):
        yield Line(
            "sensitivity", _LEAVES_WITH_SECRETS, "It reads what is sensitive and talks to another machine."
        )


def _production(effects: tuple[Effect, ...], target: frozenset[str]) -> Iterable[Line]:
    labelled = {effect.verb for effect in effects if "production" in effect.labels}
    verbs = {effect.verb for effect in effects}
    here = "production" in target
    if labelled & CHANGING or (here and verbs & (CHANGING | {"executes"})):
        yield Line("target", _PRODUCTION_CHANGED, "It changes something in production.")
    elif labelled or here:
        yield Line("target", _PRODUCTION_LOOKED_AT, "It touches production.")


def _understanding(reading: Reading) -> Iterable[Line]:
    if not reading.complete or reading.unread or not all(step.complete for step in reading.steps):
        yield Line("understanding", _UNREAD, "Not everything in it was understood.")
    if not reading.steps:
        yield Line("understanding", _NO_STEP, "No step could be read at all.")


def _novelty(novelty: Novelty) -> Iterable[Line]:
    if novelty.seen <= 0:
        yield Line("novelty", _NEW, "This agent never asked for this kind of action before.")
    elif novelty.seen < _RARE_BELOW:
        yield Line(
            "novelty", _RARE, f"This agent asked for this kind of action {_times(novelty.seen)} before."
        )
    if novelty.denied > 0:
        yield Line("novelty", _DENIED, f"People denied this kind of action {_times(novelty.denied)}.")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _named(effect: Effect) -> str:
    if not effect.what:
        return _place(effect.zone)
    return effect.what if len(effect.what) <= MOST_NAME else effect.what[:MOST_NAME] + "…"


def _place(zone: str) -> str:
    return {
        "workspace": "the workspace",
        "temporary": "temporary files",
        "system": "the system",
        "home": "the user's home",
        "environment": "a folder that the environment names",
        "outside": "files outside the workspace",
        "keyturn": "Keyturn itself or the wiring of its gates",
        "device": "a device",
        "network": "other machines",
        "loopback": "a service on this machine",
        "tool": "a tool",
        "code": "code",
    }.get(zone, "something that can't be told beforehand")


_TYPEABLE = re.compile(r"[A-Za-z0-9._~@:/-]{1,64}", re.ASCII)


def word_to_type(effects: Iterable[Effect], target: str) -> str:
    """What a person types to show that they looked: the host, file or thing that is hit worst, in letters a keyboard has.

    A long path gives its last name; where nothing can be typed, the target of the action.
    """
    ordered = sorted(effects, key=lambda e: (-undo_points(e) - 60 * ("production" in e.labels), _order(e)))
    for effect in ordered:
        for word in (effect.what, effect.what.rstrip("/").rpartition("/")[2]):
            if _TYPEABLE.fullmatch(word) and word != "/":
                return word
    return target if _TYPEABLE.fullmatch(target) else "approve"


__all__ = [
    "CHANGING", "THRESHOLDS", "TIERS", "Line", "Novelty", "Risk", "Tier", "assess", "at_least", "tier_of", "undo_points", "word_to_type",
]  # fmt: skip
