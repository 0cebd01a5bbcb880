"""Rows of what agents ordinarily do and of how far they are from it. Pure, part of the fold.

`baseline` (by agent) what is pinned · `baseline-reference` (by the baseline's id) its scores and totals · `baseline-definition` the agent
whose baseline was pinned last for a definition · `drift-stream`, `drift-reference` (by agent) the state of its detectors ·
`measured` (by session and part; state: the agent) every session measured · `measured-session` how far a session was measured ·
`measured-agent` how many sessions of an agent were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from keyturn.drift.stream import (
    AgentStream,
    BoundedMeanESR,
    ConformalSR,
    DailyHours,
    DailyTotals,
    Novelty,
    Portfolio,
    Promise,
    Reference,
    Step,
)
from keyturn.ledger.entries import Entry, Put, Rows
from keyturn.service import power_rows

Body = dict[str, Any]

PER_FIELD = 200
"""Items of a list that go into one field, so that none is large enough for the blob store: the fold reads fields only."""
KEPT = (
    "session",
    "part",
    "agent",
    "definition",
    "policy",
    "baseline",
    "actions",
    "sensitive",
    "score",
    "evidence",
    "telling",
    "began",
)


def spread(name: str, items: Sequence[Any]) -> Body:
    """*items* as fields `name_0`, `name_1`, …"""
    return {
        f"{name}_{at // PER_FIELD}": list(items[at : at + PER_FIELD])
        for at in range(0, len(items), PER_FIELD)
    }


def gathered(name: str, fields: Body) -> list[Any]:
    """The items of `spread`."""
    found: list[Any] = []
    while f"{name}_{len(found) // PER_FIELD}" in fields and len(found) % PER_FIELD == 0:
        found += fields[f"{name}_{len(found) // PER_FIELD}"]
    return found


def _pinned(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    lists = ("effects_", "scores_", "counts_")
    body = {
        name: value
        for name, value in f.items()
        if not name.startswith(lists) and name not in ("totals", "hours")
    }
    body |= {"effects": gathered("effects", f), "entry": entry.index, "since": entry.time}
    yield Put("baseline", f["agent"], body, "pinned", entry.time)
    reference = {
        "bounds": [f["share_bound"], f["presence_bound"], f["novel_bound"]],
        "order": {"scores": gathered("scores", f), "counts": gathered("counts", f)},
        "totals": f["totals"],
        "hours": f.get("hours", {}),
    }
    yield Put("baseline-reference", f["id"], reference)
    yield from power_rows.pinned(entry, rows)
    if f["definition"]:
        yield Put("baseline-definition", f["definition"], {"agent": f["agent"], "id": f["id"]})


def for_agent(rows: Rows, agent: str, definition: str) -> Body | None:
    """The row of the baseline that *agent* is measured against: its own, or that of a peer of the same *definition*."""
    own = rows.row("baseline", agent)
    if own is not None or not definition:
        return own
    peer = rows.row("baseline-definition", definition)
    row = rows.row("baseline", peer["agent"]) if peer is not None else None
    return row if row is not None and row["definition"] == definition else None


def stream_of(rows: Rows, agent: str, baseline: str) -> AgentStream:
    """The state of *agent*'s detectors against *baseline*: fresh when that was pinned since."""
    body, reference = rows.row("drift-stream", agent), rows.row("drift-reference", agent)
    if body is not None and reference is not None and body["baseline"] == baseline:
        return AgentStream.of_rows(body, reference)
    pinned = rows.row("baseline-reference", baseline) or {}
    share, presence, novel = pinned["bounds"]
    order = Reference(tuple(pinned["order"]["scores"]), tuple(pinned["order"]["counts"]))
    portfolio = Portfolio(BoundedMeanESR(share), BoundedMeanESR(presence), ConformalSR(order), Novelty(novel))
    hours = DailyHours.of(pinned.get("hours", {}))
    return AgentStream(baseline, portfolio, DailyTotals.of(pinned["totals"]), hours=hours)


def step_of(fields: Body) -> Step:
    """What `session.measured` gives the detectors."""
    return Step(
        name=f"{fields['session']}#{fields['part']}",
        actions=fields["actions"],
        sensitive=fields["sensitive"],
        score=fields["score"],
        novel=bool(fields["novel"]),
        day=fields["day"],
        promise=Promise(*fields["promise"]),
        unusual=fields.get("unusual", 0),
    )


def _measured(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    name = f"{f['session']}#{f['part']}"
    body = {key: f[key] for key in KEPT} | {
        "novel": bool(f["novel"]),
        "entry": entry.index,
        "time": f["ended"],
    }
    body |= {"powers": f["powers"]} if f.get("powers") else {}
    yield Put("measured", name, body, f["agent"], entry.time)
    yield from power_rows.measured(entry, rows)
    yield Put("measured-session", f["session"], {"part": f["part"], "last": f["last"]})
    so_far = rows.row("measured-agent", f["agent"]) or {
        "agent": f["agent"],
        "sessions": 0,
        "first": f["began"],
    }
    agent = {**so_far, "sessions": so_far["sessions"] + 1, "last": f["ended"], "definition": f["definition"]}
    yield Put("measured-agent", f["agent"], agent, "", f["ended"])
    if not f["baseline"]:
        return
    stream, told = stream_of(rows, f["agent"], f["baseline"]).after(step_of(f))
    state, reference = stream.rows()
    known = rows.row("drift-stream", f["agent"]) or {}
    alarms = known.get("alarms", []) if known.get("baseline") == f["baseline"] else []
    alarms = [*alarms, *([entry.index, cause] for cause in told.alarms)][-20:]
    shown = {
        "agent": f["agent"],
        "evidence": f["evidence"],
        "promise": f["promise"],
        "alarms": alarms,
        "peer": f["peer"],
    }
    yield Put("drift-stream", f["agent"], {**state, **shown, "entry": entry.index}, "watched", entry.time)
    yield Put("drift-reference", f["agent"], reference)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "session.measured": _measured,
    "baseline.pinned": _pinned,
}
