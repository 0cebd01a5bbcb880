"""Orders at decision time: what an action is to each order, whether it would break one, and what is recorded of it.

Rules kept here, beside those of `drift.orders`:

- What is let go counts, at once or by people; with `done = true` only once its receipt says that it worked.
- A session's trail is one row (`order_rows`), so an action costs the same however long its session is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keyturn.actions import Action, Reading
from keyturn.drift import orders as rules
from keyturn.drift.orders import Marks, Signs, Trail
from keyturn.ledger.entries import Rows
from keyturn.policy.decision import Facts
from keyturn.policy.drift.holding import RATCHET
from keyturn.policy.drift.orders import Order
from keyturn.service.conditions.moments import moment
from keyturn.service.core import Core

ROW = "orders"
"""The kind of a session's row."""


def gather(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The fact `broken`, and what to say of it."""
    found = list(broken(core, core.ledger, action, reading))
    if not found:
        return {}
    now = moment(core)
    told = tuple(
        (f"broken:{order.name}", rules.sentence(order, trail, seen, now)) for order, trail, seen in found
    )
    return {"broken": tuple(order.name for order, _, _ in found), "told": told}


def stand(core: Core, rows: Rows, action: Action, reading: Reading, facts: Facts) -> bool:
    """Whether the same orders would be broken now."""
    known = tuple(name for name in facts.broken if name != RATCHET)
    return tuple(order.name for order, _, _ in broken(core, rows, action, reading)) == known


def broken(core: Core, rows: Rows, action: Action, reading: Reading) -> Iterator[tuple[Order, Trail, Marks]]:
    """The orders that *action* would break at this moment of the log, by name."""
    orders = core.policy.drift.orders
    if not orders:
        return
    now, row = moment(core), rows.row(ROW, action.session) or {}
    signs = signs_of(row, action)
    for _, order in sorted(orders.items()):
        seen = rules.marks(order, action.kind, reading, action.target)
        trail = rules.trail_of(row.get("trails", {}).get(key(order)))
        if rules.breaks(order, trail, seen, signs, now):
            yield order, trail, seen


def key(order: Order) -> str:
    """Under which a session keeps its trail."""
    return f"{order.name}:{order.mark}"


def signs_of(row: dict[str, Any], action: Action) -> Signs:
    """What people did in the session of *action*."""
    said = action.attribution.instruction
    return Signs(**row.get("signs", {}), says=said.text if said else "")


def recorded(core: Core, action: Action, reading: Reading, facts: Facts) -> dict[str, Any]:
    """The field `orders` of `action.decided`: what the action is to each order that it concerns."""
    found = []
    for _, order in sorted(core.policy.drift.orders.items()):
        seen = rules.marks(order, action.kind, reading, action.target)
        if seen.a or seen.b:
            found.append(
                {
                    "order": key(order),
                    "template": order.template,
                    "a": seen.a,
                    "b": seen.b,
                    "done": order.done,
                }
            )
    return {"orders": found} if found else {}


def watched(core: Core, action: Action, reading: Reading) -> bool:
    """Whether an order may decide otherwise about it next time. One with a response holds everything while that is owed."""
    orders = core.policy.drift.orders
    return any(
        order.template == "response" or rules.marks(order, action.kind, reading, action.target) != Marks()
        for order in orders.values()
    )


__all__ = ["ROW", "broken", "gather", "key", "recorded", "signs_of", "stand", "watched"]
