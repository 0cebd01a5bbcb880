"""Break-glass: release a held request alone, loudly, and have it reviewed by somebody else. The rules are `approvals.breakglass`'.

Until it is reviewed a control fails: pages, doctor, health and metrics say so. Overdue it is a finding, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from keyturn.approvals import breakglass as rules
from keyturn.approvals.errors import BreakGlassNotNamed, DecisionRefused, OtherBytes, ReviewRefused
from keyturn.approvals.proof import Proof
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.drift.finding import Drift
from keyturn.identity import Person, Roster
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.requirements.breakglass import BreakGlass
from keyturn.service import capturing, findings, requests, sealed, signing
from keyturn.service.conditions import moments
from keyturn.service.core import Core
from keyturn.service.errors import ReviewUnexplained, UnknownBreakGlass
from keyturn.service.model import BreakGlassView, RequestView

Row = dict[str, Any]
Finding = Literal["justified", "unjustified"]

MAX_NOTE = 4_000
"""Characters of a review's note."""


def barred(core: Core, row: Row, viewer: Person | None) -> str:
    """Why *viewer* may not break the glass for this request, `-` where policy names nobody; empty when they may."""
    found = core.policy.requirements.breakglass
    if found is None or row["subject"] != "action" or viewer is None:
        return "-"
    refused = rules.barred(
        requests.state_of(core, row), viewer.id, requests.glass_named(found), core.roster, core.now()
    )
    return refused.happened if refused else ""


def _action(core: Core, request: str) -> Row:
    """The request's row. Raises `UnknownRequest`, `BreakGlassNotNamed` for a change or a plan: nobody releases one alone."""
    row = requests.required(core, request)
    if row["subject"] != "action":
        raise BreakGlassNotNamed("The glass is broken for one action, not for a change or a plan.")
    return row


def statement(
    core: Core, request: str, person: Person, *, reason: str, digest: str, display: str
) -> signing.StatementView:
    """A fresh statement for *person* to sign who is about to break the glass. Raises what `use` would."""
    reason = capturing.reason(core.redaction, reason, signed=True)
    row = _action(core, request)
    state = requests.state_of(core, row)
    named = requests.glass_named(core.policy.requirements.breakglass)
    refused = rules.barred(state, person.id, named, core.roster, core.now())
    if refused is not None:
        raise refused
    if (digest, display) != (state.digest, state.display):
        raise OtherBytes("What you were shown is not what this request shows now.")
    made = signing.statement_of(
        core, row, state, person.id, "approve", reason, core.id("n"), rules.GRANT, "", ""
    )
    return signing.shown(core, row, made, requests.document(core, row))


async def use(
    core: Core,
    request: str,
    person: Person,
    *,
    reason: str,
    digest: str,
    display: str,
    channel: str,
    proof: Proof | None,
    statement_nonce: str | None,
) -> RequestView:
    """Release *request*: its approval, its end and the use of break-glass are recorded in one commit.

    Raises the refusal of `approvals.breakglass`, of windows and freezes, or `ProofRefused`.
    """
    reason = capturing.reason(core.redaction, reason, signed=proof is not None)
    row = _action(core, request)
    refused: list[DecisionRefused] = []

    def plan(rows: Rows) -> Sequence[Draft]:
        refused.clear()  # a plan may be run again, so it starts from nothing each time
        current = rows.row("request", request) or row
        state, found = requests.state_of(core, current), core.policy.requirements.breakglass
        nonce = statement_nonce or core.id("n")
        made = signing.statement_of(
            core, current, state, person.id, "approve", reason, nonce, rules.GRANT, "", ""
        )
        verified = signing.check(core, rows, current["approvals"], made, proof) if proof is not None else None
        if isinstance(verified, ProofRefused):
            refused.append(verified)
            return []
        level = verified.level if verified else "click"
        breaking = rules.Breaking(person.id, digest, display, reason, level)
        step = rules.break_glass(
            state, breaking, requests.glass_named(found), _roster(core, rows), core.now()
        )
        no = step.refusal or requests.superseded(rows, current) or moments.refusal(core, current)
        if no is not None or found is None:
            refused.append(no or DecisionRefused("Policy has no break-glass."))
            return []
        if sealed.is_drill(core, current):
            glass = {"person": person.id, "choice": "approve", "reason": reason, "digest": digest}
            return sealed.revealed(core, rows, current, {**glass, "display": display, "channel": channel})
        given = requests.approval_draft(rows, current, step.state, made, channel)
        if proof is not None and verified is not None:
            given.fields.update(signing.fields_of(proof, verified, requests.document(core, current)))
        return [
            given,
            requests.ended_draft(rows, current, step.state),
            _used(core, current, person, reason, level, found),
        ]

    await core.ledger.append(plan)
    if refused:
        raise refused[0]
    return requests.view(core, request, person)


def _roster(core: Core, rows: Rows) -> Roster:
    """The roster at this very moment of the log, with whoever is on call now."""
    return core.rosters.within(rows).at(core.now())


def _used(core: Core, row: Row, person: Person, reason: str, level: str, found: BreakGlass) -> Draft:
    now = core.now()
    fields = {
        "id": core.id("b"),
        "request": row["id"],
        "action": row["action"],
        "person": person.id,
        "reason": reason,
        "assurance": level,
        "sentence": row["sentence"],
        "lapses": now + found.within * 1000,
        "review_by": now + found.review_within * 1000,
        "reviewers": found.reviewers,
        "notify": list(found.notify),
    }
    return Draft(
        "breakglass.used", fields, session=row.get("session") or None, once=f"breakglass.used:{row['id']}"
    )


# --- afterwards ------------------------------------------------------------------------------------------------


async def review(core: Core, glass: str, person: Person, verdict: Finding, note: str) -> BreakGlassView:
    """Say whether it was justified, once, as somebody else. Raises `UnknownBreakGlass`, `ReviewRefused`, `ReviewUnexplained`."""
    note = note.strip()[:MAX_NOTE]
    if not note:
        raise ReviewUnexplained("A review says in words what was looked at.")

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("breakglass", glass)
        if row is None:
            raise UnknownBreakGlass(f"There is no break-glass {glass[:80]!r}.")
        if row.get("review"):
            raise ReviewRefused(f"{row['review']['by']} reviewed it already.")
        state = requests.state_of(core, rows.row("request", row["request"]) or {})
        refused = rules.review_refusal(state, row["person"], person.id, row["reviewers"], _roster(core, rows))
        if refused is not None:
            raise refused
        fields = {"id": glass, "by": person.id, "verdict": verdict, "note": note}
        return [Draft("breakglass.reviewed", fields, once=f"breakglass.reviewed:{glass}")]

    await core.ledger.append(plan)
    return view(core, glass)


async def overdue(core: Core) -> int | None:
    """Open a finding for each one whose review is overdue; gives when the next is (ms), None when nothing is unreviewed."""
    while True:
        waiting = core.ledger.rows("breakglass", state="unreviewed", newest_first=False, limit=100)
        late = [row for row in waiting if row["review_by"] <= core.now()]
        if not late:
            return waiting[0]["review_by"] if waiting else None
        for row in late:
            await core.ledger.append(partial(_finding, core, row["id"]))


def _finding(core: Core, glass: str, rows: Rows) -> Sequence[Draft]:
    row = rows.row("breakglass", glass)
    if row is None or row.get("review") or row.get("overdue"):
        return []
    words = f"{row['person']} broke the glass for {row['request']}, and nobody of {row['reviewers']} reviewed it in time."
    subject = {"breakglass": glass, "request": row["request"], "person": row["person"]}
    return findings.drafts(core, rows, Drift("breakglass.unreviewed", (glass,), words, subject))


def unreviewed(core: Core) -> int:
    """How many were used and not reviewed: while there is one, a control fails."""
    return sum(core.ledger.count("breakglass", state=state) for state in ("unreviewed", "overdue"))


def view(core: Core, glass: str) -> BreakGlassView:
    """One of them. Raises `UnknownBreakGlass`."""
    row = core.ledger.row("breakglass", glass)
    if row is None:
        raise UnknownBreakGlass(f"There is no break-glass {glass[:80]!r}.")
    return _view(core, row)


def views(core: Core, only: str, limit: int) -> list[BreakGlassView]:
    """Those without a review, most urgent first; with *only* `all` every one, newest first."""
    if only == "all":
        return [_view(core, row) for row in core.ledger.rows("breakglass", limit=limit)]
    rows = [
        row
        for state in ("overdue", "unreviewed")
        for row in core.ledger.rows("breakglass", state=state, newest_first=False, limit=limit)
    ]
    return [_view(core, row) for row in rows[:limit]]


def _view(core: Core, row: Row) -> BreakGlassView:
    review = row.get("review") or {}
    return BreakGlassView(
        id=row["id"],
        state="reviewed" if review else "overdue" if row["review_by"] <= core.now() else "unreviewed",
        request=row["request"],
        person=row["person"],
        reason=core.full(row["reason"]),
        assurance=row["assurance"],
        sentence=row["sentence"],
        time=row["time"],
        review_by=row["review_by"],
        reviewers=row["reviewers"],
        entry=row["entry"],
        reviewed_by=review.get("by", ""),
        verdict=review.get("verdict", ""),
        note=core.full(review.get("note", "")),
    )


__all__ = ["barred", "overdue", "review", "statement", "unreviewed", "use", "view", "views"]
