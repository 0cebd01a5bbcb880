"""How plans become rows (promise 7). Pure, like the rest of `projections`.

Row kinds: `plan`; `plan-open`, under which an action finds the open plan of its session without looking at any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def _plan(body: Body) -> Put:
    return Put("plan", body["id"], body, body["state"], body["opened"])


def _opened(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    body = {**f, "state": "open", "opened": entry.time, "entry": entry.index, "next": 0, "actions": []}
    yield _plan({**body, "session": entry.session})
    yield Put("plan-open", entry.session or "", {"plan": f["id"]})


def _advanced(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    plan = rows.row("plan", f["plan"])
    if plan is not None:
        yield _plan({**plan, "next": plan["next"] + 1, "actions": [*plan["actions"], f["action"]]})
    action = rows.row("action", f["action"])
    if action is not None:
        body = {**action, "plan": f["plan"], "plan_step": f["step"]}
        yield Put("action", action["id"], body, action["verdict"], action["time"])


def _stopped(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    plan = rows.row("plan", f["plan"])
    if plan is None or plan["state"] in ("stopped", "revoked"):
        return
    state = "revoked" if f["by"] else "stopped"
    told = {"stopped": entry.time, "stopped_by": f["by"], "stopped_why": f["why"]}
    yield _plan({**plan, "state": state, **told})
    yield from _closed(plan, rows)
    session = rows.row("session", plan["session"])
    if f["by"] and session is not None:
        heard = [*session.get("revoked", []), plan["id"]]
        state = "closed" if session.get("closed") else "open"
        yield Put("session", session["id"], {**session, "revoked": heard}, state, session["opened"])


def _ended(entry: Entry, rows: Rows) -> Iterable[Put]:
    plan = rows.row("plan", entry.fields["plan"])
    if plan is not None and plan["state"] == "open":
        yield _plan({**plan, "state": "done", "ended": entry.time})
        yield from _closed(plan, rows)


def _closed(plan: Body, rows: Rows) -> Iterable[Put]:
    """Nothing finds it any more, unless its session has another by now."""
    found = rows.row("plan-open", plan["session"])
    if found is not None and found["plan"] == plan["id"]:
        yield Put("plan-open", plan["session"], None)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "plan.opened": _opened,
    "plan.advanced": _advanced,
    "plan.stopped": _stopped,
    "plan.ended": _ended,
}
