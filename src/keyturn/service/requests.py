"""Requests: what people see, decide, and what waits for them. The rules are `approvals.machine`'s."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from keyturn.actions import FileEdit, HttpRequest, Reading, Shell, ToolCall, content_from_json
from keyturn.approvals import machine
from keyturn.approvals.errors import DecisionRefused
from keyturn.approvals.request import Approval, RequestState, open_request
from keyturn.approvals.requirement import parse_requirement
from keyturn.approvals.standing import progress
from keyturn.approvals.statement import display_digest, make_statement, statement_digest
from keyturn.identity import Person, Roster
from keyturn.ledger import Lagged
from keyturn.ledger.entries import Draft, Entry, Rows
from keyturn.policy.decision import Decision, Obligations
from keyturn.service.core import Core, person_of
from keyturn.service.errors import UnknownRequest
from keyturn.service.model import ApprovalView, Choice, RequestView, StageView

Row = dict[str, Any]


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
        **{name: core.full(row[name]) for name in ("environment", "executes") if name in row},
        "reading": core.full(row["reading"]),
        "decision": core.full(row["decision"]),
        "obligations": core.full(row["obligations"]),
        "attribution": core.full(row["attribution"]),
        "gate": row["gate"],
    }


def exact_text(subject: str, content: Row) -> str:
    """The exact bytes that would run, as text: script, diff, arguments or request line."""
    if subject == "policy":
        return str(content["diff"])
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
        assurance=obligations.assurance,
    )
    approvals = tuple(
        Approval(a["person"], a["choice"], core.full(a["reason"]), a["assurance"], a["time"])
        for a in row["approvals"]
    )
    return msgspec.structs.replace(
        opened,
        approvals=approvals,
        state=row["state"],
        ended_ms=row.get("ended"),
        ended_by=row.get("ended_by"),
        ended_why=row.get("ended_why", ""),
        placed=tuple((p, s) for p, s in row.get("placed", ())),
    )


def view(core: Core, request: str, viewer: Person | None) -> RequestView:
    """One request as *viewer* sees it. Raises `UnknownRequest`."""
    return _view(core, required(core, request), viewer)


def views(
    core: Core, state: str | None, viewer: Person | None, limit: int, before: str | None
) -> list[RequestView]:
    """Requests: waiting ones by deadline, others newest first. `before` is the last one of the page before."""
    last = required(core, before) if before is not None else None
    if state == "waiting":
        place = (last["expires"], last["id"]) if last else None
        due = core.ledger.rows("deadline", newest_first=False, limit=limit, before=place)
        rows = [row for one in due if (row := core.ledger.row("request", one["request"])) is not None]
    else:
        place = (last["opened"], last["id"]) if last else None
        rows = core.ledger.rows("request", state=state, limit=limit, before=place)
    return [_view(core, row, viewer) for row in rows]


def _view(core: Core, row: Row, viewer: Person | None) -> RequestView:
    shown = document(core, row)
    state = state_of(core, row)
    stages = progress(state, core.roster)
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
        stages=tuple(StageView(s.group, s.need, s.have, s.who, s.open) for s in stages),
        approvals=tuple(_approval_view(core, row, state, a) for a in row["approvals"]),
        attribution=shown["attribution"],
        session=row.get("session") or "",
        gate=row["gate"]["name"],
        assurance=row["gate"]["assurance"],
        cwd=shown["cwd"],
        environment=shown.get("environment", {}),
        executes=shown.get("executes", {}),
        opened=row["opened"],
        expires=row["expires"],
        entry=row["entry"],
        ended=row.get("ended"),
        ended_why=core.full(row.get("ended_why", "")),
        seen_before=row.get("seen_before", 0),
        may_decide=_why_not(core, state, viewer, "approve"),
        may_deny=_why_not(core, state, viewer, "deny"),
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
    )


def _why_not(core: Core, state: RequestState, viewer: Person | None, choice: Choice) -> str:
    if viewer is None:
        return "Sign in to decide."
    refused = machine.refusal(state, viewer.id, choice, core.roster, core.now())
    return refused.happened if refused else ""


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
    effects: Sequence[Draft] = (),
) -> RequestView:
    """Record one person's decision if the machine accepts it; *effects* are recorded with the last approval.

    Raises the refusal of `approvals.machine`.
    """
    row = required(core, request)
    refused: list[DecisionRefused] = []

    def plan(rows: Rows) -> Sequence[Draft]:
        refused.clear()  # a plan may be run again, so it starts from nothing each time
        current = rows.row("request", request) or row
        roster = _roster_now(core, rows, person.id)
        before = state_of(core, current)
        event: machine.Event = machine.Given(person.id, choice, digest, display, reason)
        stale = _superseded(rows, current)
        step = machine.apply(before, stale or event, roster, core.now())
        if step.refusal is not None:
            refused.append(step.refusal)
        elif stale is not None:
            refused.append(machine.ended(step.state))
        drafts: list[Draft] = []
        if len(step.state.approvals) > len(before.approvals):
            drafts.append(_approval_draft(core, rows, current, step.state, person.id, channel))
        if before.waiting and not step.state.waiting:
            drafts.append(_ended_draft(rows, current, step.state))
            if step.state.state == "approved":
                drafts.extend(effects)
        return drafts

    await core.ledger.append(plan)
    if refused:
        raise refused[0]
    return view(core, request, person)


def _superseded(rows: Rows, row: Row) -> machine.Supersede | None:
    """The policy under which it was held is no longer the active one, so what people would approve is not what was asked."""
    active = rows.row("policy-active", "active") or {}
    if row["state"] == "waiting" and active.get("digest") != row["policy"]:
        return machine.Supersede(str(active.get("digest")), "The policy changed since this was asked.")
    return None


def _roster_now(core: Core, rows: Rows, person: str) -> Roster:
    """The roster with *person* as they are at this very moment of the log."""
    row = rows.row("person", person)
    known = {key: value for key, value in core.roster.people.items() if key != person}
    return Roster({**known, person: person_of(row)} if row else known)


def _open_session(rows: Rows, row: Row) -> str | None:
    """The session that a request belongs to, while it is open: its entries then count what people did, too."""
    session = rows.row("session", row["session"]) if row.get("session") else None
    return None if session is None or session.get("closed") else row["session"]


def _approval_draft(
    core: Core, rows: Rows, row: Row, state: RequestState, person: str, channel: str
) -> Draft:
    given = state.approvals[-1]
    nonce = core.id("n")
    statement = make_statement(
        log=core.origin,
        request=state.id,
        digest=state.digest,
        display=state.display,
        decision=given.choice,
        person=person,
        reason=given.reason,
        policy=row["policy"],
        nonce=nonce,
    )
    fields = {
        "request": state.id,
        "person": person,
        "choice": given.choice,
        "reason": given.reason,
        "digest": state.digest,
        "display": state.display,
        "policy": row["policy"],
        "channel": channel,
        "assurance": given.assurance,
        "nonce": nonce,
        "statement": statement_digest(statement),
    }
    once = f"approval.given:{state.id}:{person}:{given.choice}"
    return Draft("approval.given", fields, session=_open_session(rows, row), once=once)


def _ended_draft(rows: Rows, row: Row, state: RequestState) -> Draft:
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
        after = machine.apply(before, event, core.roster, core.now()).state
        return [_ended_draft(rows, current, after)] if before.waiting and not after.waiting else []

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
