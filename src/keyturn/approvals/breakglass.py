"""Break-glass: one named person stands for the whole requirement of a held request, and somebody else reviews that. Pure.

Rules kept here (promise 6 has no exception):

- Only whom policy names, by id or by group, and only over a request that waits. What policy refuses is no request, so nobody
  can let it go this way. Source: NIST SP 800-53r5 AC-2(2) (emergency accounts), AC-3(10) (audited override).
- They are still not who asked, not the agent's owner, not an author, not a party, compared as humans. Whoever is alone with
  their agent can't break the glass for it. Where nobody knows who asked, nobody does so alone.
- A reason in words, and more than a click: the assurance that policy names, verified.
- Whoever reviews it is a different human who had no other part in it, out of the group that policy names. The review is
  recorded once. Source: AC-6(7) (review of privileges), AU-6.
- It is unreviewed until then, and overdue from the instant `review_by_ms` on.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from keyturn.approvals import machine
from keyturn.approvals.eligibility import involved
from keyturn.approvals.errors import (
    AssuranceTooLow,
    BreakGlassNotNamed,
    BreakGlassParty,
    DecisionRefused,
    OtherBytes,
    ReasonMissing,
    ReasonTooLong,
    ReviewRefused,
)
from keyturn.approvals.request import Approval, RequestState
from keyturn.identity import Roster
from keyturn.requirement.assurance import assured

GRANT = "break-glass"
"""What a statement says instead of how far an approval goes."""


class Named(Struct, frozen=True):
    """Whom policy lets break the glass, with which assurance, and which group reviews it."""

    people: tuple[str, ...]
    groups: tuple[str, ...]
    assurance: str
    reviewers: str


class Breaking(Struct, frozen=True):
    """What one person says when they break the glass. `assurance` is what was verified."""

    person: str
    digest: str
    display: str
    reason: str
    assurance: str


def barred(
    state: RequestState, person: str, named: Named | None, roster: Roster, now_ms: int
) -> DecisionRefused | None:
    """Why *person* may not break the glass for *state* at all, None when they may: what a page asks before it offers it."""
    seen = machine.apply(state, machine.Tick(), roster, now_ms).state
    if not seen.waiting:
        return machine.ended(seen)
    known = roster.people.get(person)
    if named is None or known is None or known.removed:
        return BreakGlassNotNamed("Policy names nobody like you who may break the glass.")
    if person not in named.people and not any(map(known.counts_for, named.groups)):
        return BreakGlassNotNamed("Policy names others who may break the glass, not you.")
    if roster.human(person) in involved(seen, roster):
        return BreakGlassParty(
            "You have another part in this: you asked for it, own the agent, or wrote what is under approval."
        )
    if not seen.initiator_known and seen.owner is None:
        return BreakGlassParty("Nobody knows who asked, so it may have been you.")
    return None


def break_glass(
    state: RequestState, breaking: Breaking, named: Named | None, roster: Roster, now_ms: int
) -> machine.Step:
    """*state* released by one person, or why not."""
    refused = barred(state, breaking.person, named, roster, now_ms) or _malformed(state, breaking, named)
    if refused is not None:
        return machine.Step(state, refused)
    given = Approval(breaking.person, "approve", breaking.reason, breaking.assurance, now_ms)
    return machine.Step(
        replace(
            state,
            approvals=(*state.approvals, given),
            state="approved",
            ended_ms=now_ms,
            ended_by=breaking.person,
            ended_why=f"{breaking.person} broke the glass: {breaking.reason}",
        )
    )


def _malformed(state: RequestState, breaking: Breaking, named: Named | None) -> DecisionRefused | None:
    if (breaking.digest, breaking.display) != (state.digest, state.display):
        return OtherBytes("What you were shown is not what this request holds now.")
    if not breaking.reason.strip():
        return ReasonMissing("Nobody breaks the glass without a reason.")
    if len(breaking.reason) > machine.MAX_REASON:
        return ReasonTooLong(
            f"The reason has {len(breaking.reason):,} characters; at most {machine.MAX_REASON:,} are kept."
        )
    wanted = named.assurance if named else ""
    if not assured(breaking.assurance, wanted):
        return AssuranceTooLow(f"Breaking the glass needs the level {wanted!r}, not {breaking.assurance!r}.")
    return None


def review_refusal(
    state: RequestState, broke: str, reviewer: str, group: str, roster: Roster
) -> ReviewRefused | None:
    """Why *reviewer* may not review that *broke* broke the glass for *state*; None when they may."""
    known = roster.people.get(reviewer)
    if known is None or known.removed:
        return ReviewRefused("You are not on the roster.")
    if roster.same_human(reviewer, broke):
        return ReviewRefused("You broke the glass; somebody else reviews it.")
    if roster.human(reviewer) in involved(state, roster):
        return ReviewRefused(
            "You have another part in it: you asked for it, own the agent, or wrote what was under approval."
        )
    if not known.counts_for(group):
        return ReviewRefused(f"It is reviewed by people of {group}; you are not in that group.")
    return None
