"""What a person did to decide, beside choosing: typed a name, gave a reason, took several together, looked for a while.

Rules kept here; they are for approvals, because stopping is never harder than letting go:

- A high or critical action is approved with a reason.
- A critical action is approved by typing the name of what it hits, or with a signature of the person's own key: whoever
  signs has a program show them the bytes that they sign.
- Several requests are approved together only when each is low or medium, and an action.
- A tier that this version does not know is treated as critical.

`dwell_ms` and `opened` are the page's own word: recorded as such, no ground for any decision.
"""

from __future__ import annotations

import unicodedata

from msgspec import Struct

from keyturn.approvals.errors import DecisionRefused, ReasonMissing

BATCHED = ("low", "medium")
"""Tiers of which several may be approved together."""
SIGNED = ("signed", "signed+hardware")
"""Assurance levels under which the person's own key signed what was shown."""
MAX_DWELL = 7 * 24 * 3600 * 1000
MAX_OPENED = 20


class Gesture(Struct, frozen=True):
    """`typed`: the name as typed · `batch`: id of the set that was decided together · `dwell_ms`: how long the page was
    visible · `opened`: which folded parts were unfolded.
    """

    typed: str = ""
    batch: str = ""
    dwell_ms: int | None = None
    opened: tuple[str, ...] = ()


NONE = Gesture()


class NotTyped(DecisionRefused):
    """A critical action was to be approved without typing what it hits."""

    code = "approval.not_typed"
    status = 428
    next_step = (
        "Open the request's page and type the name it asks for, or `keyturn approve ID` in a terminal."
    )


class NotTogether(DecisionRefused):
    """This request may not be approved together with others."""

    code = "approval.not_together"
    status = 409
    next_step = "Open it by itself and decide on it alone."


def refusal(
    tier: str | None, target: str, reason: str, gesture: Gesture, assurance: str
) -> DecisionRefused | None:
    """Why an approval made so is not accepted; None when it is. *tier* is None for changes, and for requests of older versions."""
    if gesture.batch and tier not in BATCHED:
        return NotTogether("Only actions of low and medium risk are approved together.")
    if tier is None or tier in BATCHED:
        return None
    if not reason.strip():
        return ReasonMissing("An action of this risk is not approved without a reason.")
    if tier == "high" or assurance in SIGNED or same_name(gesture.typed, target):
        return None
    return NotTyped(f"This action is critical: approving it takes typing “{target}”.")


def same_name(typed: str, target: str) -> bool:
    """Whether *typed* is *target*: as characters, whatever stands around it, and nothing that merely looks like it."""
    return bool(target) and unicodedata.normalize("NFC", typed.strip()) == target


def kept(gesture: Gesture) -> dict[str, object]:
    """*gesture* as it is recorded: bounded, and without what says nothing."""
    found: dict[str, object] = {}
    if gesture.typed:
        found["typed"] = gesture.typed[:80]
    if gesture.batch:
        found["batch"] = gesture.batch
    if gesture.dwell_ms is not None:
        found["dwell_ms"] = max(0, min(gesture.dwell_ms, MAX_DWELL))
    if gesture.opened:
        found["opened"] = sorted({one[:40] for one in gesture.opened})[:MAX_OPENED]
    return found


__all__ = ["BATCHED", "NONE", "SIGNED", "Gesture", "NotTogether", "NotTyped", "kept", "refusal", "same_name"]
