"""Plans: opened with the last approval, looked up when policy holds, advanced, stopped, listed. The rules are `approvals.plans`'.

A session has one plan at a time, found by the session alone, so an action costs the same however many plans there are. Every
step, stop and end is an entry, recorded in the commit of the action that caused it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyturn.actions import Action
from keyturn.approvals import plans as rules
from keyturn.approvals.request import RequestState
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.risk import TIERS
from keyturn.service import grants
from keyturn.service.core import Core
from keyturn.service.model import PlanStep, PlanView
from keyturn.service.plan_errors import PlanStopped, PlanUnexplained, UnknownPlan

Row = dict[str, Any]


def opened(core: Core, row: Row, state: RequestState) -> tuple[Draft, ...]:
    """What opens the plan that the approvers of *state* let be; nothing for other requests."""
    if row["subject"] != "plan" or state.ended_ms is None:
        return ()
    content = core.full(row["content"])
    given = [a for a in state.approvals if a.choice == "approve"]
    fields = {
        "id": core.id("pl"),
        "request": row["id"],
        "digest": row["digest"],
        "policy": row["policy"],
        "sentence": row["sentence"],
        "agent": row["agent"],
        "gate": row["gate"]["name"],
        "initiator": state.initiator,
        "initiator_uid": state.initiator_uid,
        "owner": state.owner,
        "requires": str(state.requirement),
        "approvers": [a.person for a in given],
        "chains": [list(a.chain) for a in given],
        "escalated": [[e.to, e.order] for e in state.escalated],
        "tier": (core.full(row.get("risk")) or {}).get("tier", ""),
        "places": [
            {"number": number, "digest": step["digest"], "asks": step["asks"]}
            for number, step in enumerate(content["steps"], 1)
            if step["verdict"] == "hold"
        ],
        "length": len(content["steps"]),
        "ends": state.ended_ms + content["seconds"] * 1000,
    }
    return (Draft("plan.opened", fields, session=row["session"], once=f"plan.opened:{row['id']}"),)


# --- while actions are decided ---------------------------------------------------------------------------------


def answer(
    core: Core, rows: Rows, action: Action, digest: str, policy: str, asks: str, tier: str, shut: str
) -> tuple[Row, rules.Answer] | None:
    """The plan of *action*'s session and what it says to *action*, which policy holds; None where no plan is open.

    *tier* is the action's risk now, *shut* says which window is closed.
    """
    known = rows.row("plan-open", action.session)
    row = rows.row("plan", known["plan"]) if known else None
    if row is None:
        return None
    use = grants.use_of(core, action, digest, policy, asks)
    found = rules.advance(plan_of(row), use, grants.roster(core, rows), core.now(), begun=_begun(rows, row))
    if found.kind == "covered":
        why = shut
        if grants.key_revoked(rows, row):
            why = "a key that signed one of its approvals was revoked"
        elif _rank(tier) > _rank(row["tier"]):
            why = "its risk is higher than what was approved"
        found = rules.Answer("aside", why) if why else found
    return row, found


def same(core: Core, rows: Rows, known: tuple[Row, rules.Answer], *asked: Any) -> bool:
    """Whether the plan says at this moment of the log what it said to the same action before."""
    found = answer(core, rows, *asked)
    return found is not None and (found[0]["id"], found[1]) == (known[0]["id"], known[1])


def _rank(tier: str) -> int:
    return TIERS.index(tier) if tier in TIERS else -1


def _begun(rows: Rows, row: Row) -> bool:
    """Whether the permit of the plan's last used step was used."""
    action = rows.row("action", row["actions"][-1]) if row["actions"] else None
    return action is None or bool((action.get("permit") or {}).get("consumed"))


def plan_of(row: Row) -> rules.Plan:
    """A plan out of its row."""
    return rules.Plan(
        id=row["id"],
        places=tuple(rules.Place(one["number"], one["digest"], one["asks"]) for one in row["places"]),
        length=row["length"],
        policy=row["policy"],
        agent=row["agent"],
        gate=row["gate"],
        session=row["session"],
        initiator=row["initiator"],
        initiator_uid=row["initiator_uid"],
        owner=row["owner"],
        requires=row["requires"],
        approvers=tuple(row["approvers"]),
        opened_ms=row["opened"],
        ends_ms=row["ends"],
        next=row["next"],
        stopped=_ended_how(row),
        chains=tuple(map(tuple, row["chains"])),
        escalated=tuple((to, order) for to, order in row["escalated"]),
    )


def _ended_how(row: Row) -> str:
    if row["state"] not in ("stopped", "revoked"):
        return ""
    return f"{row['stopped_by']}: {row['stopped_why']}" if row["stopped_by"] else str(row["stopped_why"])


def advanced(row: Row, found: rules.Answer, action: str, session: str) -> tuple[Draft, ...]:
    """One step of the plan, and its end with the last one."""
    once = f"plan.advanced:{row['id']}:{found.number}"
    step = Draft(
        "plan.advanced",
        {"plan": row["id"], "step": found.number, "action": action},
        session=session,
        once=once,
    )
    if row["next"] + 1 < len(row["places"]):
        return (step,)
    done = {"plan": row["id"], "why": "all of its steps were used"}
    return (step, Draft("plan.ended", done, session=session, once=f"plan.ended:{row['id']}"))


def deviated(row: Row, found: rules.Answer, action: str, session: str) -> Draft:
    """The agent left the plan: it is over."""
    fields = {"plan": row["id"], "by": "", "why": found.words, "action": action}
    return Draft("plan.stopped", fields, session=session, once=f"plan.stopped:{row['id']}")


def because(row: Row, found: rules.Answer) -> str:
    """Why an action that policy holds runs as a step, and what comes next, in words for people and agents."""
    after = row["next"] + 1
    following = (
        f"next that needs people: step {row['places'][after]['number']}"
        if after < len(row["places"])
        else "nothing further of it needs people"
    )
    return (
        f"Step {found.number} of {row['length']} of plan {row['id']}, which {', '.join(row['approvers'])} approved as a whole; "
        f"{following}."
    )


def concerns(row: Row, found: rules.Answer, digest: str) -> bool:
    """Whether the agent is told what the plan said of its action: it left the plan, or asked for a step of it."""
    return found.kind == "deviation" or any(one["digest"] == digest for one in row["places"])


def told(row: Row, found: rules.Answer) -> str:
    """What an agent hears whose action the plan did not let run."""
    if found.kind == "deviation":
        return f"This left plan {row['id']}: {found.words}. The plan is stopped; the rest of it needs people again."
    return f"Plan {row['id']} does not cover it: {found.words}."


def over(core: Core, rows: Rows, plan: str | None) -> str:
    """Why what was let go as a step of *plan* may not go on to run; empty when it may."""
    row = rows.row("plan", plan) if plan else None
    if row is None:
        return ""
    if row["state"] in ("stopped", "revoked"):
        return f"The plan {row['id']} was stopped: {_ended_how(row)}"
    return f"The plan {row['id']} has ended: its time is over." if core.now() >= row["ends"] else ""


def is_revoked(rows: Rows, plan: str | None) -> bool:
    """Whether what runs as a step of *plan* has to end."""
    return ((rows.row("plan", plan) if plan else None) or {}).get("state") == "revoked"


# --- what people do --------------------------------------------------------------------------------------------


async def revoke(core: Core, plan: str, person: Person, why: str) -> PlanView:
    """End it now, and what runs as a step of it. Any person may. The first stop stands.

    Raises `UnknownPlan`, `PlanUnexplained`, `PlanStopped`.
    """
    why = why.strip()[: grants.MAX_WHY]
    if not why:
        raise PlanUnexplained("A revocation needs a reason.")

    def record(rows: Rows) -> Sequence[Draft]:
        row = rows.row("plan", plan)
        if row is None:
            raise UnknownPlan(f"There is no plan {plan[:80]!r}.")
        if row["state"] in ("stopped", "revoked"):
            raise PlanStopped(f"It was stopped already: {_ended_how(row)}")
        # All of its steps may be used while one still runs: that can be ended as well.
        fields = {"plan": plan, "by": person.id, "why": why, "action": None}
        return [Draft("plan.stopped", fields, once=f"plan.stopped:{plan}")]

    await core.ledger.append(record)
    return view(core, plan)


def view(core: Core, plan: str) -> PlanView:
    """The plan as shown. Raises `UnknownPlan`."""
    row = core.ledger.row("plan", plan)
    if row is None:
        raise UnknownPlan(f"There is no plan {plan[:80]!r}.")
    return _view(core, row)


def views(core: Core, only: str, limit: int) -> list[PlanView]:
    """Plans, newest first: the open ones, or with *only* `all` every one."""
    rows = core.ledger.rows("plan", state="open" if only == "open" else None, limit=limit)
    found = [_view(core, row) for row in rows]
    return [one for one in found if only != "open" or one.state == "open"]


def _view(core: Core, row: Row) -> PlanView:
    request = core.ledger.row("request", row["request"]) or {}
    content = core.full(request.get("content")) or {"steps": []}
    used = {place["number"]: action for place, action in zip(row["places"], row["actions"], strict=False)}
    return PlanView(
        id=row["id"],
        state=_state(core, row),
        request=row["request"],
        digest=row["digest"],
        sentence=row["sentence"],
        agent=row["agent"],
        gate=row["gate"],
        session=row["session"],
        human=row["initiator"],
        approvers=tuple(row["approvers"]),
        opened=row["opened"],
        ends=row["ends"],
        steps=tuple(
            PlanStep(number, one["digest"], one["verdict"], one["sentence"], used.get(number, ""))
            for number, one in enumerate(content["steps"], 1)
        ),
        next=row["places"][row["next"]]["number"] if row["next"] < len(row["places"]) else 0,
        entry=row["entry"],
        stopped=row.get("stopped"),
        stopped_by=row.get("stopped_by", ""),
        stopped_why=core.full(row.get("stopped_why", "")),
    )


def _state(core: Core, row: Row) -> Any:
    if row["state"] != "open":
        return row["state"]
    session = core.ledger.row("session", row["session"]) or {}
    if core.now() >= row["ends"] or session.get("closed") or session.get("stopped"):
        return "ended"
    active = core.ledger.row("policy-active", "active") or {}
    return "open" if active.get("digest") == row["policy"] else "superseded"
