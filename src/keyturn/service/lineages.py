"""Where an executed action comes from, out of the rows: its rule, approval, grant or plan, its permit and its receipt."""

from __future__ import annotations

from typing import Any

from keyturn.drift.explaining import Lineage, explain_action
from keyturn.drift.finding import Explanation
from keyturn.errors import NotFound
from keyturn.service.core import Core

Row = dict[str, Any]


def explain(core: Core, action: str) -> Explanation:
    """What let *action* run. Raises `NotFound`."""
    return explain_action(lineage(core, action))


def lineage(core: Core, action: str) -> Lineage:
    """The lineage of *action*. Raises `NotFound`."""
    row = core.ledger.row("action", action)
    if row is None:
        raise NotFound(f"There is no action {action[:80]!r}.")
    entry = core.ledger.entry(row["entry"])
    decided: Row = entry.fields if entry is not None else {}
    permit = core.full(row["permit"]) or {}
    receipt = row.get("receipt") or {}
    by, reference, approvers, reason, time = _released(core, row, decided)
    return Lineage(
        action=action,
        decided=row["digest"],
        ran=receipt.get("digest", "") or (row["digest"] if permit.get("consumed") else ""),
        verdict=row["verdict"],
        by=by,
        reference=reference,
        actor=(core.full(decided.get("human")) or {}).get("person", ""),
        approvers=approvers,
        reason=reason,
        time=time,
        permits=1 if permit.get("consumed") or receipt else 0,
        outcome=receipt.get("outcome", ""),
    )


def _released(core: Core, row: Row, decided: Row) -> tuple[str, str, tuple[str, ...], str, int]:
    """(kind, its id, who approved, why, when) of what let it go."""
    decision = core.full(decided.get("decision")) or {}
    for kind in ("grant", "plan"):
        given = decided.get(kind) or row.get(kind)
        if isinstance(given, str) and given:
            return kind, given, *_people(core, core.ledger.row(kind, given) or {})
    request = core.ledger.row("request", row["request"]) if row.get("request") else None
    if request is not None and request["state"] == "approved":
        approvals = [one for one in request["approvals"] if one["choice"] == "approve"]
        reasons = "; ".join(one["reason"] for one in approvals if one["reason"])
        return (
            "approval",
            request["id"],
            tuple(one["person"] for one in approvals),
            reasons,
            request.get("ended") or row["time"],
        )
    if row["verdict"] == "run":
        rules = ", ".join(one["rule"] for one in decision.get("rules", ()))
        return (
            "rule",
            rules or decision.get("policy", ""),
            (),
            f"policy {decision.get('policy', '')[:19]}",
            row["time"],
        )
    return "", "", (), "", row["time"]


def _people(core: Core, given: Row) -> tuple[tuple[str, ...], str, int]:
    request = core.ledger.row("request", given.get("request", "")) or {}
    approvals = [one for one in request.get("approvals", ()) if one["choice"] == "approve"]
    return (
        tuple(one["person"] for one in approvals),
        "; ".join(one["reason"] for one in approvals if one["reason"]),
        given.get("opened", 0),
    )
