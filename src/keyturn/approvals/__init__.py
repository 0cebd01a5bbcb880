"""Requirements, requests and the people who decide them; permits. Pure: state and event in, new state or refusal out."""

from keyturn.approvals.eligibility import Eligibility, eligible
from keyturn.approvals.machine import (
    Escalate,
    Event,
    Given,
    Step,
    Supersede,
    Tick,
    Withdraw,
    apply,
    ended,
    refusal,
)
from keyturn.approvals.permit import Claims, check, open_token, sign
from keyturn.approvals.request import Approval, Escalated, RequestState, open_request
from keyturn.approvals.standing import StageProgress, Standing, progress, reachable, standing
from keyturn.approvals.statement import (
    Statement,
    display_digest,
    make_statement,
    statement_bytes,
    statement_digest,
)

__all__ = [
    "Approval", "Claims", "Eligibility", "Escalate", "Escalated", "Event", "Given", "RequestState", "StageProgress",
    "Standing", "Statement", "Step", "Supersede", "Tick", "Withdraw", "apply", "check", "display_digest", "eligible",
    "ended", "make_statement", "open_request", "open_token", "progress", "reachable",
    "refusal", "sign", "standing", "statement_bytes", "statement_digest",
]  # fmt: skip
