"""Alarms of statistics as findings: the sessions that led to one are read back from the log's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyturn.drift import behaviour, off_hours
from keyturn.drift.baseline import Baseline
from keyturn.drift.behaviour import Seen
from keyturn.drift.features import doing
from keyturn.drift.finding import Drift
from keyturn.ledger.entries import Rows
from keyturn.service import behaviour_explaining as explaining
from keyturn.service.core import Core

LOOKED_BACK = 4_000
"""Sessions among which a beginning is looked for."""
WEEK_MS = 7 * 86_400_000
NAMED = 6


def drift(
    core: Core,
    rows: Rows,
    cause: str,
    fields: Mapping[str, Any],
    baseline: Baseline,
    pinned: Mapping[str, Any],
) -> Drift:
    """The finding that the session of *fields* (`session.measured`) raises. Its own agent's sessions against *pinned* are read."""
    agent = fields["agent"]
    sessions = history(core, rows, agent, pinned["id"], cause)
    now = fields["ended"]
    sessions.append(behaviour.seen({**fields, "time": now, "novel": bool(fields["novel"])}))
    if cause == "volume":
        recent = [one for one in sessions if one.time > now - WEEK_MS]
        explained = explaining.of_behaviour(core, agent, recent, [True] * len(recent), (), 0.0)
        return behaviour.volume(
            agent, fields["evidence"]["volume"], fields["day"], baseline, recent, explained
        )
    if cause == "hours":
        return _hours(core, fields, baseline, pinned["id"], sessions)
    place = behaviour.dated(cause, sessions, baseline)[1]
    what = told(core, sessions[place:], cause, baseline)
    usual = explaining.expected(cause, baseline)
    explained = explaining.of_behaviour(core, agent, sessions, _flagged(sessions, cause), what[:NAMED], usual)
    return behaviour.drift(
        agent, cause, fields["evidence"]["evidence"], sessions, baseline, what[:NAMED], explained
    )


def _hours(
    core: Core, fields: Mapping[str, Any], baseline: Baseline, pinned: str, sessions: Sequence[Seen]
) -> Drift:
    agent, quiet = fields["agent"], [baseline.hours.quiet(one.time) for one in sessions]
    explained = explaining.of_behaviour(core, agent, sessions, quiet, (), 0.0)
    return off_hours.drift(agent, fields["evidence"]["hours"], pinned, baseline, sessions, explained)


def history(core: Core, rows: Rows, agent: str, baseline: str, cause: str = "") -> list[Seen]:
    """*agent*'s sessions against *baseline*, oldest first, since the last alarm of the detector that tells of *cause*."""
    alarms = (rows.row("drift-stream", agent) or {}).get("alarms", [])
    own = cause if cause in ("volume", "hours") else ""
    last = max(
        (entry for entry, which in alarms if (which if which in ("volume", "hours") else "") == own),
        default=-1,
    )
    found = core.ledger.rows("measured", state=agent, limit=LOOKED_BACK)
    kept = [row for row in found if row["baseline"] == baseline and row["entry"] > last]
    return [behaviour.seen(row) for row in reversed(kept)]


def told(core: Core, sessions: Sequence[Seen], cause: str, baseline: Baseline) -> list[str]:
    """The categories of the actions that speak for *cause*, most frequent first."""
    counts: dict[str, int] = {}
    entries = [entry for one in sessions for entry in one.telling.get(cause, ())][-200:]
    sensitive = core.policy.drift.statistics.sensitive
    for index in entries:
        entry = core.ledger.entry(index)
        if entry is not None and "reading" in entry.fields:
            category = doing(core.full(entry.fields["reading"]), sensitive).category
            counts[category] = counts.get(category, 0) + 1
    return sorted(counts, key=lambda one: (-counts[one], one))


def _flagged(sessions: Sequence[Seen], cause: str) -> tuple[bool, ...]:
    if cause == "sensitive":
        return tuple(one.sensitive > 0 for one in sessions)
    if cause == "novel":
        return tuple(one.novel for one in sessions)
    return tuple(one.p <= 0.1 for one in sessions)
