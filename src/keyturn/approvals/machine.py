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
- Where policy wants a reason or a signature, an approval without one is not accepted. A denial needs neither:
  stopping is never harder than letting go.
- Escalation lets people of one more group fill the places of the layer that is open. It approves nothing, asks for nobody fewer,
  and changes nothing of who may not decide.
- A permit can come only out of `approved` (promise 5); the permit's own rules are in `permit`.

No refusal changes a waiting request; when a decision comes too late, the step carries both the expired state and the refusal.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from keyturn.approvals.eligibility import Capacity, eligible
from keyturn.approvals.errors import (
    ApproverNoDelegation,
    AssuranceTooLow,
    DecisionRefused,
    EscalationRefused,
    OtherBytes,
    ReasonMissing,
    ReasonTooLong,
    RequestEnded,
)
from keyturn.approvals.request import CHOICES, Approval, Choice, Escalated, RequestState, Status
from keyturn.approvals.standing import Standing, admit, complete, open_order, standing
from keyturn.identity import Roster, is_name
from keyturn.identity.people import ADMINS
from keyturn.requirement import assured

MAX_REASON = 4000
"""Characters of a reason. Longer text belongs into a ticket that the reason names."""


class Given(Struct, frozen=True):
    """A person decides, naming the digests of what they approve and of what they were shown.

    `assurance` is what was verified of the decision, never what somebody says of it; `on_behalf_of` the id of the person
    for whom they stand in, empty for themselves.
    """

    person: str
    choice: Choice
    digest: str
    display: str
    reason: str = ""
    assurance: str = "click"
    on_behalf_of: str = ""


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


class Escalate(Struct, frozen=True):
    """Nobody decided for a while: people of the group `to` may fill the places of the open layer, too."""

    to: str


Event = Given | Withdraw | Supersede | Tick | Escalate


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
    roster = roster.at(now_ms)
    if isinstance(event, Escalate):
        return _escalated(state, event, roster, now_ms)
    after = _admitted(state, event.person, event.choice, roster, event.on_behalf_of)
    refused = (
        after if isinstance(after, DecisionRefused) else _malformed(state, event) or _by_a_click(state, after)
    )
    if isinstance(after, DecisionRefused) or refused is not None:
        return Step(state, refused)
    return Step(_decided(state, event, after, now_ms))


def refusal(
    state: RequestState, person: str, choice: Choice, roster: Roster, now_ms: int, on_behalf_of: str = ""
) -> DecisionRefused | None:
    """Why *person* can't make this *choice* now, None when they can: what a page asks before it shows its buttons."""
    if not state.waiting:
        return ended(state)
    if now_ms >= state.expires_ms:
        return ended(_ended(state, "expired", state.expires_ms, None, ""))
    after = _admitted(state, person, choice, roster.at(now_ms), on_behalf_of)
    return after if isinstance(after, DecisionRefused) else _by_a_click(state, after)


def _admitted(
    state: RequestState, person: str, choice: Choice, roster: Roster, on_behalf_of: str
) -> Standing | Capacity | DecisionRefused:
    """Where an approval would bring *state*, or in which capacity a denial would be made, or why neither can be."""
    if choice not in CHOICES:
        return DecisionRefused(f"A decision is 'approve' or 'deny', not {choice!r}.")
    if choice == "approve":
        return admit(standing(state, roster), person, state, roster, on_behalf_of)
    can = eligible(person, state, roster)
    if can.refusal is not None:
        return can.refusal
    wanted = [c for c in can.capacities if not on_behalf_of or c.chain[:1] == (on_behalf_of,)]
    return wanted[0] if wanted else ApproverNoDelegation(f"You don't stand in for {on_behalf_of[:80]} here.")


def _by_a_click(state: RequestState, after: Standing | Capacity) -> AssuranceTooLow | None:
    """Why an approval in somebody's place is not enough. Places are handed over by a click, and no signature of the colleague's makes
    more of that: whoever holds a stolen token could else hand the place to themselves, and sign.
    """
    chain = after.admitted.chain if isinstance(after, Standing) and after.admitted else ()
    if not chain or state.assurance == "click":
        return None
    return AssuranceTooLow(
        f"{chain[0]} handed the place over by a click; this request needs approvals of level {state.assurance!r},"
        " by people in places of their own."
    )


def _escalated(state: RequestState, event: Escalate, roster: Roster, now_ms: int) -> Step:
    """*state* after an escalation; the same when it was escalated there already."""
    if event.to == ADMINS or not is_name(event.to):
        return Step(state, EscalationRefused(f"A request can't be escalated to {event.to[:80]!r}."))
    order = open_order(standing(state, roster), state)
    if order is None or any(e.to == event.to and e.order == order for e in state.escalated):
        return Step(state)
    return Step(replace(state, escalated=(*state.escalated, Escalated(event.to, order, now_ms))))


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
    if state.reason_required and event.choice == "approve" and not event.reason.strip():
        return ReasonMissing("This request can't be approved without a reason.")
    if len(event.reason) > MAX_REASON:
        return ReasonTooLong(
            f"The reason has {len(event.reason):,} characters; at most {MAX_REASON:,} are kept."
        )
    if event.choice == "approve" and not assured(event.assurance, state.assurance):
        return AssuranceTooLow(
            f"This request needs approvals of level {state.assurance!r}, not {event.assurance!r}."
        )
    return None


def _decided(state: RequestState, event: Given, after: Standing | Capacity, now_ms: int) -> RequestState:
    """*state* after a decision that nothing speaks against."""
    capacity = after.admitted if isinstance(after, Standing) else after
    chain = capacity.chain if capacity else ()
    approval = Approval(event.person, event.choice, event.reason, event.assurance, now_ms, chain)
    state = replace(state, approvals=(*state.approvals, approval))
    if not isinstance(after, Standing):
        return _ended(state, "denied", now_ms, event.person, event.reason)
    if not complete(after, state):
        return state
    state = _ended(state, "approved", now_ms, ", ".join(after.people), "")
    return replace(state, placed=after.placed)


def _ended(state: RequestState, how: Status, at_ms: int, by: str | None, why: str) -> RequestState:
    return replace(state, state=how, ended_ms=at_ms, ended_by=by, ended_why=why)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
