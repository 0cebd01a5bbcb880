"""Files that agents make of labelled data, and when they have to be gone (taxonomy class h).

Rules kept here:

- An action that reads (or connects to) something with a label of a retention rule, and writes files, makes *artefacts* of them;
  with `after = "session"` so does every later action of the session. Devices are no files.
- What is made of an artefact is one too, and has to be gone when its source has to be: a copy does not live longer.
- It is gone when an action that deletes it (or a folder above it) was done without failing, or when a person attests it.
- It is overdue at the instant of its end. Nothing is overdue under a legal hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from keyturn.actions import Effect, Reading
from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.policy.drift.retention import Retention

SOURCES = frozenset(("reads", "connects"))
"""Verbs by which labelled data comes in."""
NOT_FILES = frozenset(("device", "network", "loopback", "environment", "tool"))
MOST_OF_ONE = 200
"""Artefacts of one action; beyond that its folder is one instead."""
MOST_NAMED = 500
"""Characters of a path in a finding's subject."""


class Artefact(Struct, frozen=True):
    """A file made of labelled data. `due` is milliseconds since 1970; `rule` names the retention rule; `of` the file it was made of."""

    path: str
    rule: str
    labels: tuple[str, ...]
    due: int
    of: str = ""


def labels_read(reading: Reading) -> frozenset[str]:
    """Labels of everything that comes in."""
    return frozenset(label for effect in reading.effects if effect.verb in SOURCES for label in effect.labels)


def paths(reading: Reading, verb: str) -> tuple[str, ...]:
    """Absolute paths to which the action does *verb*, in order."""
    found = (effect.what for effect in reading.effects if effect.verb == verb and _is_file(effect))
    return tuple(dict.fromkeys(found))


def made(
    reading: Reading,
    rules: Mapping[str, Retention],
    sources: Iterable[Artefact],
    before: Iterable[str],
    now: int,
) -> tuple[Artefact, ...]:
    """The artefacts that an action with this *reading* makes at *now*.

    *sources* are artefacts that are still kept, among the paths it reads; *before* the labels that came into its session earlier.
    """
    written = files_written(reading)
    if not written:
        return ()
    came, earlier = labels_read(reading), frozenset(before)
    found: list[Artefact] = []
    for rule in rules.values():
        seen = came | earlier if rule.after == "session" else came
        matched = tuple(sorted(seen.intersection(rule.labels)))
        if matched:
            found += [Artefact(path, rule.name, matched, now + rule.keep * 1000) for path in written]
    read = set(paths(reading, "reads"))
    for source in sources:
        if source.path in read:
            found += [
                Artefact(path, source.rule, source.labels, source.due, source.path)
                for path in written
                if path != source.path
            ]
    return tuple(_earliest(found))


def files_written(reading: Reading) -> tuple[str, ...]:
    """The files written; of very many, the folders they are in.

    `cp a b` writes `b`, or `b/a` where `b` is a folder: `b` stands for both.
    """
    every = paths(reading, "writes")
    written = tuple(path for path in every if path.rpartition("/")[0] not in every)
    if len(written) <= MOST_OF_ONE:
        return written
    return tuple(dict.fromkeys(path.rpartition("/")[0] or "/" for path in written))[:MOST_OF_ONE]


def _earliest(found: Sequence[Artefact]) -> list[Artefact]:
    """One for each path and rule: the one that ends first."""
    kept: dict[tuple[str, str], Artefact] = {}
    for one in found:
        known = kept.get((one.path, one.rule))
        if known is None or one.due < known.due:
            kept[one.path, one.rule] = one
    return list(kept.values())


def gone(reading: Reading, kept: Iterable[str]) -> tuple[str, ...]:
    """Which of the paths *kept* an action with this *reading* deletes."""
    deleted = paths(reading, "deletes")
    return tuple(path for path in kept if any(covers(one, path) for one in deleted))


def covers(deleted: str, path: str) -> bool:
    """Whether deleting *deleted* (a path, a folder, or a pattern in its last part) deletes *path*."""
    bare = deleted.rstrip("/") or "/"
    if path == bare or path.startswith(bare if bare == "/" else bare + "/"):
        return True
    folder, _, last = bare.rpartition("/")
    at, _, name = path.rpartition("/")
    return any(mark in last for mark in "*?[") and at == folder and fnmatchcase(name, last)


def is_overdue(due: int, now: int, on_hold: bool) -> bool:
    """Whether what was due at *due* should be gone at *now* (milliseconds)."""
    return due <= now and not on_hold


def overdue(
    identity: str, artefact: Artefact, written: int, agent: str, session: str, action: str, keep: str
) -> Drift:
    """The finding about an artefact that is still there. *written*: when, in milliseconds; *keep*: the rule in words."""
    hours = (artefact.due - written) / 3_600_000
    return Drift(
        "retention.overdue",
        (identity,),
        f"{artefact.path} was made of {', '.join(artefact.labels)} data by {agent} and should have been deleted by now.",
        {
            "artefact": identity,
            "path": artefact.path[:MOST_NAMED],  # the subject has to stay in its entry
            "agent": agent,
            "session": session,
            "action": action,
            "rule": artefact.rule,
        },
        observed="no deletion of it was seen, and nobody attested one",
        expected=keep,
        since=Since(artefact.due, artefact.due),
        magnitude=Magnitude(0.0, hours, "hours that it may be kept"),
        cause="the agent wrote it and did not delete it",
    )


def _is_file(effect: Effect) -> bool:
    return effect.zone not in NOT_FILES and effect.what.startswith("/")


__all__ = [
    "Artefact",
    "covers",
    "files_written",
    "gone",
    "is_overdue",
    "labels_read",
    "made",
    "overdue",
    "paths",
]
