"""What a decision takes, by what is decided: a key, a reason, the target typed, a signature. Pure.

Low and medium take one key. High takes a reason. Critical takes a reason and the name of what it hits, typed by hand or
signed for: only dialogs that make people handle the critical field survive habit. What policy asks for beyond that is asked
for, too; `approvals.gesture` has the same rules, and the server holds everybody to them.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from keyturn.cli.reviewing.queue import tier

Row = dict[str, Any]


class Gesture(Struct, frozen=True):
    """`refused`: why this person can't decide so, else empty. `typed`: the words to type, empty for none. `ticket`: whether an
    approved change is to be named, and `reference` the one that is known so far.
    """

    reason: bool = False
    typed: str = ""
    signed: bool = False
    refused: str = ""
    ticket: bool = False
    reference: str = ""


def gesture(view: Row, choice: str) -> Gesture:
    """What *choice* on *view* takes."""
    refused = view["may_decide" if choice == "approve" else "may_deny"]
    if view["state"] != "waiting":
        return Gesture(refused=f"This request is {view['state']}.")
    if refused:
        return Gesture(refused=refused)
    obligations = view["obligations"]
    asked = bool(obligations.get("reason_required"))
    if choice == "deny":
        return Gesture()
    given = view.get("conditions") or {}
    if given.get("ticket") and not given.get("reference"):
        named = f"keyturn approve {view['id']} --ticket REFERENCE"
        return Gesture(refused=f"It needs an approved change, and none is known yet: {named}")
    rated, conditions = tier(view), view.get("conditions") or {}
    signed = str(obligations.get("assurance", "click")).startswith("signed")
    return Gesture(
        reason=asked or rated in ("high", "critical"),
        typed=str((view.get("risk") or {}).get("target", "")) if rated == "critical" and not signed else "",
        signed=signed,
        ticket=bool(conditions.get("ticket")),
        reference=str(conditions.get("reference") or ""),
    )
