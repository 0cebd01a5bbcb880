"""Several requests decided together: only what differs in words alone, and only low or medium risk.

Rules kept here:

- Each request carries, since it was opened, the digest of everything that must be the same (`alike_of`): agent, definition,
  person, gate, folder, variables, files that it runs, what is asked of people, the kind of action, and all of the text but its
  words. Requests without one are never decided together.
- The time that somebody looked at all of them is shared out among them.
- Whoever decides names both digests of each; each gets its own decision, checked like any other, and its own entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from keyturn import canonical
from keyturn.actions import Action
from keyturn.approvals.gesture import BATCHED, Gesture, NotTogether
from keyturn.errors import KeyturnError, Malformed
from keyturn.identity import Person
from keyturn.policy.decision import Decision
from keyturn.policy.risk import Risk
from keyturn.policy.shape import MAX_TEXT, skeleton
from keyturn.service import queueing, requests
from keyturn.service.core import Core
from keyturn.service.model import Choice, RequestView

if TYPE_CHECKING:
    from keyturn.service.keyturn import Keyturn

Row = dict[str, Any]
MOST = 50
"""Requests decided together at most: more than that nobody reads."""


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """One request of a batch, with the digests of what was shown."""

    id: str
    digest: str
    display: str


class Result(Struct, frozen=True):
    """What became of one: its entry, or why not."""

    id: str
    entry: int | None
    state: str
    words: str = ""


def alike_of(action: Action, decision: Decision, risk: Risk, shape: str) -> str:
    """What this action shares with those it may be decided together with; empty when with none."""
    text = requests.exact_text("action", to_builtins(action.content))
    if risk.tier not in BATCHED or len(text) > MAX_TEXT:
        return ""
    who = action.attribution
    return canonical.digest(
        {
            "shape": shape,
            "skeleton": list(skeleton(text)),
            "agent": to_builtins(who.agent),
            "definition": who.definition,
            "human": who.human.person if who.human else None,
            "gate": to_builtins(action.gate),
            "cwd": action.cwd,
            "environment": action.environment,
            "target": action.target,
            "executes": action.executes,
            "obligations": to_builtins(decision.obligations),
        }
    )


def together(core: Core, request: str, viewer: Person) -> list[RequestView]:
    """The waiting requests that *viewer* may approve together with *request*, itself included, oldest first."""
    ids = queueing.alike(core.ledger, requests.required(core, request))
    views = [requests.view(core, one, viewer) for one in ids[:MOST]]
    return [view for view in views if view.state == "waiting" and not view.may_decide]


async def decide(
    service: Keyturn,
    items: Sequence[Item],
    person: Person,
    choice: Choice,
    *,
    reason: str,
    channel: str,
    gesture: Gesture,
) -> list[Result]:
    """Decide each of *items*. Raises `NotTogether` before any is decided; a refusal of one does not stop the others."""
    if not 2 <= len({item.id for item in items}) == len(items) <= MOST:
        raise Malformed(f"Between 2 and {MOST} different requests are decided together.")
    core = service.core
    kinds = {requests.required(core, item.id).get("alike") for item in items}
    if len(kinds) != 1 or not next(iter(kinds)):
        raise NotTogether("These requests differ in more than words, or one needs a decision of its own.")
    each = None if gesture.dwell_ms is None else gesture.dwell_ms // len(items)
    made = replace(gesture, batch=core.id("b"), dwell_ms=each)
    return [await _one(service, item, person, choice, reason, channel, made) for item in items]


async def _one(
    service: Keyturn, item: Item, person: Person, choice: Choice, reason: str, channel: str, gesture: Gesture
) -> Result:
    try:
        view = await service.decide(
            item.id,
            person,
            choice,
            reason=reason,
            digest=item.digest,
            display=item.display,
            channel=channel,
            gesture=gesture,
        )
    except KeyturnError as error:
        return Result(item.id, None, requests.required(service.core, item.id)["state"], error.happened)
    if view.drill is not None:
        return Result(item.id, view.drill.entry, view.state, view.ended_why)
    entry = next((given.entry for given in reversed(view.approvals) if given.person == person.id), None)
    return Result(item.id, entry, view.state)


__all__ = ["MOST", "Item", "Result", "alike_of", "decide", "together"]
