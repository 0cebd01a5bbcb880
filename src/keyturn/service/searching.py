"""Looking for the approved change that explains a finding whose detector knows of none: a candidate, or a statement of what was searched.

Rules kept here:

- Whatever is found here is a CANDIDATE at most: the same agent, session or action, before it was observed. A person has to confirm it;
  time and object alone close nothing.
- "None" is a statement: how many approved changes were looked at, of which time, and what they were looked through for.
"""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from keyturn.drift.finding import UNEXPLAINED, Drift, Explanation
from keyturn.service.core import Core

BEFORE_MS = 7 * 24 * 3600 * 1000
"""How long before the beginning of a drift a change may lie that could have brought it."""
MOST = 500
"""Approved changes that are looked at, newest first."""
_ABOUT = ("agent", "session", "action", "target", "person", "path", "object")

Row = dict[str, Any]


def explained(core: Core, found: Drift) -> Drift:
    """*found* with what was searched, unless its detector has said already what explains it."""
    if found.explanation != UNEXPLAINED:
        return found
    return replace(found, explanation=_explanation(core, found))


def _explanation(core: Core, found: Drift) -> Explanation:
    now = core.now()
    start = (found.since.earliest if found.since else now) - BEFORE_MS
    rows = [row for row in core.ledger.rows("request", state="approved", limit=MOST) if _ended(row) >= start]
    actions = _actions(core, found)
    for row in rows:
        if _concerns(core, row, found, actions):
            return replace(_of(row), searched=_searched(rows, start, now, ""))
    return Explanation(searched=_searched(rows, start, now, _names(found)))


def _concerns(core: Core, row: Row, found: Drift, actions: set[str]) -> bool:
    """Whether the approved request is about the same thing."""
    if row["subject"] == "action":
        return row["action"] in actions
    content = core.full(row.get("content"))
    agent = content.get("agent", "") if isinstance(content, dict) else ""
    return bool(agent) and agent == found.subject.get("agent")


def _actions(core: Core, found: Drift) -> set[str]:
    """The actions that it is about: named, or those of the entries behind it."""
    named = {str(found.subject.get("action") or ""), *map(str, found.subject.get("actions") or ())}
    for index in found.entries:
        entry = core.ledger.entry(index)
        if entry is not None:
            named.add(str(entry.fields.get("id" if entry.type == "action.decided" else "action") or ""))
    return named - {""}


def _of(row: Row) -> Explanation:
    approvals = [
        given for given in row["approvals"] if given["choice"] == "approve" and not given.get("void")
    ]
    return Explanation(
        grade="CANDIDATE",
        change=row["id"],
        actor=row["initiator"] or "",
        approvers=tuple(given["person"] for given in approvals),
        reason=next((given["reason"] for given in approvals if given["reason"]), ""),
        time=_ended(row),
        outcome="approved",
    )


def _ended(row: Row) -> int:
    return int(row.get("ended") or row["opened"])


def _names(found: Drift) -> str:
    named = [
        f"{name} {found.subject[name]}"
        for name in _ABOUT
        if isinstance(found.subject.get(name), str) and found.subject[name]
    ]
    return named[0] if named else "it"


def _searched(rows: list[Row], start: int, end: int, about: str) -> str:
    days = f"from {_day(start)} to {_day(end)}"
    counted = f"{len(rows)} approved change{'' if len(rows) == 1 else 's'} {days}"
    return f"Searched {counted}" + (f": none is about {about}." if about else ".")


def _day(ms: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(ms / 1000))


__all__ = ["explained"]
