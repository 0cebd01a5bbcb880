"""Agents and their definitions as they are shown."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from keyturn.policy.decision import Definition as State
from keyturn.service import originals
from keyturn.service.core import Core
from keyturn.service.definition_rows import key
from keyturn.service.definition_state import baseline, state_of

Row = dict[str, Any]
MOST = 500


class AgentView(Struct, frozen=True):
    """An agent: what people know of what it is now, and when it was seen. Times in milliseconds. `findings`: open ones about it."""

    name: str
    client: str
    state: State
    definition: str | None
    place: str
    session: str
    sessions: int
    first: int
    last: int
    findings: int = 0
    owner: str | None = None


class Assessed(Struct, frozen=True):
    """It was approved anew: what was the `original` before, how many `versions` came since, and how much more it may (None: unknown)."""

    original: str
    versions: int
    expands: float | None


class Given(Struct, frozen=True):
    """People approved it: who asked, who approved, why, and where that is recorded.

    `assessed`: small steps are measured from here on. `effects`: what it was expected to do more.
    """

    request: str
    by: str
    approvers: tuple[str, ...]
    why: str
    reasons: tuple[str, ...]
    time: int
    entry: int
    assessed: Assessed | None = None
    effects: tuple[str, ...] = ()


class Taken(Struct, frozen=True):
    """A person took the approval back."""

    by: str
    why: str
    time: int
    entry: int


class PartView(Struct, frozen=True):
    """One part. `kept`: whether its text is there to be shown."""

    kind: str
    name: str
    digest: str
    size: int
    kept: bool


class DefinitionView(Struct, frozen=True):
    """One definition of an agent. `state` is what people know of it where it was seen first; `request` waits for people now.

    `original`: what small steps are measured against there.

    `people` are those in whose sessions it was seen; `sessions` the newest of those. `told`: whether a gate told its parts.
    """

    agent: str
    digest: str
    client: str
    model: str
    place: str
    state: State
    baseline: bool
    first: int
    last: int
    count: int
    entry: int
    people: tuple[str, ...]
    sessions: tuple[str, ...]
    told: bool
    approvals: tuple[Given, ...] = ()
    withdrawn: Taken | None = None
    request: str = ""
    parts: tuple[PartView, ...] = ()
    original: bool = False


def agents(core: Core, limit: int = MOST) -> list[AgentView]:
    """All that were seen, newest first."""
    return [_agent(core, row) for row in core.ledger.rows("agent", limit=limit) if row["name"]]


def agent(core: Core, name: str) -> AgentView | None:
    """One agent."""
    row = core.ledger.row("agent", name)
    return _agent(core, row) if row is not None else None


def _agent(core: Core, row: Row) -> AgentView:
    about = core.ledger.row("finding-about", f"agent\x1f{row['name']}") or {"kinds": {}}
    return AgentView(
        name=row["name"],
        client=row["client"],
        state=state_of(core.ledger, row["name"], row["definition"], row["place"]),
        definition=row["definition"],
        place=row["place"],
        session=row["session"],
        sessions=row["sessions"],
        first=row["first"],
        last=row["last"],
        findings=sum(about["kinds"].values()),
        owner=row.get("owner"),
    )


def definitions(core: Core, agent: str = "", limit: int = MOST) -> list[DefinitionView]:
    """Those of *agent* (empty: of all), the last used first, without their parts."""
    rows = [row for row in core.ledger.rows("definition", limit=10_000) if agent in ("", row["agent"])]
    rows.sort(key=lambda row: -int(row["last"]))
    return [view(core, row, parts=False) for row in rows[:limit]]


def view(core: Core, row: Row, *, parts: bool = True) -> DefinitionView:
    """One definition."""
    asked = core.ledger.row("request", row["request"]) if row["request"] else None
    taken = row["withdrawn"]
    return DefinitionView(
        agent=row["agent"],
        digest=row["digest"],
        client=row["client"],
        model=row["model"],
        place=row["place"],
        state=state_of(core.ledger, row["agent"], row["digest"], row["place"]),
        baseline=baseline(core.ledger, row["agent"], row["place"]) == row["digest"],
        first=row["first"],
        last=row["last"],
        count=row["count"],
        entry=row["entry"],
        people=tuple(row["people"]),
        sessions=tuple(reversed(row["sessions"])),
        told=row["told"],
        approvals=tuple(_given(core, one) for one in reversed(row["approved"])),
        withdrawn=Taken(taken["by"], core.full(taken["why"]), taken["time"], taken["entry"])
        if taken
        else None,
        request=row["request"] if asked and asked["state"] == "waiting" else "",
        parts=tuple(
            PartView(part["kind"], part["name"], part["digest"], part["size"], part["text"] is not None)
            for part in core.full(row["parts"])
        )
        if parts
        else (),
        original=(originals.original_of(core.ledger, row["agent"], row["place"]) or {}).get("digest")
        == row["digest"],
    )


def _given(core: Core, one: Row) -> Given:
    request = core.ledger.row("request", one["request"]) or {}
    counted = [a for a in request.get("approvals", ()) if a["choice"] == "approve" and not a.get("void")]
    return Given(
        request=one["request"],
        by=one["by"] or "",
        approvers=tuple(a["person"] for a in counted),
        why=core.full(one["why"]),
        reasons=tuple(core.full(a["reason"]) for a in counted if a["reason"]),
        time=one["time"],
        entry=one["entry"],
        assessed=Assessed(**one["assessed"]) if one.get("assessed") else None,
        effects=tuple(core.full(one.get("effects", ()))),
    )


def approved(core: Core, row: Row) -> Row | None:
    """The baseline where *row* was seen: itself, if it is that."""
    newest = baseline(core.ledger, row["agent"], row["place"])
    return core.ledger.row("definition", key(row["agent"], newest)) if newest else None


def other(core: Core, row: Row, before: str = "") -> Row | None:
    """What *row* is compared with: *before*, the baseline where it was seen, or what was approved for its agent before it."""
    if before:
        return core.ledger.row("definition", key(row["agent"], before))
    newest = baseline(core.ledger, row["agent"], row["place"])
    if newest == row["digest"]:
        where = core.ledger.row("agent-place", key(row["agent"], row["place"])) or {"approved": []}
        newest = where["approved"][-2] if len(where["approved"]) > 1 else None
    return core.ledger.row("definition", key(row["agent"], newest)) if newest else None


__all__ = [
    "AgentView",
    "Assessed",
    "DefinitionView",
    "Given",
    "PartView",
    "Taken",
    "agent",
    "agents",
    "approved",
    "definitions",
    "other",
    "view",
]
