"""How an agent asks for a list of actions as a whole: each is read and decided, and people are asked once for all that they must see.

Rules kept here:

- What policy refuses is refused: one such step, and nobody is asked for any of it.
- Obligations are the strictest of all steps that are held, the risk is the highest one's: a plan never asks less of people
  than its steps would one by one. It is one person's, agent's, gate's and session's, like an action, so the same people may
  not decide it (promise 6).
- Nothing of a plan is opened by an agent's word: `service.plans.opened` does that with the last approval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import to_builtins

from keyturn import canonical
from keyturn.actions import Action, Effect, Reading
from keyturn.approvals import plans as rules
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.obligations import merge
from keyturn.policy.risk import TIERS, Line, Risk
from keyturn.service import capturing, words
from keyturn.service.authorization import Weighed, instructed, person_of, weighed
from keyturn.service.core import Core
from keyturn.service.model import PlanAnswer, PlanStep, Proposed
from keyturn.service.parties import parties_of
from keyturn.service.plan_errors import InvalidPlan, PlanOpen, PlanTicket
from keyturn.service.sessions import require_own

Row = dict[str, Any]
MOST_UNREAD = 20
"""Reasons that are told of one step; all of them are held."""


async def propose(
    core: Core, steps: Sequence[Proposed], *, why: str = "", seconds: int = rules.SECONDS
) -> PlanAnswer:
    """Ask for *steps* as a whole; *why* are the agent's words, *seconds* how long the plan lasts once it is approved.

    Raises `InvalidPlan`, `PlanTicket`, `PlanOpen`, and what an action alone raises.
    """
    captures = [capturing.captured(core, instructed(core, step.action)) for step in steps]
    actions, why = [one.recorded for one in captures], core.redaction.text(why)
    _check(actions, why, seconds)
    first = actions[0]
    require_own(core.ledger, first.session, first.gate.name, person_of(first))
    while True:
        policy = core.policy.digest
        found = [await weighed(core, a, s.around) for a, s in zip(captures, steps, strict=True)]
        if {one.policy for one in found} == {policy}:
            answer = await _answered(core, actions, found, why, seconds)
            if answer is not None:
                return answer


def _check(actions: Sequence[Action], why: str, seconds: int) -> None:
    if not 1 <= len(actions) <= rules.MAX_STEPS:
        raise InvalidPlan(f"A plan has 1 to {rules.MAX_STEPS} steps, not {len(actions)}.")
    if not rules.MIN_SECONDS <= seconds <= rules.MAX_SECONDS:
        raise InvalidPlan(
            f"A plan lasts from {rules.MIN_SECONDS} to {rules.MAX_SECONDS:,} seconds, not {seconds:,}."
        )
    if len(why) > rules.MAX_WHY:
        raise InvalidPlan(f"What is said about a plan has at most {rules.MAX_WHY:,} characters.")
    for number, action in enumerate(actions, 1):
        if _who(action) != _who(actions[0]):
            raise InvalidPlan(f"Step {number} is another session's, agent's, person's or gate's than step 1.")


def _who(action: Action) -> tuple[Any, ...]:
    who = action.attribution
    return action.session, action.gate, who.agent, who.human, who.definition, who.parents


async def _answered(
    core: Core, actions: Sequence[Action], found: Sequence[Weighed], why: str, seconds: int
) -> PlanAnswer | None:
    """The answer, recorded; None where the policy changed meanwhile."""
    shown = tuple(
        PlanStep(number, one.digest, one.decision.verdict, one.shown.sentence[:300])
        for number, one in enumerate(found, 1)
    )
    refused = next((n for n, one in enumerate(found) if one.decision.verdict == "refuse"), None)
    if refused is not None:
        because = " ".join(found[refused].decision.reasons)
        text = (
            f"refused by policy: step {refused + 1} of {len(found)}. {because} Nobody was asked for any of it and nothing ran. "
            "Do not work around this; tell the human, or propose a plan without it."
        )
        return await _recorded(core, actions[0], found, PlanAnswer("refuse", text, shown))
    held = [n for n, one in enumerate(found) if one.decision.verdict == "hold"]
    if not held:
        text = "No step of this needs anybody: ask for each as usual, it runs by itself."
        return await _recorded(core, actions[0], found, PlanAnswer("run", text, shown))
    for n in held:
        if found[n].decision.obligations.ticket_required:
            raise PlanTicket(f"Step {n + 1} needs a ticket, which covers one action.")
    return await _asked(core, actions, found, shown, why, seconds)


async def _recorded(
    core: Core, first: Action, found: Sequence[Weighed], answer: PlanAnswer
) -> PlanAnswer | None:
    """An answer without people is an entry, too: nobody learns what policy refuses by asking about it in silence."""
    fields = {
        "verdict": answer.verdict,
        "agent": first.attribution.agent.name,
        "policy": found[0].policy,
        "digests": [one.digest for one in found],
        "words": answer.words[:2_000],
    }

    def plan(rows: Rows) -> Sequence[Draft]:
        require_own(rows, first.session, first.gate.name, person_of(first))
        return [Draft("plan.answered", fields, session=first.session)]

    await core.ledger.append(plan)
    return answer


async def _asked(
    core: Core,
    actions: Sequence[Action],
    found: Sequence[Weighed],
    shown: tuple[PlanStep, ...],
    why: str,
    seconds: int,
) -> PlanAnswer | None:
    fields = _fields(core, actions, found, why, seconds)
    session, gate, human = actions[0].session, actions[0].gate.name, person_of(actions[0])
    moved: list[bool] = []

    def plan(rows: Rows) -> Sequence[Draft]:
        moved.clear()  # a plan may be run again, so it starts from nothing each time
        require_own(rows, session, gate, human)
        if (rows.row("policy-active", "active") or {}).get("digest") != fields["policy"]:
            moved.append(True)
            return []
        _require_alone(core, rows, session)
        return [Draft("request.opened", fields, session=session)]

    await core.ledger.append(plan)
    if moved:
        return None
    asked = fields["obligations"]
    needing = sum(one.verdict == "hold" for one in shown)
    text = (
        f"held: the whole plan waits for {asked['approve']} (request {fields['id']}, expires in "
        f"{words.span(asked['within'])}, then refused). {needing} of {len(shown)} steps need people. Nothing ran. Once it is "
        f"approved, ask for each step as usual, exactly as proposed and in this order, within {words.span(seconds)}: anything "
        "else that policy holds stops the plan."
    )
    return PlanAnswer("hold", text, shown, fields["id"], fields["digest"], fields["expires"])


def _require_alone(core: Core, rows: Rows, session: str) -> None:
    """Raises `PlanOpen` where *session* has a plan that waits or is open."""
    for request in (rows.row("session", session) or {}).get("waiting", ()):
        if (rows.row("request", request) or {}).get("subject") == "plan":
            raise PlanOpen(f"The plan of request {request} waits for people in this session.")
    known = rows.row("plan-open", session)
    open_one = rows.row("plan", known["plan"]) if known else None
    if open_one is not None and core.now() < open_one["ends"] and open_one["policy"] == core.policy.digest:
        raise PlanOpen(f"The plan {open_one['id']} is open in this session.")


def _fields(core: Core, actions: Sequence[Action], found: Sequence[Weighed], why: str, seconds: int) -> Row:
    first, request = actions[0], core.id("r")
    who = first.attribution
    obligations = merge([one.decision.obligations for one in found if one.decision.verdict == "hold"])
    content: Row = {
        "why": why,
        "seconds": seconds,
        "steps": [_step(action, one) for action, one in zip(actions, found, strict=True)],
    }
    content["text"] = rules.text(content)
    if len(content["text"]) > rules.MAX_TEXT:
        raise InvalidPlan(f"The plan has more than {rules.MAX_TEXT:,} characters: nobody reads that.")
    reading = _reading(found)
    return {
        "id": request,
        "subject": "plan",
        "action": None,
        "digest": canonical.digest({"subject": "plan", "content": content, "request": request}),
        "kind": "plan",
        "sentence": reading.sentence,
        "policy": found[0].policy,
        "obligations": to_builtins(obligations),
        "expires": core.now() + obligations.within * 1000,
        "initiator": who.human.person if who.human else None,
        "owner": who.agent.owner,
        "authors": [],
        "gate": to_builtins(first.gate),
        "agent": who.agent.name,
        "content": content,
        "cwd": "",
        "reading": to_builtins(reading),
        "decision": to_builtins(_decision(found, obligations)),
        "attribution": to_builtins(who),
        **parties_of(core, first.session, who),
        "risk": to_builtins(_risk(found)),
    }


def _step(action: Action, one: Weighed) -> Row:
    """A step as its request holds it: `act` is what its digest is of."""
    act = {
        "v": 1,
        "content": to_builtins(action.content),
        "cwd": action.cwd,
        "environment": action.environment,
        "target": action.target,
        "executes": action.executes,
        "definition": action.attribution.definition,
        "policy": one.under,
        **({"sealed": one.seal} if one.seal else {}),
    }
    return {
        "act": act,
        "digest": one.digest,
        "verdict": one.decision.verdict,
        "asks": one.asks,
        "sentence": one.shown.sentence[:300],
        "effects": [_effect(effect) for effect in one.shown.effects],
        "complete": one.shown.complete,
        "unread": [unread.why for unread in one.shown.unread][:MOST_UNREAD],
    }


def _effect(effect: Effect) -> str:
    labels = f" [{', '.join(effect.labels)}]" if effect.labels else ""
    return f"{effect.verb} {effect.what} ({effect.zone}){labels}"


def _reading(found: Sequence[Weighed]) -> Reading:
    """All that the steps would do, as one reading; where in the bytes it stands is told step by step in the text."""
    sentences = "; ".join(f"{n}. {one.shown.sentence}" for n, one in enumerate(found, 1))
    return Reading(
        kind="plan",
        complete=all(one.shown.complete for one in found),
        steps=tuple(msgspec.structs.replace(step, span=(0, 0)) for one in found for step in one.shown.steps),
        sentence=f"Plan of {len(found)} steps: {sentences}"[:1000],
    )


def _decision(found: Sequence[Weighed], obligations: Obligations) -> Decision:
    """Why it is held: every reason, with the number of its step."""
    held = [(n, one.decision) for n, one in enumerate(found, 1) if one.decision.verdict == "hold"]
    return Decision(
        "hold",
        held[0][1].policy,
        mode=held[0][1].mode,
        complete=all(one.complete for _, one in held),
        rules=tuple(
            dict.fromkeys(
                msgspec.structs.replace(hit, step=0, matched=(0, 0)) for _, one in held for hit in one.rules
            )
        ),
        reasons=tuple(f"Step {n}: {reason}" for n, one in held for reason in one.reasons),
        obligations=obligations,
    )


def _risk(found: Sequence[Weighed]) -> Risk:
    """The highest step's, and which step that is: what one step would not make less, ten don't either."""
    risked = [(n, one.risked[0]) for n, one in enumerate(found, 1) if one.risked]
    number, worst = max(risked, key=lambda one: (TIERS.index(one[1].tier), one[1].score, -one[0]))
    lines = tuple(Line(line.factor, line.points, f"step {number}: {line.words}") for line in worst.lines)
    return Risk(worst.tier, worst.score, lines, worst.target)
