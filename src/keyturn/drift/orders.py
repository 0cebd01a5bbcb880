"""Orders as automata over a session: what happened so far, and whether an action would break it. Pure.

A session's events are `A` (what the order watches was let go) and `B` (the other thing was). With *last* the entry in which one came last:

| template | an action with A is broken when | state |
| --- | --- | --- |
| precedence | there was no B; with `each`, no B since the last A, or the action has more than one A | last A, last B |
| absence | there was a B (or the order has none), or the action itself has one | last B |
| exactly | more A than `times` would be there | number of A |
| response | (any action but B) an A is unanswered for longer than `within` | first A without a B since |

Within one action nobody knows which part runs, or first (loops, `||`), so the stricter is assumed: a B of the same action does
not come before its A (precedence), does come before it (absence), and answers it (response: it will run, or the action failed).
`tests/drift/test_drift_orders.py` compares with an oracle that looks at whole traces.

Source: M. Dwyer, G. Avrunin, J. Corbett, *Patterns in Property Specifications for Finite-State Verification* (ICSE 1999): precedence,
response, absence, bounded existence; here with the scope "session".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keyturn.actions import Reading
from keyturn.drift.remembering import Remembered
from keyturn.drift.targets import targets
from keyturn.policy.drift.limits import spoken
from keyturn.policy.drift.orders import Order
from keyturn.policy.drift.selectors import Selectors, like, selected, shown


class Marks(Struct, frozen=True):
    """How many steps of an action the order watches (`a`), and how many are the other thing (`b`)."""

    a: int = 0
    b: int = 0


class Trail(Struct, frozen=True):
    """What a session did so far, as one order sees it: entries of the last `a` and `b` (-1: never), how many `a`, and since when (ms)
    and by which entry an `a` is unanswered (0: none is)."""

    a: int = -1
    b: int = -1
    count: int = 0
    owed: int = 0
    owed_entry: int = -1


class Signs(Struct, frozen=True):
    """What people did in a session: entries of the last instruction, approval and ticket (-1: never), and what was said last."""

    instruction: int = -1
    approval: int = -1
    ticket: int = -1
    says: str = ""


def marks(order: Order, kind: str, reading: Reading, target: str) -> Marks:
    """What of *order* an action with this *reading* is."""
    return _MARKS.of(order, reading, f"{kind}:{target}", lambda: _marks(order, kind, reading, target))


_MARKS: Remembered[Marks] = Remembered()


def _marks(order: Order, kind: str, reading: Reading, target: str) -> Marks:
    a = b = 0
    for step, about in zip(reading.steps, targets(reading, target), strict=True):
        named = (about.kind, about.name) if about else None
        a += selected(order.watched, kind, step, named)
        b += selected(order.other, kind, step, named)
    return Marks(a, b)


def after(trail: Trail, template: str, seen: Marks, entry: int, time: int) -> Trail:
    """The trail once an action was let go in *entry* at *time*."""
    a = entry if seen.a else trail.a
    b = entry if seen.b else trail.b
    owed, owed_entry = trail.owed, trail.owed_entry
    if template == "response":
        if seen.a and not owed:
            owed, owed_entry = max(1, time), entry
        if seen.b:
            owed, owed_entry = 0, -1
    return Trail(a, b, trail.count + seen.a, owed, owed_entry)


def breaks(order: Order, trail: Trail, seen: Marks, signs: Signs, now: int) -> bool:
    """Whether an action that is *seen* would break *order* after *trail*."""
    if order.template == "response":
        return not seen.b and overdue(order, trail, now)
    if not seen.a:
        return False
    if order.template == "exactly":
        return trail.count + seen.a > order.times
    last = max(trail.b, happened(order.other, signs))
    if order.template == "absence":
        return not order.other or last >= 0 or seen.b > 0
    if not order.each:
        return last < 0
    return seen.a > 1 or last < 0 or last < trail.a


def overdue(order: Order, trail: Trail, now: int) -> bool:
    """Whether an answer is owed for too long."""
    return order.template == "response" and trail.owed > 0 and now > trail.owed + order.within


def happened(selectors: Selectors, signs: Signs) -> int:
    """The entry of the last thing that people did which one of *selectors* means; -1 for none."""
    found = [-1]
    for selector in selectors:
        if selector.event == "says":
            found.append(signs.instruction if like(signs.says, selector.terms[0].which) else -1)
        elif selector.event:
            found.append(int(getattr(signs, selector.event)))
    return max(found)


def sentence(order: Order, trail: Trail, seen: Marks, now: int) -> str:
    """Why it would be broken, in words for people and agents."""
    watched, other = shown(order.watched), shown(order.other)
    why = f" {order.because[:1].upper()}{order.because[1:].rstrip('.')}." if order.because else ""
    if order.template == "response":
        since = spoken(max(1000, now - trail.owed))
        text = f"This session owes {other}: {watched} happened {since} ago, and only {spoken(order.within)} were left for it."
    elif order.template == "exactly":
        text = f"{watched} happens {order.times} times in a session, and this would be number {trail.count + seen.a}."
    elif order.template == "absence":
        text = f"This session may not do {watched}" + (f" after {other}." if other else ".")
    elif order.each and trail.b >= 0:
        text = f"There was no {other} since the last {watched}; each needs its own."
    else:
        text = f"There was no {other} in this session before {watched}."
    return f"{text}{why} [order {order.name}]"


def trail_of(body: Mapping[str, Any] | None) -> Trail:
    """A trail out of a row."""
    return Trail(**body) if body else Trail()


__all__ = [
    "Marks",
    "Signs",
    "Trail",
    "after",
    "breaks",
    "happened",
    "marks",
    "overdue",
    "sentence",
    "trail_of",
]
