"""The words that agents get: what happened, what did not, what to do."""

from __future__ import annotations

from typing import Any

from keyturn.policy.decision import Decision


def span(seconds: int) -> str:
    """`45 s`, `30 min`, `2 h`."""
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def outcome(decision: Decision, request: str | None, seconds: int) -> str:
    """One paragraph for an agent."""
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
        f"refused). {because} Nothing ran. Do not retry in other words; asking for exactly the same action again "
        "continues this request."
    )


def approved(row: dict[str, Any]) -> str:
    """Who turned the keys."""
    people = ", ".join(a["person"] for a in row["approvals"] if a["choice"] == "approve")
    return f"approved by {people}."
