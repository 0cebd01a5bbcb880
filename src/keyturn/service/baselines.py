"""What people approve as an agent's ordinary behaviour: proposed from its measured sessions, pinned by somebody else's approval.

Rules kept here:

- The first baseline needs approval like every later one, and whoever approves sees what is in it: drift that is pinned is no drift.
- Whoever proposes it, the agent's owner and whoever's instructions it mostly ran under don't approve it (promise 6).
- Nothing else ever changes a baseline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, to_builtins

from keyturn.drift.baseline import (
    ENOUGH_DAYS,
    ENOUGH_SESSIONS,
    MOST_SESSIONS,
    Baseline,
    Measured,
    baseline,
    enough,
)
from keyturn.drift.behaviour import percent
from keyturn.drift.features import Session
from keyturn.drift.stream.hours import usual_hours
from keyturn.errors import ExitCode, KeyturnError, Malformed
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.service.behaviour_rows import spread
from keyturn.service.changes import open_change
from keyturn.service.core import Core
from keyturn.service.model import RequestView
from keyturn.service.publication import REVIEWERS

MOST_TOTALS = 120
"""Days of each class that are pinned."""
SHOWN = 25
MAX_WHY = 2_000


class NoBaseline(KeyturnError):
    """There is no pinned baseline of that agent."""

    code = "baseline.none"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was read."
    next_step = "`keyturn baseline list` shows whose there are; `keyturn baseline propose AGENT --why WHY` proposes one."


class TooLittle(KeyturnError):
    """The agent was not watched for long enough."""

    code = "baseline.too_little"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was proposed."
    next_step = (
        f"Wait for {ENOUGH_SESSIONS} measured sessions or {ENOUGH_DAYS} days; until then it is measured against a peer "
        "of the same definition if there is one, and limits and rules hold all the while."
    )


class BaselineMoved(KeyturnError):
    """Another baseline was pinned after this one was proposed."""

    code = "baseline.moved"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was approved and nothing was pinned."
    next_step = "Deny it, look at what is pinned now, and propose again if it is still wrong."


class BaselineView(Struct, frozen=True):
    """A pinned baseline as it is shown; times in milliseconds. `content` is what reviewers saw."""

    agent: str
    id: str
    definition: str
    policy: str
    sessions: int
    actions: int
    first: int
    last: int
    a_day: float
    share: float
    share_bound: float
    presence: float
    presence_bound: float
    once_only: int
    novel_bound: float
    since: int
    entry: int
    request: str
    by: str
    approvers: tuple[str, ...]
    why: str
    content: str = ""


async def propose(core: Core, agent: str, person: Person, why: str) -> RequestView:
    """Ask that what *agent* did lately be its baseline. Raises `TooLittle`, `Malformed`."""
    why = core.redaction.text(why.strip())
    if not why or len(why) > MAX_WHY:
        raise Malformed(f"A baseline is proposed with a reason of at most {MAX_WHY:,} characters.")
    made, people, owner = _made(core, agent)
    known = core.ledger.row("baseline", agent)
    before = known["id"] if known is not None else ""
    content = {
        "agent": agent,
        "text": text(made, why, before),
        "baseline": to_builtins(made),
        "before": before,
        "why": why,
    }
    again = "again" if before else "for the first time"
    return await open_change(
        core,
        subject="baseline",
        content=content,
        sentence=f"Pins what {agent} did in {made.sessions:,} sessions as its ordinary behaviour, {again}.",
        why="Drift is measured against a baseline, so somebody else has to have looked at what is in it.",
        by=person,
        approve=REVIEWERS,
        authors=people,
        owner=owner,
    )


def _made(core: Core, agent: str) -> tuple[Baseline, tuple[str, ...], str | None]:
    """(baseline, who it mostly acted for, its owner). Only sessions under the definition of the newest one count."""
    rows = core.ledger.rows("measured", state=agent, limit=MOST_SESSIONS)
    definition = rows[0]["definition"] if rows else ""
    kept = [row for row in reversed(rows) if row["definition"] == definition]
    first, last = (kept[0]["time"], kept[-1]["time"]) if kept else (0, 0)
    if not enough(len(kept), first, last):
        days = (last - first) / 86_400_000
        raise TooLittle(
            f"{agent} has {len(kept)} measured sessions over {days:.1f} days under its present definition."
        )
    measured = [Measured(row["time"], _session(core, row)) for row in kept]
    people: Counter[str] = Counter()
    owner = None
    for name in dict.fromkeys(row["session"] for row in kept[-400:]):
        session = core.ledger.row("session", name) or {}
        human = core.full(session.get("human"))
        people[human["person"] if human else ""] += 1
        owner = core.full(session["agent"]).get("owner") or owner if session else owner
    return baseline(agent, definition, kept[-1]["policy"], measured), _mostly(people), owner


def _mostly(people: Counter[str]) -> tuple[str, ...]:
    """Whoever stands behind half of the sessions or more."""
    return tuple(person for person, count in people.items() if person and 2 * count >= sum(people.values()))


def _session(core: Core, row: Mapping[str, Any]) -> Session:
    entry = core.ledger.entry(row["entry"])
    fields = entry.fields if entry is not None else {}
    names = core.full(fields["categories"])
    return Session(
        tuple([names[place] for place in core.full(fields["sequence"])]),
        tuple(core.full(fields["effects"])),
        fields["sensitive"],
    )


def has_enough(core: Core, agent: str) -> bool:
    """Whether a baseline of *agent* can be proposed now."""
    rows = core.ledger.rows("measured", state=agent, limit=ENOUGH_SESSIONS)
    kept = [row for row in rows if row["definition"] == rows[0]["definition"]]
    return bool(kept) and enough(len(kept), kept[-1]["time"], kept[0]["time"])


def content_of(core: Core, row: Mapping[str, Any]) -> Baseline:
    """What the row of kind `baseline` pins."""
    return msgspec.convert(core.full(row["baseline"]), Baseline)


def text(made: Baseline, why: str, before: str) -> str:
    """What reviewers read: everything that is pinned, in words and counts."""
    lines = [
        f"Agent       {made.agent}",
        f"Why         {why}",
        f"Replaces    {before or 'nothing: it is the first'}",
        f"Definition  {made.definition or 'unknown'}",
        f"Policy      {made.policy}",
        f"Measured    {made.sessions:,} sessions, {made.actions:,} actions, {made.a_day:,.1f} sessions a day",
        "",
        f"Sensitive   {percent(made.share)} of actions (alarms from over {percent(made.share_bound)} on); "
        f"{percent(made.presence)} of sessions have any (over {percent(made.presence_bound)})",
        f"Once only   {made.once_only} sessions did something that no other did (over {percent(made.novel_bound)} of sessions is novel)",
        "",
        f"What it did ({len(made.categories)} categories of actions):",
        *_counts(made.categories),
        "",
        f"Effects ({len(made.effects)}), by sessions:",
        *_counts(made.effects),
    ]
    if made.totals:
        lines += ["", "Actions a day:"]
        lines += [f"  {name:<10} {_range(totals)}" for name, totals in made.totals.items()]
    lines += ["", *_at_work(made)]
    return "\n".join(lines)


def _at_work(made: Baseline) -> list[str]:
    if not made.hours.scores:
        return [
            "At work: not told apart, as it was watched for less than two whole weeks or has no quiet hours."
        ]
    return ["At work (UTC; alarms when it often is at other hours):"] + [
        f"  {name:<10} {spans}" for name, spans in usual_hours(made.hours).items()
    ]


def _counts(counts: Mapping[str, int]) -> list[str]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"  {count:>7,}  {name}" for name, count in ordered]


def _range(totals: Sequence[int]) -> str:
    ordered = sorted(totals)
    return f"{ordered[0]:,} to {ordered[-1]:,}, half of them up to {ordered[len(ordered) // 2]:,} ({len(ordered)} days)"


def effect(core: Core, rows: Rows, row: dict[str, Any]) -> Sequence[Draft]:
    """What the last approval records. Raises `BaselineMoved`."""
    content = core.full(row["content"])
    made = msgspec.convert(core.full(content["baseline"]), Baseline)
    known = rows.row("baseline", made.agent)
    if (known["id"] if known is not None else "") != content["before"]:
        raise BaselineMoved(f"Another baseline of {made.agent} was pinned meanwhile.")
    approvers = [given["person"] for given in row["approvals"] if given["choice"] == "approve"]
    fields = {
        "id": row["id"],
        "agent": made.agent,
        "definition": made.definition,
        "policy": made.policy,
        "sessions": made.sessions,
        "actions": made.actions,
        "first": made.first,
        "last": made.last,
        "a_day": made.a_day,
        "share": made.share,
        "share_bound": made.share_bound,
        "presence": made.presence,
        "presence_bound": made.presence_bound,
        "once_only": made.once_only,
        "novel_bound": made.novel_bound,
        "totals": {name: list(totals[-MOST_TOTALS:]) for name, totals in made.totals.items()},
        "hours": {name: list(scores[-MOST_TOTALS:]) for name, scores in made.hour_scores.items()},
        "baseline": to_builtins(made),
        "content": content["text"],
        "request": row["id"],
        "by": row["initiator"],
        "approvers": approvers,
        "why": content["why"],
        **spread("effects", sorted(made.effects)),
        **spread("scores", made.reference.scores),
        **spread("counts", made.reference.counts),
    }
    return [Draft("baseline.pinned", fields, once=f"baseline.pinned:{row['id']}")]


def views(core: Core) -> list[BaselineView]:
    """All that are pinned, newest first."""
    return [_view(core, row) for row in core.ledger.rows("baseline")]


def view(core: Core, agent: str) -> BaselineView:
    """That of *agent*, with its content. Raises `NoBaseline`."""
    row = core.ledger.row("baseline", agent)
    if row is None:
        raise NoBaseline(f"No baseline of {agent[:80]!r} is pinned.")
    return msgspec.structs.replace(_view(core, row), content=core.full(row["content"]))


def _view(core: Core, row: Mapping[str, Any]) -> BaselineView:
    # The row of an approver is the draft's: the one who completed it is in the request.
    request = core.ledger.row("request", row["request"]) or {}
    given = [one["person"] for one in request.get("approvals", ()) if one["choice"] == "approve"]
    return msgspec.convert({**row, "approvers": given or row["approvers"], "content": ""}, BaselineView)
