"""What an agent's behaviour is now beside its baseline, as it is shown: on the page, over the API, on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn import canonical
from keyturn.drift import off_hours
from keyturn.drift.baseline import Baseline
from keyturn.drift.behaviour import Seen, seen
from keyturn.drift.powers import Powers, of_row
from keyturn.drift.stream import CONDITIONS
from keyturn.errors import NotFound
from keyturn.service import baselines, findings
from keyturn.service.baselines import BaselineView
from keyturn.service.behaviour_rows import for_agent
from keyturn.service.core import Core
from keyturn.service.findings import FindingView
from keyturn.service.power_rows import ROW

RECENT = 100
"""Sessions that "now" is about."""
MOST_POINTS = 1_000
MOST_AGENTS = 500
SHOWN_CATEGORIES = 12


class AgentDrift(Struct, frozen=True):
    """One agent, in a line. `measured_against` is whose baseline it is measured against: its own name, a peer's, empty for nobody's.

    `evidence` holds the e-value of each component, that of the portfolio as `evidence`, those of `volume` and `hours`; `threshold` and
    `threshold_days` are where an alarm is raised; `sessions` were measured in all, `since` against this baseline.
    """

    agent: str
    measured_against: str
    sessions: int
    last: int
    since: int = 0
    evidence: dict[str, Any] = {}
    threshold: float = 0.0
    threshold_days: float = 0.0
    alarms: tuple[tuple[int, str], ...] = ()
    findings: int = 0
    enough: bool = False


class Point(Struct, frozen=True):
    """One measured session; `entry` is its own, `first` that of an action that speaks for drift, if any."""

    session: str
    part: int
    entry: int
    time: int
    actions: int
    sensitive: int
    novel: bool
    evidence: dict[str, Any]
    telling: dict[str, list[int]]


class Group(Struct, frozen=True):
    """Something counted, then and now, as shares; an alarm's evidence grows from over `bound` on (None: none of its own)."""

    name: str
    baseline: float
    now: float
    bound: float | None = None


class Course(Struct, frozen=True):
    """One agent in full. `points` are the newest sessions, oldest first; `groups` and `categories` compare its newest `RECENT` with
    the baseline; `days` is the promise: how many days there are between false alarms of all agents. `powers` are those that it used
    at first, and what came since."""

    line: AgentDrift
    baseline: BaselineView | None
    points: tuple[Point, ...]
    groups: tuple[Group, ...]
    categories: tuple[Group, ...]
    findings: tuple[FindingView, ...]
    days: float
    conditions: tuple[str, ...] = CONDITIONS
    powers: Powers = Powers()


def fleet(core: Core) -> list[AgentDrift]:
    """Every agent that was ever measured; the one with the most evidence first."""
    lines = [_line(core, row) for row in core.ledger.rows("measured-agent", limit=MOST_AGENTS)]
    return sorted(lines, key=lambda one: (-_urgency(one), one.agent))


def _urgency(one: AgentDrift) -> float:
    return one.findings * 1e15 + (one.evidence.get("evidence", 0.0) / one.threshold if one.threshold else 0.0)


def _line(core: Core, row: Mapping[str, Any]) -> AgentDrift:
    agent = row["agent"]
    pinned = for_agent(core.ledger, agent, row["definition"])
    state = core.ledger.row("drift-stream", agent) or {}
    fresh = pinned is None or state.get("baseline") != pinned["id"]
    promise = [0.0, 0.0] if fresh else state["promise"]
    return AgentDrift(
        agent=agent,
        measured_against=pinned["agent"] if pinned is not None else "",
        sessions=row["sessions"],
        last=row["last"],
        since=0 if fresh else state["sessions"],
        evidence={} if fresh else state["evidence"],
        threshold=promise[0],
        threshold_days=promise[1],
        alarms=() if fresh else tuple((entry, cause) for entry, cause in state["alarms"]),
        findings=len(_findings(core, agent)),
        enough=baselines.has_enough(core, agent),
    )


def _findings(core: Core, agent: str) -> list[FindingView]:
    """Its findings of behaviour that nobody has settled."""
    found = []
    for cause in ("sensitive", "order", "novel", "volume", "hours"):
        name = canonical.digest({"kind": f"behaviour.{cause}", "key": [agent, cause]})
        known = core.ledger.row("finding-key", name)
        row = core.ledger.row("finding", known["finding"]) if known and known["open"] else None
        if row is not None:
            found.append(findings.view(core, row))
    return found


def course(core: Core, agent: str, last: int = 200) -> Course:
    """*agent* with its newest *last* sessions. Raises `NotFound`."""
    row = core.ledger.row("measured-agent", agent)
    if row is None:
        raise NotFound(f"No session of an agent {agent[:80]!r} was ever measured.")
    line = _line(core, row)
    rows = core.ledger.rows("measured", state=agent, limit=min(max(last, 1), MOST_POINTS))[::-1]
    pinned = core.ledger.row("baseline", line.measured_against) if line.measured_against else None
    groups: tuple[Group, ...] = ()
    categories: tuple[Group, ...] = ()
    if pinned is not None:
        recent = [one for one in rows if one["baseline"] == pinned["id"]][-RECENT:]
        made = baselines.content_of(core, pinned)
        groups = _groups([seen(one) for one in recent], made)
        categories = _categories(core, recent, made)
    return Course(
        line=line,
        baseline=baselines.view(core, line.measured_against) if pinned is not None else None,
        points=tuple(_point(one) for one in rows),
        groups=groups,
        categories=categories,
        findings=tuple(_findings(core, agent)),
        days=core.policy.drift.statistics.days_between_false_alarms,
        powers=of_row(core.ledger.row(ROW, agent)),
    )


def _point(row: Mapping[str, Any]) -> Point:
    return Point(
        row["session"],
        row["part"],
        row["entry"],
        row["time"],
        row["actions"],
        row["sensitive"],
        row["novel"],
        row["evidence"],
        row["telling"],
    )


def _groups(recent: Sequence[Seen], made: Baseline) -> tuple[Group, ...]:
    if not recent:
        return ()
    count = len(recent)
    return (
        Group("sensitive actions", made.share, sum(one.share for one in recent) / count, made.share_bound),
        Group(
            "sessions with any",
            made.presence,
            sum(one.sensitive > 0 for one in recent) / count,
            made.presence_bound,
        ),
        Group(
            "sessions with something new",
            made.once_only / max(made.sessions, 1),
            sum(one.novel for one in recent) / count,
            made.novel_bound,
        ),
        Group("sessions as surprising as one in ten", 0.1, sum(one.p <= 0.1 for one in recent) / count),
        *_quiet_hours(recent, made),
    )


def _quiet_hours(recent: Sequence[Seen], made: Baseline) -> Iterator[Group]:
    """Of actions in hours in which it is next to never at work; of an agent that has such hours."""
    if made.hours.scores:
        yield Group("actions in its quiet hours", made.quiet_share, off_hours.share(recent, made))


def _categories(core: Core, recent: Sequence[Mapping[str, Any]], made: Baseline) -> tuple[Group, ...]:
    """The categories whose share of actions changed most."""
    counts: dict[str, int] = {}
    for row in recent:
        entry = core.ledger.entry(row["entry"])
        if entry is not None:
            names = core.full(entry.fields["categories"])
            for place in core.full(entry.fields["sequence"]):
                counts[names[place]] = counts.get(names[place], 0) + 1
    total = sum(counts.values())
    if not total:
        return ()
    both = {*counts, *made.categories}
    groups = [
        Group(name, made.categories.get(name, 0) / max(made.actions, 1), counts.get(name, 0) / total)
        for name in both
    ]
    groups.sort(key=lambda one: (-abs(one.now - one.baseline), one.name))
    return tuple(groups[:SHOWN_CATEGORIES])
