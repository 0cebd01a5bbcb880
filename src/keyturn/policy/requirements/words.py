"""What a hold asks for beside people, in sentences: for `keyturn policy explain`, cards and pages."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.policy.decision import Obligations
from keyturn.policy.obligations import windows
from keyturn.policy.requirements.model import Requirements
from keyturn.policy.requirements.windows import closed, next_opening, shown


def span(seconds: int) -> str:
    """`45 s`, `15 min`, `2 h`, `3 d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def asked_words(asked: Obligations, requirements: Requirements, at_ms: int) -> Iterator[str]:
    """One sentence for each demand."""
    if asked.reason_required:
        yield "Approvers have to say why."
    if asked.ticket_required:
        yield "Approvers have to name an approved change."
    if asked.assurance != "click":
        yield f"Approvals have to be of the assurance {asked.assurance}."
    if asked.window:
        yield window_words(asked, requirements, at_ms)
    if asked.remind:
        yield f"Whoever can still decide is reminded {span(asked.remind)} before the end."
    if asked.escalate_to:
        yield f"After {span(asked.escalate_after)} it goes to {asked.escalate_to}, too."


def window_words(asked: Obligations, requirements: Requirements, at_ms: int) -> str:
    """When it can be approved and run."""
    wanted = windows(asked.window)
    known = requirements.windows
    named = f"the window {wanted[0]}" if len(wanted) == 1 else f"the windows {', '.join(wanted)}"
    shut = closed(known, wanted, at_ms)
    if not shut:
        return f"It can be approved and run only in {named}: open at that time."
    opening = next_opening(known, wanted, at_ms)
    when = "never within a year" if opening is None else shown(opening, known[shut[0]].zone)
    return f"It can be approved and run only in {named}: closed; opens {when}."
