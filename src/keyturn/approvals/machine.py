"""The life of a request: a pure state machine. State and event in; new state or a refusal in words out.

Rules kept here (design promises 4, 5, 6):

- A request ends once: approved, denied, expired, withdrawn or superseded. After that nothing changes it, and
  every later decision is refused with how it ended.
- Only an accepted approval can make it approved, and only when the requirement is then met by distinct, eligible
  humans of the present roster. Time never approves. Source: NIST SP 800-53r5 AC-3(2), AC-5.
- One denial by anybody who may decide ends it at once, whatever was approved before, by the same person too, and
  whichever stage is open.
- It has expired from the instant `expires_ms` on, whether or not anybody looked at the clock. Source: RFC 7519 §4.1.4
  draws the same boundary ("on or after").
- A decision is for the bytes that were shown: digest and display must both be the request's (promise 4).
- Where policy wants a reason or a signature, an approval without one is not accepted. A denial needs no signature:
  stopping is never harder than letting go.
- A permit can come only out of `approved` (promise 5); the permit's own rules are in `permit`.

No refusal changes a waiting request; when a decision comes too late, the step carries both the expired state and the refusal.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from keyturn.approvals.eligibility import eligible
from keyturn.approvals.errors import (
    AssuranceTooLow,
    DecisionRefused,
    OtherBytes,
    ReasonMissing,
    ReasonTooLong,
    RequestEnded,
)
from keyturn.approvals.request import ASSURANCES, CHOICES, Approval, Choice, RequestState, Status
from keyturn.approvals.standing import Standing, admit, complete, standing
from keyturn.identity import Roster

MAX_REASON = 4000
"""Characters of a reason. Longer text belongs into a ticket that the reason names."""


class Given(Struct, frozen=True):
    """A person decides, naming the digests of what they approve and of what they were shown."""

    person: str
    choice: Choice
    digest: str
    display: str
    reason: str = ""
    assurance: str = "click"


class Withdraw(Struct, frozen=True):
    """The asking side gives up, or its session closed."""

    by: str
    why: str = ""


class Supersede(Struct, frozen=True):
    """Something else took the request's place: other bytes, a new policy version. `by` is its id."""

    by: str
    why: str = ""


class Tick(Struct, frozen=True):
    """Time passes. Nothing but expiry can come of it."""


Event = Given | Withdraw | Supersede | Tick


class Step(Struct, frozen=True):
    """What an event did. `state` is the very same object when nothing changed; `refusal` is to be raised by the caller
    (after recording a changed `state`).
    """

    state: RequestState
    refusal: DecisionRefused | None = None


def apply(state: RequestState, event: Event, roster: Roster, now_ms: int) -> Step:
    """*event* happens to *state* at *now_ms* (milliseconds since 1970), with *roster* as it is then."""
    if state.waiting and now_ms >= state.expires_ms:
        state = _ended(state, "expired", state.expires_ms, None, "Not enough people decided in time.")
    if isinstance(event, Tick):
        return Step(state)
    if not state.waiting:
        return Step(state, ended(state))
    if isinstance(event, Withdraw):
        return Step(_ended(state, "withdrawn", now_ms, event.by, event.why))
    if isinstance(event, Supersede):
        return Step(_ended(state, "superseded", now_ms, event.by, event.why))
    refused = refusal(state, event.person, event.choice, roster, now_ms) or _malformed(state, event)
    if refused is not None:
        return Step(state, refused)
    return Step(_decided(state, event, roster, now_ms))


def refusal(
    state: RequestState, person: str, choice: Choice, roster: Roster, now_ms: int
) -> DecisionRefused | None:
    """Why *person* can't make this *choice* now, None when they can: what a page asks before it shows its buttons."""
    if not state.waiting:
        return ended(state)
    if now_ms >= state.expires_ms:
        return ended(_ended(state, "expired", state.expires_ms, None, ""))
    if choice not in CHOICES:
        return DecisionRefused(f"A decision is 'approve' or 'deny', not {choice!r}.")
    if choice == "deny":
        return eligible(person, state, roster).refusal
    after = admit(standing(state, roster), person, state, roster)
    return None if isinstance(after, Standing) else after


def ended(state: RequestState) -> RequestEnded:
    """The refusal that says how *state* ended."""
    when = "" if state.ended_ms is None else f" at {_clock(state.ended_ms)}"
    who = f" by {state.ended_by}" if state.ended_by else ""
    why = f": {state.ended_why}" if state.ended_why else "."
    words = f"This request was {state.state}{who}{when}{why}"
    if state.state == "expired":
        words = f"This request expired{when}."
    return RequestEnded(words, state=state.state, request=state.id)


def _malformed(state: RequestState, event: Given) -> DecisionRefused | None:
    """What is wrong with the decision itself, whoever makes it."""
    if event.digest != state.digest:
        return OtherBytes("Your decision names other bytes than this request holds.")
    if event.display != state.display:
        return OtherBytes("What you were shown is not what this request shows now.")
    if state.reason_required and not event.reason.strip():
        return ReasonMissing("This request can't be decided without a reason.")
    if len(event.reason) > MAX_REASON:
        return ReasonTooLong(
            f"The reason has {len(event.reason):,} characters; at most {MAX_REASON:,} are kept."
        )
    if event.choice == "approve" and not _assured(event.assurance, state.assurance):
        return AssuranceTooLow(
            f"This request needs approvals of level {state.assurance!r}, not {event.assurance!r}."
        )
    return None


def _assured(given: str, wanted: str) -> bool:
    """Whether *given* is at least *wanted*. A level that this version does not know is never enough, nor ever reached."""
    if given not in ASSURANCES or wanted not in ASSURANCES:
        return False
    return ASSURANCES.index(given) >= ASSURANCES.index(wanted)


def _decided(state: RequestState, event: Given, roster: Roster, now_ms: int) -> RequestState:
    """*state* after a decision that nothing speaks against."""
    approval = Approval(event.person, event.choice, event.reason, event.assurance, now_ms)
    state = replace(state, approvals=(*state.approvals, approval))
    if event.choice == "deny":
        return _ended(state, "denied", now_ms, event.person, event.reason)
    now = standing(state, roster)
    if not complete(now, state):
        return state
    state = _ended(state, "approved", now_ms, ", ".join(now.people), "")
    return replace(state, placed=now.placed)


def _ended(state: RequestState, how: Status, at_ms: int, by: str | None, why: str) -> RequestState:
    return replace(state, state=how, ended_ms=at_ms, ended_by=by, ended_why=why)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
