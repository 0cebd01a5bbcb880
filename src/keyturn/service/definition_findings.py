"""What a definition that is seen shows: that it is another one, that nobody approved any, that a tool is not what it was."""

from __future__ import annotations

from typing import Any

from keyturn import canonical
from keyturn.actions import Agent
from keyturn.drift import definition_diff
from keyturn.drift.definition import Definition
from keyturn.drift.finding import UNEXPLAINED, Drift, Explanation
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import findings
from keyturn.service.core import Core
from keyturn.service.definition_rows import key
from keyturn.service.definition_state import baseline, of_row, state_of

Row = dict[str, Any]
RATCHET = "ratchet.instructions"
NAMED = 5
"""Parts that a sentence names."""


def drafts(
    core: Core, rows: Rows, digest: str, described: Definition | None, place: str, agent: Agent, session: str
) -> list[Draft]:
    """The findings of *agent* being *digest* at *place* from now on; none when it is as it was."""
    where = rows.row("agent-place", key(agent.name, place)) or {}
    before = baseline(rows, agent.name, place) or where.get("last")
    old = rows.row("definition", key(agent.name, before)) if before else None
    new = rows.row("definition", key(agent.name, digest))
    now = described or (of_row(core, new) if new else None)
    subject = {"agent": agent.name, "definition": digest, "place": place, "session": session}
    state = state_of(rows, agent.name, digest, place)
    found: list[Drift] = []
    if state == "unknown" and old is None:
        found.append(_unknown(agent, place, digest, subject))
    elif state == "changed" or (state == "approved" and where.get("last") not in (None, digest)):
        was = of_row(core, old) if old else None
        found.append(_changed(core, rows, agent, was, before, now, new, digest, subject))
    if old is not None and now is not None and before != digest:
        found += _tools(agent, of_row(core, old), now, subject, new, core, rows)
    return [draft for drift in found for draft in findings.drafts(core, rows, drift, session)]


def _unknown(agent: Agent, place: str, digest: str, subject: dict[str, Any]) -> Drift:
    where = f" in {place}" if place else ""
    return Drift(
        "definition.unknown",
        (agent.name, place),
        f"Nobody has approved what {agent.name}{where} is.",
        subject,
        observed=digest,
        expected="a definition that people approved",
    )


def _changed(
    core: Core,
    rows: Rows,
    agent: Agent,
    was: Definition | None,
    before: str | None,
    now: Definition | None,
    row: Row | None,
    digest: str,
    subject: dict[str, Any],
) -> Drift:
    names: list[str] = []
    if was is not None and now is not None:
        names = [part.name for part in definition_diff.compare(was, now, lambda part: None).parts]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    what = f": {', '.join(names[:NAMED])}{more}" if names else ""
    explained = explanation(core, rows, row)
    return Drift(
        "definition.changed",
        (agent.name, digest, str(before) if explained.grade != "NONE" else ""),
        f"{agent.name} is not what it was{what}.",
        subject,
        observed=digest,
        expected=before or "a definition that people approved",
        explanation=explained,
        severity="low" if explained.grade == "PROVEN" else None,
    )


def _tools(
    agent: Agent,
    was: Definition,
    now: Definition,
    subject: dict[str, Any],
    row: Row | None,
    core: Core,
    rows: Rows,
) -> list[Drift]:
    explained = explanation(core, rows, row)
    return [
        Drift(
            "tool.changed",
            (agent.name, new.name, new.digest),
            f"The tool {new.name} of {agent.name} is not the one that was listed before under this name.",
            {**subject, "object": new.name},
            observed=new.digest,
            expected=old.digest,
            explanation=explained,
            severity="low" if explained.grade == "PROVEN" else None,
        )
        for old, new in definition_diff.changed_tools(was, now)
    ]


def settled(
    rows: Rows, target: Row, parts: list[Row], request: str, why: str, assessed: Row | None = None
) -> list[Draft]:
    """What was found about the definition that is approved with *request* is closed: it is what people approved, byte for byte.

    *assessed* is there where they were shown the whole way from the original: then small steps away from it are settled, too, unless
    they led to a definition that nobody approved.
    """
    agent, digest = target["agent"], target["digest"]
    keys: list[tuple[str, tuple[str, ...]]] = [
        ("definition.changed", (agent, digest, "")),
        ("definition.unknown", (agent, target["place"])),
    ]
    keys += [("tool.changed", (agent, p["name"], p["digest"])) for p in parts if p["kind"] == "tools"]
    if assessed:
        keys.append((RATCHET, (agent, assessed["original"])))
    approved = (rows.row("agent-place", key(agent, target["place"])) or {"approved": []})["approved"]
    said = "People assessed this definition anew." if assessed else "People approved this definition."
    drafts = []
    for kind, found in keys:
        known = rows.row("finding-key", canonical.digest({"kind": kind, "key": list(found)}))
        row = rows.row("finding", known["finding"]) if known and known.get("open", True) else None
        led = _definition_of(row) if kind == RATCHET and row is not None else digest
        if row is not None and row["state"] != "closed" and led in (digest, *approved):
            fields = {
                "finding": row["id"],
                "by": "",
                "reason": f"{said} {why}".strip(),
                "state": "closed",
                "outcome": "explained",
                "grade": "PROVEN",
                "change": request,
            }
            drafts.append(Draft("finding.closed", fields, once=f"finding.closed:{row['id']}:{request}"))
    return drafts


def _definition_of(finding: Row) -> str:
    """The definition that a finding is about, empty where it is kept apart."""
    subject = finding.get("subject") or {}
    return str(subject.get("definition") or "")


def explanation(core: Core, rows: Rows, row: Row | None) -> Explanation:
    """PROVEN by content: what is observed is, byte for byte, a definition that people approved."""
    if row is None or row["withdrawn"] or not row["approved"]:
        return UNEXPLAINED
    given = row["approved"][-1]
    request = rows.row("request", given["request"]) or {}
    approvers = tuple(
        a["person"] for a in request.get("approvals", ()) if a["choice"] == "approve" and not a.get("void")
    )
    return Explanation(
        grade="PROVEN",
        change=given["request"],
        actor=given["by"] or "",
        approvers=approvers,
        reason=given["why"],
        time=given["time"],
        outcome="approved",
    )
