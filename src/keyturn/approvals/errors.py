"""How the approvals room says no. Each refusal is a value that the machine returns; whoever speaks to people raises it."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError, Malformed


class InvalidRequirement(Malformed):
    """A requirement's text can't be read. `caret` is the text with a line that points at the place."""

    code = "requirement.invalid"
    not_done = "Nothing was changed."
    next_step = (
        "Write it like `2 of dba, 1 of security` (together) or `2 of dba then 1 of security` (in order)."
    )

    def __init__(self, why: str, text: str, at: int) -> None:
        shown = text[:200].replace("\n", " ").replace("\t", " ")
        super().__init__(
            f"The requirement can't be read at column {at + 1}: {why}.", text=shown, column=at + 1
        )
        self.caret = f"{shown}\n{' ' * min(at, len(shown))}^"


class DecisionRefused(KeyturnError):
    """A person's decision was not accepted; the request is as it was (or has ended, and says how)."""

    code = "approval.refused"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Your decision was not recorded."
    next_step = "Look at the request again; it says who may decide."


class RequestEnded(DecisionRefused):
    """The request has ended: approved, denied, expired, withdrawn or superseded."""

    code = "request.ended"
    status = 409
    next_step = "Nothing more can be decided here. If the action is still wanted, the agent has to ask again."


class OtherBytes(DecisionRefused):
    """The decision names other bytes than the request holds, or something else was shown than is to be approved."""

    code = "approval.other_bytes"
    status = 409
    next_step = "Load the request again, read what it shows now, and decide on that."


class ReasonMissing(DecisionRefused):
    """Policy wants a reason with this decision."""

    code = "approval.reason_missing"
    status = 422
    next_step = "Decide again and say why, in your own words."


class ReasonTooLong(DecisionRefused):
    """The reason is longer than is kept."""

    code = "approval.reason_too_long"
    status = 413
    next_step = "Shorten the reason; link to longer explanations."


class AssuranceTooLow(DecisionRefused):
    """The decision was not made with the assurance that policy wants (a click where a signature is needed)."""

    code = "approval.assurance"
    next_step = "Decide through a channel that gives the assurance which the request asks for."


class AlreadyGiven(DecisionRefused):
    """This human's approval counts already; people are counted, not accounts."""

    code = "approval.already_given"
    status = 409
    next_step = "Another person has to approve. You can still deny while the request waits."


class StageNotOpen(DecisionRefused):
    """The person's stage comes after one that is not complete."""

    code = "approval.stage_not_open"
    status = 409
    next_step = "Wait until the earlier stage is complete. You can deny at any time."


class StageComplete(DecisionRefused):
    """The person's stage has all the people it needs."""

    code = "approval.stage_complete"
    status = 409
    next_step = "Nothing is asked of you here. You can still deny while the request waits."


class NotEligible(DecisionRefused):
    """This person may not decide this request (promise 6). Subclasses say why."""

    code = "approver.not_eligible"


class ApproverUnknown(NotEligible):
    """Nobody on the roster has that id."""

    code = "approver.unknown"


class ApproverRemoved(NotEligible):
    """The person was removed and can decide nothing."""

    code = "approver.removed"


class ApproverIsInitiator(NotEligible):
    """The person asked for the action."""

    code = "approver.initiator"
    next_step = "Somebody else has to decide. You can withdraw the request."


class ApproverIsOwner(NotEligible):
    """The person owns the agent that asks."""

    code = "approver.owner"
    next_step = "Somebody else has to decide."


class ApproverIsAuthor(NotEligible):
    """The person wrote what is under approval."""

    code = "approver.author"
    next_step = "Somebody else has to decide."


class ApproverNotMember(NotEligible):
    """The person is in none of the groups that the request asks."""

    code = "approver.not_member"
