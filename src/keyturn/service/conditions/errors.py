"""Why something can't be approved, or run, at this time. Nothing of it ends a request: it may be right later."""

from __future__ import annotations

from keyturn.approvals.errors import DecisionRefused
from keyturn.approvals.permit import PermitRefused
from keyturn.service.errors import NotClaimable


class OutsideWindow(DecisionRefused):
    """The action may be approved only while its window is open."""

    code = "approval.outside_window"
    status = 409
    next_step = "Approve it once the window is open; you can deny it at any time."


class Frozen(DecisionRefused):
    """A freeze is on that refuses this action."""

    code = "approval.frozen"
    status = 409
    next_step = "Wait for the end of the freeze; you can deny it at any time."


class NotNow(NotClaimable):
    """It was approved, but its window is closed now, a freeze has begun, or its ticket has lapsed."""

    code = "request.not_now"
    next_step = "Ask for exactly the same action again once its time has come; it may need a new approval."


class PermitNotNow(PermitRefused):
    """It was permitted, but its window is closed now, a freeze has begun, or its ticket has lapsed."""

    code = "permit.not_now"
    next_step = "Do not retry now. Ask for the action again once its time has come."


class TicketMissing(DecisionRefused):
    """Policy wants an approved change named, and none was."""

    code = "approval.ticket_missing"
    status = 422
    next_step = (
        "Name one: `keyturn approve ID --ticket CHG-1`, or the field Ticket on the page. A denial needs none."
    )


class TicketRefused(DecisionRefused):
    """The change that was named is not approved, not for now, or not for this."""

    code = "approval.ticket_refused"
    status = 409
    next_step = "Name another change, or have that one corrected where it is kept. A denial needs none."


class TicketSourceFailed(DecisionRefused):
    """The place where changes are kept gives no answer that can be used, so nothing can be approved that needs one."""

    code = "approval.ticket_source"
    status = 503
    next_step = "Try again once it answers; `keyturn doctor` looks at it. You can deny at any time."
