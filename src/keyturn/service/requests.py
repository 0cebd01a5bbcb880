"""Requests: what people see, decide, and what waits for them. The rules are `approvals.machine`'s."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from keyturn.actions import FileEdit, HttpRequest, Reading, Shell, ToolCall, content_from_json
from keyturn.approvals import breakglass, machine
from keyturn.approvals import gesture as gestures
from keyturn.approvals.errors import BreakGlassNotNamed, DecisionRefused, OtherBytes, RequestEnded
from keyturn.approvals.gesture import Gesture
from keyturn.approvals.proof import Proof
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.approvals.request import Approval, RequestState, open_request
from keyturn.approvals.standing import progress
from keyturn.approvals.statement import Statement, display_digest, statement_digest
from keyturn.identity import Person
from keyturn.ledger import Lagged
from keyturn.ledger.entries import Draft, Entry, Rows
from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.requirements.breakglass import BreakGlass
from keyturn.requirement import parse_requirement
from keyturn.requirement.assurance import strength
from keyturn.service import (
    calling,
    capturing,
    disclosure,
    grants,
    key_views,
    plans,
    queueing,
    sealed,
    signing,
)
from keyturn.service.conditions import due, moments, tickets
from keyturn.service.conditions.shown import conditions_of
from keyturn.service.core import Core
from keyturn.service.errors import UnknownRequest
from keyturn.service.model import ApprovalView, Choice, RequestView, StageView, Waiting
from keyturn.service.risks import risk_of

Row = dict[str, Any]

VOID = {"key": "It no longer counts: the key that signed it was revoked."}
"""Why a decision does not count any more, in words."""


def required(core: Core, request: str) -> Row:
    """The request's row. Raises `UnknownRequest`."""
    row = core.ledger.row("request", request)
    if row is None:
        raise UnknownRequest(f"There is no request {request[:80]!r}.")
    return row


# --- what people are shown -------------------------------------------------------------------------------------


def document(core: Core, row: Row) -> Row:
    """Everything a reviewer is shown, and nothing that changes while they read: what `display` is the digest of."""
    content = core.full(row["content"])
    return {
        "request": row["id"],
        "digest": row["digest"],
        "kind": row["kind"],
        "sentence": row["sentence"],
        "text": exact_text(row["subject"], content),
        "content": content,
        "cwd": core.full(row["cwd"]),
        # Requests of older versions have no such fields; what was shown of them stays what it was.
        **{name: core.full(row[name]) for name in ("environment", "executes", "risk") if name in row},
        "reading": core.full(row["reading"]),
        "decision": core.full(row["decision"]),
        "obligations": core.full(row["obligations"]),
        "attribution": core.full(row["attribution"]),
        **({"parties": behind} if (behind := _behind(core, row)) else {}),
        "gate": row["gate"],
    }


def _behind(core: Core, row: Row) -> list[str]:
    """Who stands behind an action beside the human and the owner that its attribution names: they can't decide either."""
    return [who for who in core.full(row.get("parties", ())) if who not in (row["initiator"], row["owner"])]


def exact_text(subject: str, content: Row) -> str:
    """The exact bytes that would run, as text: script, diff, arguments or request line; of a change what it would change."""
    if subject != "action":
        return str(content["diff" if subject == "policy" else "text"])
    match content_from_json(content):
        case Shell(script):
            return script
        case FileEdit(path, operation, diff=diff):
            return diff or f"{operation} {path}\n"
        case ToolCall(tool, arguments, server):
            return f"{server + '/' if server else ''}{tool}\n{json.dumps(arguments, indent=2, ensure_ascii=False, sort_keys=True)}\n"
        case HttpRequest(url, method):
            return f"{method} {url}\n"


def state_of(core: Core, row: Row) -> RequestState:
    """The request as the state machine knows it."""
    obligations = msgspec.convert(core.full(row["obligations"]), Obligations)
    human = (core.full(row["attribution"]) or {}).get("human") or {}
    opened = open_request(
        id=row["id"],
        digest=row["digest"],
        display=display_digest(document(core, row)),
        requirement=parse_requirement(obligations.approve),
        opened_ms=row["opened"],
        expires_ms=row["expires"],
        initiator=row["initiator"],
        initiator_uid=human.get("os_uid"),
        owner=row["owner"],
        authors=tuple(row["authors"]),
        reason_required=obligations.reason_required,
        assurance=needed(core, row, obligations),
        parties=tuple(core.full(row.get("parties", ()))),
        party_uids=tuple(core.full(row.get("party_uids", ()))),
    )
    approvals = tuple(
        Approval(
            a["person"],
            a["choice"],
            core.full(a["reason"]),
            a["assurance"],
            a["time"],
            tuple(a.get("on_behalf_of", ())),
        )
        for a in row["approvals"]
        if not a.get("void")
    )
    return msgspec.structs.replace(
        opened,
        approvals=approvals,
        state=row["state"],
        ended_ms=row.get("ended"),
        ended_by=row.get("ended_by"),
        ended_why=row.get("ended_why", ""),
        placed=tuple((p, s) for p, s in row.get("placed", ())),
        escalated=due.escalations(row),
    )


POWER = ("key", "roster", "account-link", "scim-token")
"""Subjects of changes that give somebody power over what others decide; administrators approve them."""


def needed(core: Core, row: Row, obligations: Obligations) -> str:
    """The level that approving takes now: what was asked for, and for what gives power a signature as soon as an administrator who
    may approve it can give one. A click's token can be stolen; with it and one dishonest administrator a group could be filled.
    """
    if row["subject"] not in POWER:
        return obligations.assurance
    now = key_views.assurance(core, row["initiator"], *row["authors"])
    return max(obligations.assurance, now, key=strength)


def view(core: Core, request: str, viewer: Person | None) -> RequestView:
    """One request as *viewer* sees it. Raises `UnknownRequest`."""
    return disclosure.narrowed(core, _view(core, required(core, request), viewer), viewer)


def views(
    core: Core,
    state: str | None,
    viewer: Person | None,
    limit: int,
    before: str | None,
    rank: str | None = None,
) -> list[RequestView]:
    """Requests: waiting ones in the queue's order (of *rank* only, if given), others newest first.

    `before` is the last one of the page before.
    """
    last = required(core, before) if before is not None else None
    if state == "waiting":
        rows = queueing.waiting(core.ledger, limit, last, rank)
    else:
        place = (last["opened"], last["id"]) if last else None
        rows = core.ledger.rows("request", state=state, limit=limit, before=place)
    return [disclosure.narrowed(core, _view(core, row, viewer), viewer) for row in rows]


def waiting(core: Core, limit: int) -> list[Waiting]:
    """What waits, by deadline, in so few words that a thousand of them are no work."""
    found = []
    for one in core.ledger.rows("deadline", newest_first=False, limit=limit):
        row = core.ledger.row("request", one["request"])
        if row is not None:
            risk = core.full(row.get("risk")) or {}
            found.append(Waiting(row["id"], row["expires"], risk.get("tier", "")))
    return found


def _view(core: Core, row: Row, viewer: Person | None) -> RequestView:
    shown = document(core, row)
    state = state_of(core, row)
    stages = progress(state, core.roster)
    conditions = conditions_of(core, row)
    return RequestView(
        id=row["id"],
        state=row["state"],
        subject=row["subject"],
        kind=row["kind"],
        digest=row["digest"],
        display=state.display,
        sentence=row["sentence"],
        text=shown["text"],
        content=shown["content"],
        reading=msgspec.convert(shown["reading"], Reading),
        decision=msgspec.convert(shown["decision"], Decision),
        obligations=msgspec.convert(shown["obligations"], Obligations),
        stages=tuple(StageView(s.group, s.need, s.have, s.who, s.open, dict(s.stands_in)) for s in stages),
        approvals=tuple(_approval_view(core, row, state, a) for a in row["approvals"]),
        attribution=shown["attribution"],
        parties=tuple(shown.get("parties", ())),
        needs=state.assurance,
        session=row.get("session") or "",
        gate=row["gate"]["name"],
        assurance=row["gate"]["assurance"],
        cwd=shown["cwd"],
        environment=shown.get("environment", {}),
        executes=shown.get("executes", {}),
        risk=risk_of(shown.get("risk")),
        grant_most=grants.most_seconds(core, row, msgspec.convert(shown["obligations"], Obligations)),
        shape=row.get("shape", ""),
        conditions=conditions,
        alike=queueing.alike_waiting(core.ledger, row),
        comment=core.full(row.get("comment", "")),
        comment_by=row.get("comment_by", ""),
        drill=sealed.view(core, row["id"]) if row["state"] != "waiting" else None,
        opened=row["opened"],
        expires=row["expires"],
        entry=row["entry"],
        ended=row.get("ended"),
        ended_why=core.full(row.get("ended_why", "")),
        seen_before=row.get("seen_before", 0),
        may_decide=_why_not(core, state, viewer, "approve") or conditions.closed or conditions.frozen,
        may_deny=_why_not(core, state, viewer, "deny"),
        glass=_glass(core, row, state, viewer),
    )


def _approval_view(core: Core, row: Row, state: RequestState, given: Row) -> ApprovalView:
    stage = next((index for person, index in state.placed if person == given["person"]), 0)
    return ApprovalView(
        person=given["person"],
        choice=given["choice"],
        reason=core.full(given["reason"]),
        time=given["time"],
        channel=given["channel"],
        stage=stage,
        entry=given["entry"],
        assurance=given["assurance"],
        key=given.get("key", ""),
        void=VOID.get(given.get("void", ""), ""),
        grant=given.get("grant", "once"),
        on_behalf_of=tuple(given.get("on_behalf_of", ())),
    )


def _why_not(core: Core, state: RequestState, viewer: Person | None, choice: Choice) -> str:
    if viewer is None:
        return "Sign in to decide."
    refused = machine.refusal(state, viewer.id, choice, core.roster, core.now())
    return refused.happened if refused else ""


def _glass(core: Core, row: Row, state: RequestState, viewer: Person | None) -> str:
    found = core.policy.requirements.breakglass
    if found is None or row["subject"] != "action" or row["state"] != "waiting" or viewer is None:
        return "-"
    refused = breakglass.barred(state, viewer.id, glass_named(found), core.roster, core.now())
    if isinstance(refused, BreakGlassNotNamed):
        return "-"
    return refused.happened if refused else ""


def glass_named(found: BreakGlass | None) -> breakglass.Named | None:
    """Whom policy names for emergencies, as the rules take it."""
    if found is None:
        return None
    return breakglass.Named(found.people, found.groups, found.assurance, found.reviewers)


def statement(
    core: Core,
    request: str,
    person: Person,
    choice: Choice,
    *,
    reason: str,
    digest: str,
    display: str,
    grant: str = "",
    ticket: str = "",
    on_behalf_of: str = "",
) -> signing.StatementView:
    """A fresh statement for *person* to sign, with everything that it covers. Raises `UnknownRequest`, `RequestEnded`, `OtherBytes`."""
    reason = capturing.reason(core.redaction, reason, signed=True)
    row = required(core, request)
    state = state_of(core, row)
    refused = machine.refusal(state, person.id, choice, core.roster, core.now())
    if refused is not None:
        raise refused
    if (digest, display) != (state.digest, state.display):
        raise OtherBytes("What you were shown is not what this request shows now.")
    obligations = msgspec.convert(core.full(row["obligations"]), Obligations)
    wish = str(grants.wished(core, row, obligations, grant if choice == "approve" else ""))
    statement = signing.statement_of(
        core, row, state, person.id, choice, reason, core.id("n"), wish, ticket, on_behalf_of
    )
    return signing.shown(core, row, statement, document(core, row))


# --- what people do --------------------------------------------------------------------------------------------


async def decide(
    core: Core,
    request: str,
    person: Person,
    choice: Choice,
    *,
    reason: str,
    digest: str,
    display: str,
    channel: str,
    on_behalf_of: str = "",
    grant: str = "",
    ticket: str = "",
    effects: Callable[[Rows], Sequence[Draft]],
    proof: Proof | None = None,
    statement_nonce: str | None = None,
    gesture: Gesture = gestures.NONE,
) -> RequestView:
    """Record one person's decision if the machine accepts it; *effects*, worked out then, are recorded with the last approval.

    *grant*: how far the person lets it go (`approvals.grants.parse_wish`), empty for once.

    *on_behalf_of*: the id of a person for whom they stand in; empty to decide for themselves if they can.
    With a *proof* over the statement that has *statement_nonce*, the level is what the proof shows; else it is a click.
    *ticket* is the reference of an approved change, which is looked up before anything is recorded.
    Raises the refusal of `approvals.machine`, of `service.conditions`, or `ProofRefused`.
    """
    reason = capturing.reason(core.redaction, reason, signed=proof is not None)
    row = required(core, request)
    change = None
    if choice == "approve":
        change = await tickets.checked(core, row, lambda: state_of(core, row), person.id, ticket)
    refused: list[DecisionRefused] = []
    where = calling.recorded(core)  # the plan runs in the writer's own task

    def plan(rows: Rows) -> Sequence[Draft]:
        refused.clear()  # a plan may be run again, so it starts from nothing each time
        current = rows.row("request", request) or row
        roster = core.rosters.within(rows)
        before = state_of(core, current)
        obligations = msgspec.convert(core.full(current["obligations"]), Obligations)
        wish = grants.wished(core, current, obligations, grant if choice == "approve" else "")
        nonce = statement_nonce or core.id("n")
        statement = signing.statement_of(
            core, current, before, person.id, choice, reason, nonce, str(wish), ticket, on_behalf_of
        )
        stale = _superseded(rows, current)
        verified = None
        # Who was removed is told that, not that their key is gone, too.
        asked = before.waiting and stale is None and roster.get(person.id) is not None
        if proof is not None and asked and core.now() < before.expires_ms:
            found = signing.check(core, rows, current["approvals"], statement, proof)
            if isinstance(found, ProofRefused):
                refused.append(found)
                return []
            verified = found
        level = verified.level if verified else "click"
        event: machine.Event = machine.Given(person.id, choice, digest, display, reason, level, on_behalf_of)
        step = machine.apply(before, stale or event, roster, core.now())
        if step.refusal is not None:
            refused.append(step.refusal)
        elif stale is not None:
            refused.append(machine.ended(step.state))
        elif choice == "approve":
            not_now = (
                moments.refusal(core, current)
                or tickets.refusal(core, current, change, moments.moment(core))
                or _ungestured(current, step.state, gesture)
            )
            if not_now is not None:
                refused.append(not_now)
                return []
        if not refused and sealed.is_drill(core, current):
            given = {"person": person.id, "choice": choice, "reason": reason, "digest": digest}
            made = _gesture_fields(core, step.state, gesture)
            return sealed.revealed(
                core, rows, current, {**given, "display": display, "channel": channel, **made}
            )
        drafts: list[Draft] = []
        if len(step.state.approvals) > len(before.approvals):
            draft = approval_draft(rows, current, step.state, statement, channel)
            draft.fields.update(_gesture_fields(core, step.state, gesture) | where)
            if proof is not None and verified is not None:
                draft.fields.update(signing.fields_of(proof, verified, document(core, current)))
            drafts.append(tickets.told(draft, change))
        if before.waiting and not step.state.waiting:
            drafts.append(ended_draft(rows, current, step.state))
            if step.state.state == "approved":
                drafts.extend((*effects(rows), *grants.opened(core, current, step.state, wish, obligations)))
                drafts.extend(plans.opened(core, current, step.state))
        return drafts

    await core.ledger.append(plan)
    if refused:
        raise refused[0]
    return view(core, request, person)


def _ungestured(row: Row, after: RequestState, gesture: Gesture) -> DecisionRefused | None:
    """Why the approval that led to *after* was not made the way its tier asks for."""
    risk = row.get("risk") or {}
    given = after.approvals[-1]
    return gestures.refusal(risk.get("tier"), risk.get("target", ""), given.reason, gesture, given.assurance)


def superseded(rows: Rows, row: Row) -> RequestEnded | None:
    """The refusal for a request that was held under another policy than the active one."""
    stale = _superseded(rows, row)
    return RequestEnded(f"It can't be decided any more. {stale.why}") if stale else None


def _superseded(rows: Rows, row: Row) -> machine.Supersede | None:
    """The policy under which it was held is no longer the active one, so what people would approve is not what was asked."""
    active = rows.row("policy-active", "active") or {}
    if row["state"] == "waiting" and active.get("digest") != row["policy"]:
        return machine.Supersede(str(active.get("digest")), "The policy changed since this was asked.")
    return None


def _open_session(rows: Rows, row: Row) -> str | None:
    """The session that a request belongs to, while it is open: its entries then count what people did, too."""
    session = rows.row("session", row["session"]) if row.get("session") else None
    return None if session is None or session.get("closed") else row["session"]


def _gesture_fields(core: Core, state: RequestState, gesture: Gesture) -> Row:
    """What the person did beside choosing, and how long they had it, as far as this server saw."""
    made: Row = gestures.kept(gesture)
    looked = core.looks.since(state.id, state.approvals[-1].person, core.now())
    if looked is not None:
        made["looked_ms"] = looked
    return {"gesture": made} if made else {}


def approval_draft(rows: Rows, row: Row, state: RequestState, statement: Statement, channel: str) -> Draft:
    given = state.approvals[-1]
    fields = {
        "request": state.id,
        "person": given.person,
        "choice": given.choice,
        "reason": given.reason,
        "digest": state.digest,
        "display": state.display,
        "policy": row["policy"],
        "channel": channel,
        "assurance": given.assurance,
        **({"on_behalf_of": list(given.chain)} if given.chain else {}),
        "grant": statement.grant,
        **({"ticket_named": statement.ticket} if statement.ticket else {}),
        **({"behalf": statement.behalf} if statement.behalf else {}),
        "nonce": statement.nonce,
        "reason_digest": statement.reason,
        "statement": statement_digest(statement),
    }
    # Earlier ones of the same person no longer count: their key was revoked, or the delegation ended.
    earlier = sum(one["person"] == given.person for one in row["approvals"])
    once = f"approval.given:{state.id}:{given.person}:{given.choice}:{earlier}"
    return Draft("approval.given", fields, session=_open_session(rows, row), once=once)


def ended_draft(rows: Rows, row: Row, state: RequestState) -> Draft:
    fields = {
        "request": state.id,
        "state": state.state,
        "why": state.ended_why,
        "by": state.ended_by,
        "placed": [[person, stage] for person, stage in state.placed],
    }
    return Draft("request.ended", fields, session=_open_session(rows, row), once=f"request.ended:{state.id}")


async def withdraw(core: Core, request: str, why: str, by: str) -> RequestView:
    """The asking side gives up. An ended request stays as it ended."""
    await _event(core, request, machine.Withdraw(by, why))
    return view(core, request, None)


async def expire(core: Core) -> int | None:
    """End every waiting request whose time is up; gives the next deadline (ms), None when nothing waits."""
    while True:
        due = core.ledger.rows("deadline", newest_first=False, limit=100)
        late = [row for row in due if row["expires"] <= core.now()]
        if not late:
            return due[0]["expires"] if due else None
        for row in late:
            await _event(core, row["request"], machine.Tick())


async def _event(core: Core, request: str, event: machine.Event) -> None:
    row = required(core, request)

    def plan(rows: Rows) -> Sequence[Draft]:
        current = rows.row("request", request) or row
        before = state_of(core, current)
        after = machine.apply(before, event, core.rosters.within(rows), core.now()).state
        return [ended_draft(rows, current, after)] if before.waiting and not after.waiting else []

    await core.ledger.append(plan)


# --- waiting ---------------------------------------------------------------------------------------------------


async def wait(core: Core, request: str, timeout: float) -> RequestView:
    """The request once it has ended, or as it is after *timeout* seconds."""
    try:
        async with asyncio.timeout(timeout):
            # Nothing is awaited between the look and the waiting, so the end can't slip through.
            while required(core, request)["state"] == "waiting":
                await core.waiters.setdefault(request, asyncio.Event()).wait()
    except TimeoutError:
        pass
    return view(core, request, None)


def woken(core: Core, entry: Entry) -> None:
    """Tell whoever waits for what *entry* ended."""
    if entry.type == "request.ended":
        event = core.waiters.pop(entry.fields["request"], None)
    elif entry.type == "grant.revoked":
        for session in (core.ledger.row("grant", entry.fields["grant"]) or {}).get("sessions", ()):
            if (told := core.waiters.pop(grants.revoked_key(session), None)) is not None:
                told.set()
        return
    elif entry.type == "plan.stopped":
        stopped = core.ledger.row("plan", entry.fields["plan"]) or {}
        event = core.waiters.pop(grants.revoked_key(stopped.get("session", "")), None)
    elif entry.type in ("session.stopped", "session.closed"):
        event = core.waiters.pop(entry.session or "", None)
    else:
        return
    if event is not None:
        event.set()


def wake_all(core: Core) -> None:
    """Let every waiter look again."""
    for request in list(core.waiters):
        core.waiters.pop(request).set()


async def changes(core: Core) -> AsyncIterator[Row]:
    """Every entry as it lands, in short."""
    async with core.ledger.subscribe() as entries:
        with contextlib.suppress(
            Lagged
        ):  # a reader too slow for its queue: the stream ends, and it asks again
            async for entry in entries:
                yield _change(core, entry)


def _change(core: Core, entry: Entry) -> Row:
    change: Row = {"index": entry.index, "type": entry.type, "session": entry.session, "time": entry.time}
    request = entry.fields.get("id") if entry.type == "request.opened" else entry.fields.get("request")
    if request:
        change["request"] = request
        row = core.ledger.row("request", request)
        change["state"] = row["state"] if row else ""
    return change
