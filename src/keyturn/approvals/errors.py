"""How the approvals room says no. Each refusal is a value that the machine returns; whoever speaks to people raises it."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError, Malformed


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


class SecretInReason(DecisionRefused):
    """The reason that is to be signed has a secret in it."""

    code = "approval.secret_in_reason"
    status = 422
    next_step = "Write the reason without it, and replace the secret if others may have seen it."


class ReasonMissing(DecisionRefused):
    """Policy wants a reason with this approval. A denial needs none."""

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


class ApproverReadsOnly(NotEligible):
    """The person is an auditor, who reads and decides nothing."""

    code = "approver.reads_only"
    next_step = "Somebody else has to decide."


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


class InvalidGrant(Malformed):
    """How long an approval should hold can't be read, or is no time that a grant can have."""

    code = "grant.invalid"
    not_done = "Your decision was not recorded."
    next_step = "Approve once, or say for how long."


class GrantTooLong(DecisionRefused):
    """More was to be granted than policy allows; nobody is given less than they said without hearing of it."""

    code = "grant.too_long"
    status = 422
    next_step = "Approve it once, or for as long as policy lets it be granted."


class ApproverIsParty(NotEligible):
    """The action was asked for on the person's behalf, or by an agent of theirs, somewhere up its chain."""

    code = "approver.party"
    next_step = "Somebody else has to decide."


class ApproverStandsIn(NotEligible):
    """The person stands in for somebody who has another part in this request, and has no place of their own."""

    code = "approver.stands_in"
    next_step = "Somebody else has to decide. A delegation never carries a decision back to who asked."


class ApproverNoDelegation(NotEligible):
    """The person does not stand in for who they say."""

    code = "approver.no_delegation"
    next_step = "Decide for yourself, or look at `keyturn delegate list`."


class EscalationRefused(DecisionRefused):
    """The request can't be escalated to that group."""

    code = "escalation.refused"
    status = 409
    not_done = "The request is as it was."
    next_step = "Name a group of people in the rule's escalation."


class DelegationRefused(KeyturnError):
    """A delegation can't be opened or ended like that."""

    code = "delegation.refused"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was handed over."
    next_step = "`keyturn delegate list` shows who stands in for whom."


class DelegationToNobody(DelegationRefused):
    """The delegation names nobody, or the same human as its giver."""

    code = "delegation.to_nobody"
    next_step = "Name a colleague who is on the roster."


class DelegationNotYours(DelegationRefused):
    """The giver does not have what they would hand over."""

    code = "delegation.not_yours"
    status = 403
    next_step = "Hand over groups that you are in; `keyturn person list` shows them."


class DelegationTime(DelegationRefused):
    """The delegation would end in the past, before it begins, or too late."""

    code = "delegation.time"
    status = 400
    next_step = "Say until when, e.g. `--until 2d`."


class DelegationCircular(DelegationRefused):
    """The places would come back to who handed them over."""

    code = "delegation.circular"
    next_step = "Hand over to somebody else."


class DelegationTooMany(DelegationRefused):
    """The giver has too many delegations that have not ended."""

    code = "delegation.too_many"
    next_step = "End some of them: `keyturn delegate end ID`."


class DelegationUnknown(DelegationRefused):
    """There is no such delegation that this person could end."""

    code = "delegation.unknown"
    status = 404
    not_done = "Nothing was ended."


class BreakGlassNotNamed(NotEligible):
    """Policy does not name this person among those who may break the glass."""

    code = "breakglass.not_named"
    not_done = "Nothing was released."
    next_step = "Ask somebody whom the policy's [breakglass] names, or wait for those whom the request asks."


class BreakGlassParty(NotEligible):
    """The person has another part in the request; nobody approves themselves, in an emergency neither."""

    code = "breakglass.party"
    not_done = "Nothing was released."
    next_step = "Somebody else whom the policy's [breakglass] names has to."


class ReviewRefused(DecisionRefused):
    """This person can't review that the glass was broken."""

    code = "breakglass.review_refused"
    not_done = "No review was recorded; it still has to be reviewed."
    next_step = "Somebody else of the reviewing group has to."
