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
from keyturn.approvals import plans as plan_rules
from keyturn.ledger.entries import Draft, Moving, Rows
from keyturn.policy.decision import Decision, Facts
from keyturn.policy.drift.responses import InForce
from keyturn.policy.risk import Risk
from keyturn.resources import Surroundings
from keyturn.service import (
    batches,
    capturing,
    definitions,
    facts,
    grants,
    plans,
    responses,
    risks,
    sealed,
    secret_findings,
    words,
)
from keyturn.service.conditions.moments import (
    frozen_for,
    frozen_now,
    moment,
    require_claimable,
    require_usable,
    shut_words,
)
from keyturn.service.core import Core
from keyturn.service.errors import (
    NoProfile,
    NotClaimable,
    ReceiptRepeated,
    UnknownAction,
    UnknownRequest,
)
from keyturn.service.granted import waiting_key
from keyturn.service.model import Confinement, Outcome, Permit, Receipt
from keyturn.service.parties import parties_of
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


class PermitOfGrant(permits.PermitRefused):
    """The grant under which the permit was issued has ended or was revoked."""

    code = "permit.grant_ended"
    next_step = "Do not retry. Ask for the action again only if the person you work for still wants it; people decide anew."


class PermitOfPlan(permits.PermitRefused):
    """The plan of which the permit's action is a step was stopped, revoked, or has ended."""

    code = "permit.plan_ended"
    next_step = "Do not retry. Ask for the action alone, or propose a new plan, if the person you work for still wants it."


class PermitOfResponse(permits.PermitRefused):
    """A finding had a consequence after the permit was issued: the agent is stepped up, suspended or stopped."""

    code = "permit.response"
    next_step = "Ask for the action again only if the person you work for still wants it; people decide anew."


async def authorize(
    core: Core, action: Action, around: Surroundings, *, consume: bool, within: str | None = None
) -> Outcome:
    """Read, decide, record, answer. See `Service.authorize`."""
    capture = capturing.captured(core, instructed(core, action))
    while True:
        try:
            return await _authorize(core, capture, around, consume=consume, within=within)
        except _Moved:  # what decided changed between deciding and recording: decide again
            continue


class _Moved(Exception):
    """The policy, the grant or the plan that decided no longer does. Never leaves this module."""


class Weighed(msgspec.Struct, frozen=True):
    """An action as policy sees it now, with the facts that it knew.

    `digest` is the recorded one, `act` that of the true bytes, which the gate knows (equal where there is no secret, ADR 0027);
    `reading` is of the true bytes, `shown` what is recorded of it, and so are decision, facts and risk.

    `risked` and `asks` (a digest of what is asked of people) only where it is held.

    `policy` is the active version, `under` that with the workspace's own rules: the one in the digest. `on` are the responses
    to findings that are on for it, `under_response` those that count here; `as_of` says how new the rows are that its facts are from,
    `counted` whether something counts it or watches its order.
    """

    digest: str
    act: str
    seal: str
    capture: capturing.Capture
    reading: Reading
    shown: Reading
    decision: Decision
    facts: Facts
    policy: str
    under: str
    asks: str = ""
    risked: tuple[Risk, str] | None = None
    on: tuple[InForce, ...] = ()
    under_response: tuple[InForce, ...] = ()
    as_of: int = -1
    counted: bool = True


async def weighed(
    core: Core, capture: capturing.Capture, around: Surroundings, within: str | None = None
) -> Weighed:
    """Read the captured action and let policy decide: nothing is recorded, and no grant and no plan is asked."""
    action = capture.raw
    active = core.policy
    policy = core.workspaces.tightened(active, around.workspace)
    act, digest, seal = capture.digests(policy.digest)
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
    shown = capture.reading(reading)
    action = capture.recorded
    as_of = core.ledger.moved(facts.READ)
    counted = facts.watched(core, action, shown)
    known = facts.gathered(core, action, shown, counted)
    decision = capture.decision(policy.decide(action.kind, reading, known, moment(core)))
    exceeds = bool(known.over or known.broken)
    if decision.verdict == "hold" and within and not exceeds and _runs_code(core, within, action):
        part = f"It is part of {within}, which was allowed and runs code."
        decision = msgspec.structs.replace(decision, verdict="run", reasons=(part, *decision.reasons))
    counting = on = responses.applying(core, core.ledger, action)
    if on and within and _runs_code(core, within, action):
        counting = responses.beyond(core.ledger, on, within)
    decision = responses.answer(core, decision, counting)
    asks, risked = "", None
    if decision.verdict == "hold":
        asks = facts.asked(known, frozen_for(core, shown, known, grants.asked(decision.obligations)))
        asks = responses.asked(asks, counting)
        risked = risks.assessed(core, action, shown, active)
        decision = policy.for_tier(decision, risked[0].tier)
    return Weighed(
        digest,
        act,
        seal,
        capture,
        reading,
        shown,
        decision,
        known,
        active.digest,
        policy.digest,
        asks,
        risked,
        on,
        counting,
        as_of,
        counted,
    )


async def _authorize(
    core: Core, capture: capturing.Capture, around: Surroundings, *, consume: bool, within: str | None
) -> Outcome:
    found = await weighed(core, capture, around, within)
    action = capture.recorded
    digest, decision, asks, policy = found.digest, found.decision, found.asks, found.policy
    grant, planned = None, None
    if decision.verdict == "hold":
        shut = shut_words(core.policy, decision.obligations, moment(core))
        if not found.under_response:  # else no plan says anything: it was approved for other circumstances
            planned = plans.answer(core, core.ledger, *_planned(core, action, found))
        letting_go = not responses.suspended(found.under_response)
        if letting_go and not shut and (planned is None or planned[1].kind != "covered"):
            grant = grants.covering(core, core.ledger, action, digest, policy, asks)
        if grant is not None:
            planned = None  # people let it run, whatever the plan says
        letting = grant is not None or (planned is not None and planned[1].kind == "covered")
        again = None if letting else core.ledger.row("waiting", waiting_key(action.session, digest))
        waits = core.ledger.row("request", again["request"]) if again else None
        if again is not None and not responses.outdated(core.ledger, waits, found.under_response):
            require_own(core.ledger, action.session, action.gate.name, person_of(action))
            return await _asked_again(core, again["request"], found, consume)
    if grant is not None:
        reasons = (grants.because(grant), *decision.reasons)
        decision = msgspec.structs.replace(decision, verdict="run", reasons=reasons)
    elif planned is not None and planned[1].kind == "covered":
        reasons = (plans.because(*planned), *decision.reasons)
        decision = msgspec.structs.replace(decision, verdict="run", reasons=reasons)
    elif planned is not None and plans.concerns(*planned, digest):
        decision = msgspec.structs.replace(decision, reasons=(plans.told(*planned), *decision.reasons))
    if decision is not found.decision:
        found = msgspec.structs.replace(found, decision=decision)
    return await _record(core, found, consume, grant, planned)


def _planned(core: Core, action: Action, found: Weighed) -> tuple[Any, ...]:
    """What the session's plan is asked about *action*, as `plans.answer` takes it."""
    tier = found.risked[0].tier if found.risked else ""
    shut = shut_words(core.policy, found.decision.obligations, moment(core))
    return action, found.digest, found.policy, found.asks, tier, shut


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
    if grants.is_revoked(core.ledger, row.get("grant")) or plans.is_revoked(core.ledger, row.get("plan")):
        return False
    reading = reading_of(core, within)
    return reading.complete and any(effect.verb == "executes" for effect in reading.effects)


def standing(core: Core, session: str, workspace: str) -> str:
    """See `Service.standing`."""
    require_open(core.ledger, session)
    # While a freeze is on, no answer from before it stands, and none is kept: this is no policy that any of them names.
    # Nor while policy is stricter because of what the agent is.
    policy = core.workspaces.tightened(core.policy, workspace)
    frozen = "+frozen" if frozen_now(core) else ""
    found = "+finding" if responses.marks(core, session, policy) else ""
    held = "+definition" if definitions.tightens(core, session) else ""
    return policy.digest + frozen + found + held


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


def instructed(core: Core, action: Action) -> Action:
    """With the session's latest instruction, where the gate did not send one along."""
    who = action.attribution
    session = core.ledger.row("session", action.session) if who.instruction is None else None
    if session is None or not session.get("instruction"):
        return action
    instruction = msgspec.convert(core.full(session["instruction"]), Text)
    return msgspec.structs.replace(action, attribution=msgspec.structs.replace(who, instruction=instruction))


async def _record(
    core: Core,
    found: Weighed,
    consume: bool,
    grant: dict[str, Any] | None,
    planned: tuple[dict[str, Any], plan_rules.Answer] | None,
) -> Outcome:
    action, digest, reading = found.capture.recorded, found.digest, found.shown
    decision, risked = found.decision, found.risked
    policy, asks = found.policy, found.asks
    now = core.now()
    action_id, run = core.ids("a", now), decision.verdict == "run"
    covered = planned[0] if planned is not None and planned[1].kind == "covered" else None
    permit = _new_permit(core, now, grant or covered) if run else None
    request_id = core.ids("r", now) if decision.verdict == "hold" else None
    fields = _decided_fields(
        core, action, action_id, digest, reading, decision, permit, found.facts, found.counted
    )
    if found.seal:
        fields = {**fields, "sealed": found.seal, "action": {**fields["action"], "sealed": found.seal}}
    if found.under != policy:
        fields["published"] = policy
    acted = responses.acted(decision, found.under_response)
    if acted:
        fields["responses"] = acted
    if found.reading is not found.shown:
        core.true_readings.keep(action_id, found.reading)
    drafts = [Draft("action.decided", fields, session=action.session)]
    if grant is not None:
        drafts.append(grants.used(grant["id"], action_id, action.session))
    if planned is not None and covered is not None:
        drafts.extend(plans.advanced(*planned, action_id, action.session))
    elif planned is not None and planned[1].kind == "deviation":
        drafts.append(plans.deviated(*planned, action_id, action.session))
    if permit and consume:
        drafts.append(_consumed(permit["id"], action_id, action.gate.name, action.session))
    expires = now + decision.obligations.within * 1000
    if request_id and risked:
        opened = _request_fields(action, action_id, request_id, digest, reading, decision, expires)
        opened |= _asked(core, action, action.session, request_id, decision, risked)
        opened["policy"], opened["asks"] = policy, asks
        if found.seal:
            opened["sealed"] = found.seal
        drafts.append(Draft("request.opened", opened, session=action.session))
    reused: list[str] = []

    def plan(rows: Moving) -> Sequence[Draft]:
        reused.clear()  # a plan may be run again, so it starts from nothing each time
        require_own(rows, action.session, action.gate.name, person_of(action))
        if (rows.row("policy-active", "active") or {}).get("digest") != policy:
            raise _Moved
        if not facts.stand(core, rows, action, reading, found.facts, found.as_of, found.counted):
            raise _Moved
        if responses.applying(core, rows, action) != found.on:
            raise _Moved  # a finding had a consequence meanwhile, or one ended
        if grant is not None and not grants.still(core, rows, grant, action, digest, policy, asks):
            raise _Moved
        if planned is not None and not plans.same(core, rows, planned, *_planned(core, action, found)):
            raise _Moved
        unplanned = planned is None and grant is None and not found.under_response
        if unplanned and request_id and rows.row("plan-open", action.session):
            raise _Moved  # people approved a plan while this was decided
        if request_id:
            # Two identical proposals at the same moment are one request: the second finds the first here.
            first = rows.row("waiting", waiting_key(action.session, digest))
            waits = rows.row("request", first["request"]) if first else None
            if waits is not None and responses.outdated(rows, waits, found.under_response):
                return [*_superseded(waits), *drafts]
            if first is not None:
                reused.append(first["request"])
                return []
        if not found.seal:
            return drafts
        return [*drafts, *secret_findings.found(core, rows, action, reading, action_id)]

    await core.ledger.append(plan)
    if reused:
        return await _asked_again(core, reused[0], found, consume)
    return Outcome(
        action=action_id,
        digest=found.act,
        verdict=decision.verdict,
        words=words.outcome(
            decision,
            request_id,
            decision.obligations.within,
            shut_words(core.policy, decision.obligations, now) if request_id else "",
        ),
        decision=decision,
        permit=_signed(core, permit, action_id, found.act, action.gate.name, now, None, consume)
        if permit
        else None,
        request=request_id,
        expires=expires if request_id else None,
        canonical=found.reading.canonical if run else None,
        grant=(grant or covered or {}).get("id"),
        counted=found.counted,
    )


def _superseded(request: dict[str, Any]) -> list[Draft]:
    """The end of a request that asks too little since a response began; an approved one is not claimed any more in any case."""
    if request["state"] != "waiting":
        return []
    why = "A finding had a consequence since: it is asked for anew."
    fields = {"request": request["id"], "state": "superseded", "why": why, "by": "response"}
    once = f"request.ended:{request['id']}"
    return [Draft("request.ended", fields, session=request["session"], once=once)]


def person_of(action: Action) -> str | None:
    """The person on whose behalf it is asked for."""
    human = action.attribution.human
    return human.person if human else None


def _new_permit(core: Core, now: int, grant: dict[str, Any] | None = None) -> dict[str, Any]:
    """A permit; under a grant or a plan it ends with that, never later."""
    expires = now + core.settings.permit_seconds * 1000
    return {"id": core.ids("p", now), "expires": min(expires, grant["ends"]) if grant else expires}


def _decided_fields(
    core: Core,
    action: Action,
    action_id: str,
    digest: str,
    reading: Reading,
    decision: Decision,
    permit: dict[str, Any] | None,
    known: Facts,
    counted: bool,
) -> dict[str, Any]:
    who = action.attribution
    content, gate, agent, human, instruction, reasoning = to_builtins(
        (action.content, action.gate, who.agent, who.human, who.instruction, who.reasoning)
    )
    of_drift = facts.recorded(known)
    return {
        **({"facts": of_drift} if of_drift else {}),
        **facts.fields(core, action, reading, known, counted),
        "id": action_id,
        "digest": digest,
        "kind": action.kind,
        "verdict": decision.verdict,
        "action": {
            "content": content,
            "cwd": action.cwd,
            "environment": action.environment,
            "target": action.target,
            "executes": action.executes,
        },
        "call": action.call,
        "gate": gate,
        "agent": agent,
        "human": human,
        "instruction": instruction,
        "reasoning": reasoning,
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


def _asked(
    core: Core, action: Action, session: str, request: str, decision: Decision, risked: tuple[Risk, str]
) -> dict[str, Any]:
    """What a request says beside the action: its risk, what it shares with others, who else stands behind it, its seal."""
    risk, kind = risked
    return {
        **parties_of(core, session, action.attribution),
        "risk": to_builtins(risk),
        "shape": kind,
        "alike": batches.alike_of(action, decision, risk, kind),
        "seal": sealed.seals(core).seal(request),
    }


def decided(core: Core, action: Action, reading: Reading) -> Decision:
    """What the active policy says of *action* now, as when a gate asks, but for grants and what stands above it."""
    decision = core.policy.decide(action.kind, reading, facts.gathered(core, action, reading), moment(core))
    decision = responses.answer(core, decision, responses.applying(core, core.ledger, action))
    if decision.verdict != "hold":
        return decision
    return core.policy.for_tier(decision, risks.assessed(core, action, reading, core.policy)[0].tier)


def held(
    core: Core, action: Action, ids: tuple[str, str], reading: Reading, decision: Decision, session: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of `action.decided` and `request.opened` for *action*, held, with *ids* of both.

    *session* is the one above which people are looked for.
    """
    digest = action_digest(action, core.policy.digest)
    expires = core.now() + decision.obligations.within * 1000
    opened = _request_fields(action, *ids, digest, reading, decision, expires)
    opened |= _asked(
        core, action, session, ids[1], decision, risks.assessed(core, action, reading, core.policy)
    )
    opened["policy"], opened["asks"] = core.policy.digest, grants.asked(decision.obligations)
    # Facts of the session that it looks like: its own begins in the same commit.
    known = facts.gathered(core, msgspec.structs.replace(action, session=session), reading)
    counted = facts.watched(core, action, reading)
    return _decided_fields(core, action, ids[0], digest, reading, decision, None, known, counted), opened


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


async def _asked_again(core: Core, request: str, found: Weighed, consume: bool) -> Outcome:
    """The same bytes in the same session while their request waits, or after it was approved."""
    row = core.ledger.row("request", request)
    if row is not None and found.seal:
        core.true_readings.keep(row["action"], found.reading)
    if row is not None and row["state"] == "approved":
        return await claim(core, request, found.act, found.capture.raw.gate.name, consume=consume)
    if row is None:
        raise UnknownRequest(f"There is no request {request}.")
    decision = msgspec.convert(core.full(row["decision"]), Decision)
    left = max(0, (row["expires"] - core.now()) // 1000)
    return Outcome(
        action=row["action"],
        digest=found.act,
        verdict="hold",
        words=words.outcome(
            decision, request, left, shut_words(core.policy, decision.obligations, moment(core))
        ),
        decision=decision,
        request=request,
        expires=row["expires"],
    )


async def claim(core: Core, request: str, digest: str, gate: str, *, consume: bool) -> Outcome:
    """Turn an approved request into its one permit. See `Service.claim`."""
    now = core.now()
    row = core.ledger.row("request", request)
    if row is None:
        raise UnknownRequest(f"There is no request {request}.")
    grant = core.ledger.row("grant", row["grant"]) if row.get("grant") else None
    permit = _new_permit(core, now, grant)

    def plan(rows: Rows) -> Sequence[Draft]:
        current = rows.row("request", request) or row
        require_open(rows, current["session"])
        active = rows.row("policy-active", "active") or {}
        _require_claimable(core, current, digest, gate, active.get("digest", ""), now)
        ended = grants.over(core, rows, current.get("grant"), counted=False)
        ended = ended or responses.since(core, rows, current["action"], current["entry"])
        if ended:
            raise NotClaimable(ended)
        require_claimable(core, current)
        fields = {
            "permit": permit,
            "request": request,
            "action": row["action"],
            "digest": row["digest"],
            "gate": gate,
        }
        drafts = [Draft("permit.issued", fields, session=row["session"], once=f"permit.issued:{request}")]
        if grant is not None:
            drafts.append(grants.used(grant["id"], row["action"], row["session"]))
        if consume:
            drafts.append(_consumed(permit["id"], row["action"], gate, row["session"]))
        return drafts

    await core.ledger.append(plan)
    decision = msgspec.convert(core.full(row["decision"]), Decision)
    reading = core.true_readings.reading(row["action"]) or msgspec.convert(core.full(row["reading"]), Reading)
    return Outcome(
        action=row["action"],
        digest=digest,
        verdict="run",
        words=words.approved(row, grant),
        decision=decision,
        permit=_signed(core, permit, row["action"], digest, gate, now, request, consume),
        request=request,
        canonical=reading.canonical,
        grant=grant["id"] if grant else None,
    )


def _require_claimable(
    core: Core, request: dict[str, Any], digest: str, gate: str, active_policy: str, now: int
) -> None:
    if sealed.is_drill(core, request):  # it never becomes approved; should that ever be broken, it ends here
        raise NotClaimable(f"The request {request['id']} is not one that can run.")
    if request["subject"] == "plan":
        raise NotClaimable(f"The request {request['id']} is a plan: ask for its steps one after another.")
    if request["subject"] != "action" or request["state"] != "approved":
        raise NotClaimable(f"The request {request['id']} is {request['state']}.")
    if request.get("permit"):
        raise NotClaimable(f"The permit of request {request['id']} was claimed already.")
    if not capturing.is_for(core, request, digest):
        raise permits.PermitOtherBytes(f"Request {request['id']} was approved for other bytes.")
    if request.get("sealed") and core.true_readings.reading(request["action"]) is None:
        raise NotClaimable(
            f"The true bytes of request {request['id']} are in nobody's memory any more: they have a secret in them.",
            next_step="Ask for the same action again: it is approved, and then it runs.",
        )
    if request["gate"]["name"] != gate:
        raise permits.PermitOtherGate(
            f"Request {request['id']} was made at gate {request['gate']['name']}, not {gate}."
        )
    if request["policy"] != active_policy:
        raise NotClaimable("The policy changed since this was approved; the approval was under the old one.")
    if min(request["ended"] + core.settings.claim_seconds * 1000, request.get("lapses") or now + 1) <= now:
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
        await core.ledger.append(lambda rows: [_use(core, rows, claims, gate, session)])
    except permits.PermitRefused as error:
        await _refused(core, claims.id, session, gate, digest, error.code, claims.action)
        raise
    return claims.action


def _use(core: Core, rows: Rows, claims: permits.Claims, gate: str, session: str | None) -> Draft:
    row = rows.row("action", claims.action)
    stopped = rows.row("session", session) if session else None
    if stopped is not None and stopped.get("stopped"):
        raise PermitOfStopped(f"{stopped['stopped_by']} stopped this session: {stopped['stopped_why']}")
    if row is not None and (row["permit"] or {}).get("consumed"):
        raise permits.PermitUsed(f"The permit {claims.id} was used at {gate} already.")
    ended = grants.over(core, rows, (row or {}).get("grant"), counted=True)
    if ended:
        raise PermitOfGrant(ended)
    ended = plans.over(core, rows, (row or {}).get("plan"))
    if ended:
        raise PermitOfPlan(ended)
    if row is not None:
        asked = rows.row("request", row["request"]) if row.get("request") else None
        ended = responses.since(core, rows, row["id"], (asked or row)["entry"])
        if ended:
            raise PermitOfResponse(ended)
        require_usable(core, rows, row)
    return _consumed(claims.id, claims.action, gate, session)


async def _refused(
    core: Core,
    permit: str | None,
    session: str | None,
    gate: str,
    digest: str,
    code: str,
    action: str | None = None,
) -> None:
    def plan(rows: Rows) -> Sequence[Draft]:
        named = capturing.recordable(core, rows.row("action", action) if action else None, digest)
        fields = {"permit": permit, "gate": gate, "digest": named, "code": code}
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
        fields |= capturing.received(core, action, receipt.ran, receipt.output)
        open_session = action["session"] if session and not session.get("closed") else None
        return [
            Draft("action.receipt", fields, session=open_session, once=f"action.receipt:{receipt.action}")
        ]

    await core.ledger.append(plan)
