"""One action's journey: read, decide, record, permit, consume, report (design §5).

The decision is durable before anything is answered (promise 1). Whatever raises, nothing ran.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import to_builtins

from keyturn import readers
from keyturn.actions import Action, Reading, Text, action_digest
from keyturn.approvals import permit as permits
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.decision import Decision, Facts
from keyturn.resources import Surroundings
from keyturn.service import words
from keyturn.service.core import Core
from keyturn.service.errors import (
    NoProfile,
    NotClaimable,
    ReceiptRepeated,
    UnknownAction,
    UnknownRequest,
)
from keyturn.service.model import Confinement, Outcome, Permit, Receipt
from keyturn.service.projections import waiting_key
from keyturn.service.sessions import require_open, require_own
from keyturn.service.starting import reading_of


class PermitUnknown(permits.PermitRefused):
    """The permit is signed, but this ledger never issued it."""

    code = "permit.unknown"
    next_step = "Ask again; if this ledger was restored from a copy, look at `keyturn doctor`."


class PermitOfStopped(permits.PermitRefused):
    """The permit's session was stopped after it was issued."""

    code = "permit.session_stopped"
    next_step = "Do not retry. Ask the person who stopped it."


async def authorize(
    core: Core, action: Action, around: Surroundings, *, consume: bool, within: str | None = None
) -> Outcome:
    """Read, decide, record, answer. See `Service.authorize`."""
    action = _instructed(core, action)
    while True:
        try:
            return await _authorize(core, action, around, consume=consume, within=within)
        except _PolicyMoved:  # another version took effect between deciding and recording: decide again
            continue


class _PolicyMoved(Exception):
    """The policy that decided is no longer the active one. Never leaves this module."""


async def _authorize(
    core: Core, action: Action, around: Surroundings, *, consume: bool, within: str | None
) -> Outcome:
    active = core.policy
    policy = core.workspaces.tightened(active, around.workspace)
    digest = action_digest(action, policy.digest)
    around = msgspec.structs.replace(
        readers.vouched(around, action.executes),
        labels=policy.labels,
        programs=policy.programs,
        protected=(*around.protected, *core.protected),
        cwd=action.cwd,
    )
    reading = readers.known(action.content, around)
    if reading is None:
        reading = await asyncio.to_thread(readers.read, action.content, around)
    if policy.programs:
        reading = await asyncio.to_thread(_covered, reading, action, around)
    decision = policy.decide(action.kind, reading, _facts(core, action))
    if decision.verdict == "hold" and within and _runs_code(core, within, action):
        part = f"It is part of {within}, which was allowed and runs code."
        decision = msgspec.structs.replace(decision, verdict="run", reasons=(part, *decision.reasons))
    if decision.verdict == "hold":
        again = core.ledger.row("waiting", waiting_key(action.session, digest))
        if again is not None:
            require_own(core.ledger, action.session, action.gate.name, _person_of(action))
            return await _asked_again(core, again["request"], action, digest, consume)
    return await _record(core, action, digest, reading, decision, consume, active.digest)


def _covered(reading: Reading, action: Action, around: Surroundings) -> Reading:
    """*reading*, unless only the policy's own descriptions know of a file that would run.

    Gates look into the files that the shipped descriptions name, so such a file is not in the action's digest; then it
    is read as one that nobody looked into (promise 4).
    """
    shipped = readers.read(action.content, msgspec.structs.replace(around, programs=()))
    known = {*action.executes, *readers.code_files(shipped)}
    if known.issuperset(readers.code_files(reading)):
        return reading
    return readers.read(action.content, msgspec.structs.replace(around, contents=around.contents or ()))


def _runs_code(core: Core, within: str, action: Action) -> bool:
    """Whether *within* was allowed and used, or seen to begin, at this gate in this session; is understood; and runs code."""
    row = core.ledger.row("action", within)
    if row is None or not (row.get("permit") or {}).get("consumed"):
        return False
    here = (action.session, action.gate.name)
    began = row.get("started") or {}
    if here not in ((row["session"], row["gate"]), (began.get("session"), began.get("gate"))):
        return False
    reading = reading_of(core, within)
    return reading.complete and any(effect.verb == "executes" for effect in reading.effects)


def standing(core: Core, session: str, workspace: str) -> str:
    """See `Service.standing`."""
    require_open(core.ledger, session)
    return core.workspaces.tightened(core.policy, workspace).digest


def confinement(core: Core, profile: str) -> Confinement | None:
    """See `Service.confinement`."""
    policy = core.policy
    name = profile or policy.profiles.default
    if not name:
        return None
    found = policy.profiles.get(name)
    if found is None:
        raise NoProfile(
            f"The policy has no profile {name!r}, only {', '.join(policy.profiles.names)}.",
            profiles=policy.profiles.names,
        )
    hidden = tuple(label for label in policy.labels if label.name in policy.profiles.mask)
    return Confinement(found, hidden, policy.digest)


def _instructed(core: Core, action: Action) -> Action:
    """With the session's latest instruction, where the gate did not send one along."""
    who = action.attribution
    session = core.ledger.row("session", action.session) if who.instruction is None else None
    if session is None or not session.get("instruction"):
        return action
    instruction = msgspec.convert(core.full(session["instruction"]), Text)
    return msgspec.structs.replace(action, attribution=msgspec.structs.replace(who, instruction=instruction))


def _facts(core: Core, action: Action) -> Facts:
    who = action.attribution
    person = core.roster.get(who.human.person) if who.human else None
    return Facts(
        agent=who.agent.name,
        client=who.agent.client,
        human=person.id if person else None,
        human_groups=person.groups if person else (),
        missing=who.missing if person or not who.human else tuple(sorted({*who.missing, "human"})),
        assurance=action.gate.assurance,
        target=action.target,
        definition_known=who.definition is not None,
    )


async def _record(
    core: Core,
    action: Action,
    digest: str,
    reading: Reading,
    decision: Decision,
    consume: bool,
    policy: str,
) -> Outcome:
    now = core.now()
    action_id, run = core.ids("a", now), decision.verdict == "run"
    permit = _new_permit(core, now) if run else None
    request_id = core.ids("r", now) if decision.verdict == "hold" else None
    fields = _decided_fields(core, action, action_id, digest, reading, decision, permit)
    drafts = [Draft("action.decided", fields, session=action.session)]
    if permit and consume:
        drafts.append(_consumed(permit["id"], action_id, action.gate.name, action.session))
    expires = now + decision.obligations.within * 1000
    if request_id:
        opened = _request_fields(action, action_id, request_id, digest, reading, decision, expires)
        opened["policy"] = policy
        drafts.append(Draft("request.opened", opened, session=action.session))
    reused: list[str] = []

    def plan(rows: Rows) -> Sequence[Draft]:
        reused.clear()  # a plan may be run again, so it starts from nothing each time
        require_own(rows, action.session, action.gate.name, _person_of(action))
        if (rows.row("policy-active", "active") or {}).get("digest") != policy:
            raise _PolicyMoved
        if request_id:
            # Two identical proposals at the same moment are one request: the second finds the first here.
            first = rows.row("waiting", waiting_key(action.session, digest))
            if first is not None:
                reused.append(first["request"])
                return []
        return drafts

    await core.ledger.append(plan)
    if reused:
        return await _asked_again(core, reused[0], action, digest, consume)
    return Outcome(
        action=action_id,
        digest=digest,
        verdict=decision.verdict,
        words=words.outcome(decision, request_id, decision.obligations.within),
        decision=decision,
        permit=_signed(core, permit, action_id, digest, action.gate.name, now, None, consume)
        if permit
        else None,
        request=request_id,
        expires=expires if request_id else None,
        canonical=reading.canonical if run else None,
    )


def _person_of(action: Action) -> str | None:
    human = action.attribution.human
    return human.person if human else None


def _new_permit(core: Core, now: int) -> dict[str, Any]:
    return {"id": core.ids("p", now), "expires": now + core.settings.permit_seconds * 1000}


def _decided_fields(
    core: Core,
    action: Action,
    action_id: str,
    digest: str,
    reading: Reading,
    decision: Decision,
    permit: dict[str, Any] | None,
) -> dict[str, Any]:
    who = action.attribution
    return {
        "id": action_id,
        "digest": digest,
        "kind": action.kind,
        "verdict": decision.verdict,
        "action": {
            "content": to_builtins(action.content),
            "cwd": action.cwd,
            "environment": action.environment,
            "target": action.target,
            "executes": action.executes,
        },
        "call": action.call,
        "gate": to_builtins(action.gate),
        "agent": to_builtins(who.agent),
        "human": to_builtins(who.human),
        "instruction": to_builtins(who.instruction),
        "reasoning": to_builtins(who.reasoning),
        "definition": who.definition,
        "parents": list(who.parents),
        "missing": list(who.missing),
        "sentence": reading.sentence[:1000],
        "reading": core.prepared(reading),
        "decision": core.prepared(decision),
        "permit": permit,
    }


def _request_fields(
    action: Action,
    action_id: str,
    request_id: str,
    digest: str,
    reading: Reading,
    decision: Decision,
    expires: int,
) -> dict[str, Any]:
    who = action.attribution
    return {
        "id": request_id,
        "subject": "action",
        "action": action_id,
        "digest": digest,
        "kind": action.kind,
        "sentence": reading.sentence[:1000],
        "obligations": to_builtins(decision.obligations),
        "expires": expires,
        "initiator": who.human.person if who.human else None,
        "owner": who.agent.owner,
        "authors": [],
        "gate": to_builtins(action.gate),
        "agent": who.agent.name,
        "content": to_builtins(action.content),
        "cwd": action.cwd,
        "environment": action.environment,
        "executes": action.executes,
        "reading": to_builtins(reading),
        "decision": to_builtins(decision),
        "attribution": to_builtins(who),
    }


def _consumed(permit: str, action: str, gate: str, session: str | None) -> Draft:
    return Draft(
        "permit.consumed",
        {"permit": permit, "action": action, "gate": gate},
        session=session,
        once=f"permit.consumed:{permit}",
    )


def _signed(
    core: Core,
    permit: dict[str, Any],
    action: str,
    digest: str,
    gate: str,
    now: int,
    request: str | None,
    consumed: bool,
) -> Permit:
    claims = permits.Claims(
        id=permit["id"],
        action=action,
        digest=digest,
        gate=gate,
        policy=core.policy.digest,
        issued_ms=now,
        expires_ms=permit["expires"],
        request=request,
    )
    token = "" if consumed else permits.sign(claims, core.permit_key)
    return Permit(id=permit["id"], token=token, digest=digest, gate=gate, expires=permit["expires"])


async def _asked_again(core: Core, request: str, action: Action, digest: str, consume: bool) -> Outcome:
    """The same bytes in the same session while their request waits, or after it was approved."""
    row = core.ledger.row("request", request)
    if row is not None and row["state"] == "approved":
        return await claim(core, request, digest, action.gate.name, consume=consume)
    if row is None:
        raise UnknownRequest(f"There is no request {request}.")
    decision = msgspec.convert(core.full(row["decision"]), Decision)
    left = max(0, (row["expires"] - core.now()) // 1000)
    return Outcome(
        action=row["action"],
        digest=digest,
        verdict="hold",
        words=words.outcome(decision, request, left),
        decision=decision,
        request=request,
        expires=row["expires"],
    )


async def claim(core: Core, request: str, digest: str, gate: str, *, consume: bool) -> Outcome:
    """Turn an approved request into its one permit. See `Service.claim`."""
    now = core.now()
    permit = _new_permit(core, now)
    row = core.ledger.row("request", request)
    if row is None:
        raise UnknownRequest(f"There is no request {request}.")

    def plan(rows: Rows) -> Sequence[Draft]:
        current = rows.row("request", request) or row
        require_open(rows, current["session"])
        active = rows.row("policy-active", "active") or {}
        _require_claimable(core, current, digest, gate, active.get("digest", ""), now)
        fields = {
            "permit": permit,
            "request": request,
            "action": row["action"],
            "digest": digest,
            "gate": gate,
        }
        drafts = [Draft("permit.issued", fields, session=row["session"], once=f"permit.issued:{request}")]
        if consume:
            drafts.append(_consumed(permit["id"], row["action"], gate, row["session"]))
        return drafts

    await core.ledger.append(plan)
    decision = msgspec.convert(core.full(row["decision"]), Decision)
    reading = msgspec.convert(core.full(row["reading"]), Reading)
    return Outcome(
        action=row["action"],
        digest=digest,
        verdict="run",
        words=words.approved(row),
        decision=decision,
        permit=_signed(core, permit, row["action"], digest, gate, now, request, consume),
        request=request,
        canonical=reading.canonical,
    )


def _require_claimable(
    core: Core, request: dict[str, Any], digest: str, gate: str, active_policy: str, now: int
) -> None:
    if request["subject"] != "action" or request["state"] != "approved":
        raise NotClaimable(f"The request {request['id']} is {request['state']}.")
    if request.get("permit"):
        raise NotClaimable(f"The permit of request {request['id']} was claimed already.")
    if request["digest"] != digest:
        raise permits.PermitOtherBytes(f"Request {request['id']} was approved for other bytes.")
    if request["gate"]["name"] != gate:
        raise permits.PermitOtherGate(
            f"Request {request['id']} was made at gate {request['gate']['name']}, not {gate}."
        )
    if request["policy"] != active_policy:
        raise NotClaimable("The policy changed since this was approved; the approval was under the old one.")
    if request["ended"] + core.settings.claim_seconds * 1000 <= now:
        raise NotClaimable(f"The approval of {request['id']} lapsed: nobody used it in time.")


async def consume(core: Core, token: str, digest: str, gate: str) -> str:
    """Use a permit; gives the action's id. Every refusal is an entry."""
    try:
        claims = permits.open_token(token, core.permit_key.public_key())
    except permits.PermitRefused as error:
        await _refused(core, None, None, gate, digest, error.code)
        raise
    row = core.ledger.row("action", claims.action)
    session = row["session"] if row else None
    try:
        if row is None or (row["permit"] or {}).get("id") != claims.id:
            raise PermitUnknown(f"This ledger issued no permit {claims.id}.")
        permits.check(claims, digest=digest, gate=gate, now_ms=core.now())
        await core.ledger.append(lambda rows: [_use(rows, claims, gate, session)])
    except permits.PermitRefused as error:
        await _refused(core, claims.id, session, gate, digest, error.code)
        raise
    return claims.action


def _use(rows: Rows, claims: permits.Claims, gate: str, session: str | None) -> Draft:
    row = rows.row("action", claims.action)
    stopped = rows.row("session", session) if session else None
    if stopped is not None and stopped.get("stopped"):
        raise PermitOfStopped(f"{stopped['stopped_by']} stopped this session: {stopped['stopped_why']}")
    if row is not None and (row["permit"] or {}).get("consumed"):
        raise permits.PermitUsed(f"The permit {claims.id} was used at {gate} already.")
    return _consumed(claims.id, claims.action, gate, session)


async def _refused(
    core: Core, permit: str | None, session: str | None, gate: str, digest: str, code: str
) -> None:
    fields = {"permit": permit, "gate": gate, "digest": digest, "code": code}

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("session", session) if session else None
        return [Draft("permit.refused", fields, session=session if row and not row.get("closed") else None)]

    await core.ledger.append(plan)


async def report(core: Core, receipt: Receipt) -> None:
    """Record what a gate says happened. One receipt an action."""

    def plan(rows: Rows) -> Sequence[Draft]:
        action = rows.row("action", receipt.action)
        if action is None:
            raise UnknownAction(f"There is no action {receipt.action}.")
        if action.get("receipt"):
            raise ReceiptRepeated(f"The action {receipt.action} has a receipt already.")
        session = rows.row("session", action["session"])
        fields = {k: v for k, v in to_builtins(receipt).items() if v is not None}
        open_session = action["session"] if session and not session.get("closed") else None
        return [
            Draft("action.receipt", fields, session=open_session, once=f"action.receipt:{receipt.action}")
        ]

    await core.ledger.append(plan)
