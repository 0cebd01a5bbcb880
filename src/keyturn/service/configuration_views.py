"""Configurations and their changes as they are shown."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from keyturn.drift import configuration, patches
from keyturn.drift.finding import Explanation
from keyturn.errors import NotFound
from keyturn.service.core import Core

Row = dict[str, Any]
MOST_LINES = 200


class ConfigurationUnknown(NotFound):
    """No configuration of that target was ever seen or approved."""

    code = "configuration.unknown"
    next_step = "`keyturn configuration list` shows those that were."


class Sighting(Struct, frozen=True):
    """One look at a target. `lines` are the fields that changed, `explanation` says by which approved change. Times in milliseconds."""

    id: str
    target: str
    source: str
    digest: str
    time: int
    entry: int
    by: str
    objects: int
    first: bool
    changed: int
    lines: tuple[str, ...]
    explanation: Explanation
    tag: str = ""


class ChangeView(Struct, frozen=True):
    """One approved change. `unused` are fields of it that were not seen; `state` planned, open, used or over."""

    request: str
    target: str
    source: str
    state: str
    lines: tuple[str, ...]
    unused: tuple[str, ...]
    opens: int
    closes: int
    max_uses: int
    effects: tuple[str, ...]
    why: str
    by: str
    approvers: tuple[str, ...]
    time: int
    entry: int


class ConfigurationView(Struct, frozen=True):
    """What is known of a target. `drifted` counts fields that differ from what people approved, `drift` shows them."""

    target: str
    source: str
    digest: str
    time: int
    entry: int
    objects: int
    sightings: int
    drifted: int
    drift: tuple[str, ...] = ()
    seen: tuple[Sighting, ...] = ()
    changes: tuple[ChangeView, ...] = ()


def used_of(patch: patches.Patch, used: Row) -> dict[tuple[str, str], int]:
    """(object, field) → how often it was seen, of a change's row."""
    pairs = patches.pairs(patch)
    return {(pairs[int(number)][0], pairs[int(number)][1]): count for number, count in used.items()}


def sighting(core: Core, name: str) -> Sighting:
    """One look."""
    row = core.ledger.row("configuration-seen", name)
    if row is None:
        raise ConfigurationUnknown(f"There is no sighting {name[:80]!r}.")
    return _sighting(core, row)


def _sighting(core: Core, row: Row) -> Sighting:
    patch = core.full(row["patch"])
    lines = tuple(patches.shown(one) for one in patches.pairs(patch))
    return Sighting(
        id=row["id"],
        target=row["target"],
        source=row["source"],
        digest=row["digest"],
        time=row["time"],
        entry=row["entry"],
        by=row["by"],
        objects=row["objects"],
        first=row["first"],
        changed=len(lines),
        lines=lines[:MOST_LINES],
        explanation=msgspec.convert(core.full(row["explanation"]), Explanation),
        tag=row["tag"],
    )


def views(core: Core, limit: int = 200) -> list[ConfigurationView]:
    """All targets, the last seen first; without their history."""
    return [_view(row) for row in core.ledger.rows("configuration", limit=limit)]


def _view(row: Row, **more: Any) -> ConfigurationView:
    named = {
        name: row[name]
        for name in ("target", "source", "digest", "time", "entry", "objects", "sightings", "drifted")
    }
    return ConfigurationView(**named, **more)


def view(core: Core, target: str, limit: int = 20) -> ConfigurationView:
    """One target with its last sightings and its changes. Raises `ConfigurationUnknown`."""
    row = core.ledger.row("configuration", target)
    if row is None:
        raise ConfigurationUnknown(f"Nothing is known of a configuration of {target[:80]!r}.")
    drift: tuple[str, ...] = ()
    if row["drifted"]:
        good, now = (json.loads(core.bytes_of(row[name])) for name in ("good", "state"))
        drift = tuple(
            patches.shown(one)
            for one in patches.pairs(patches.between(good, now, configuration.normal_of(row["source"])))
        )[:MOST_LINES]
    looks = core.ledger.rows("configuration-seen", state=target, limit=limit)
    changes = core.ledger.rows("configuration-change", state=target, limit=limit)
    return _view(
        row,
        drift=drift,
        seen=tuple(_sighting(core, one) for one in looks),
        changes=tuple(_change(core, one) for one in changes),
    )


def _change(core: Core, row: Row) -> ChangeView:
    patch, now = core.full(row["patch"]), core.now()
    pairs, used = patches.pairs(patch), used_of(patch, row["used"])
    unused = tuple(patches.shown(one) for one in pairs if not used.get((one[0], one[1])))
    state = (
        "planned"
        if now < row["opens"]
        else "used"
        if not unused
        else "over"
        if now > row["closes"]
        else "open"
    )
    request = core.ledger.row("request", row["request"]) or {}
    return ChangeView(
        request=row["request"],
        target=row["target"],
        source=row["source"],
        state=state,
        lines=tuple(patches.shown(one) for one in pairs)[:MOST_LINES],
        unused=unused[:MOST_LINES],
        opens=row["opens"],
        closes=row["closes"],
        max_uses=row["max_uses"],
        effects=tuple(row["effects"]),
        why=row["why"],
        by=row["by"],
        approvers=tuple(
            one["person"] for one in request.get("approvals", ()) if one.get("choice", "approve") == "approve"
        ),
        time=row["time"],
        entry=row["entry"],
    )
