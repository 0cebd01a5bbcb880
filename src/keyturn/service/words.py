"""The words that agents get: what happened, what did not, what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from keyturn.policy.decision import Decision


def span(seconds: int) -> str:
    """`45 s`, `30 min`, `2 h`."""
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def clock(ms: int) -> str:
    """`2026-11-29 10:15:00 UTC`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def outcome(decision: Decision, request: str | None, seconds: int, closed: str = "") -> str:
    """One paragraph for an agent. *closed* says which window is closed, and when it opens."""
    because = " ".join(decision.reasons)
    if decision.verdict == "run":
        return f"allowed. {because}".strip()
    if decision.verdict == "refuse":
        return (
            f"refused by policy. {because} Nothing ran. Do not retry or work around this; tell the human, or choose "
            "another way to reach the goal."
        )
    return (
        f"held: waiting for {decision.obligations.approve} (request {request}, expires in {span(seconds)}, then "
        f"refused). {because} {closed + ' ' if closed else ''}Nothing ran. Do not retry in other words; asking for exactly "
        "the same action again continues this request."
    )


def approved(row: dict[str, Any], grant: dict[str, Any] | None = None) -> str:
    """Who turned the keys, and whether they let it run again."""
    people = ", ".join(a["person"] for a in row["approvals"] if a["choice"] == "approve")
    return f"approved by {people}.{granted(grant) if grant else ''}"


def granted(grant: dict[str, Any]) -> str:
    """How far a grant goes, for an agent."""
    where = "in this session" if grant["session"] else "by this agent, for the same person, at this gate"
    often = f", at most {grant['uses']} times" if grant["uses"] else ""
    return (
        f" Exactly this action may run again {where} until {clock(grant['ends'])}{often} (grant {grant['id']}): ask for it each "
        "time as usual. Other words, files or folders are another action."
    )
