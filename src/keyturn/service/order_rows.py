"""How a session's trail becomes a row (promise 7). Pure, like the rest of `projections`.

Row kind: `orders`, one a session that did anything an order watches, or in which people did something: `trails` by order, `signs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import to_builtins

from keyturn.drift.orders import Marks, after, trail_of
from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def marks_in(entry: Entry) -> list[Body]:
    """What an `action.decided` is to orders."""
    found = entry.fields.get("orders")
    return found if isinstance(found, list) else []


def decided(entry: Entry, rows: Rows) -> Iterable[Put]:
    """An action that is let go at once."""
    if entry.fields["verdict"] == "run":
        yield from _went(marks_in(entry), entry, entry.session, rows)


def permitted(entry: Entry, action: Body | None, rows: Rows) -> Iterable[Put]:
    """One that people let go."""
    if action is not None:
        yield from _went(action.get("orders", []), entry, action["session"], rows)


def received(entry: Entry, action: Body, rows: Rows) -> Iterable[Put]:
    """What counts only once it is done."""
    worked = entry.fields.get("outcome") == "done" and entry.fields.get("exit_code") in (0, None)
    if worked:
        late = [
            {**one, "a": 0, "done": False} for one in action.get("orders", []) if one["done"] and one["b"]
        ]
        yield from _went(late, entry, action["session"], rows)


def _went(found: list[Body], entry: Entry, session: str | None, rows: Rows) -> Iterable[Put]:
    if not found or session is None:
        return
    row = rows.row("orders", session) or {}
    trails = dict(row.get("trails", {}))
    for one in found:
        seen = Marks(one["a"], 0 if one["done"] else one["b"])
        trail = after(trail_of(trails.get(one["order"])), one["template"], seen, entry.index, entry.time)
        trails[one["order"]] = to_builtins(trail)
    yield Put("orders", session, {**row, "trails": trails}, "", entry.time)


def sign(entry: Entry, session: str | None, rows: Rows, *names: str) -> Iterable[Put]:
    """People did *names* (`instruction`, `approval`, `ticket`) in *session*."""
    if session is None:
        return
    row = rows.row("orders", session) or {}
    signs = {**row.get("signs", {}), **dict.fromkeys(names, entry.index)}
    yield Put("orders", session, {**row, "signs": signs}, "", entry.time)


def ended(entry: Entry, request: Body, rows: Rows) -> Iterable[Put]:
    """A request of a session was approved."""
    if entry.fields["state"] == "approved" and request.get("session"):
        ticket = any(given.get("ticket") for given in request["approvals"])
        yield from sign(entry, request["session"], rows, "approval", *(("ticket",) if ticket else ()))
