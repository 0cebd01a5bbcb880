"""Plans: a list of actions that people approved as a whole. Pure: a plan, an action and the clock in; its step, aside, or a deviation.

Rules kept here (design §1, promises 4 and 6):

- What is approved are these bytes in this order, each once: a step is matched by its digest, which covers policy and definition.
- The next step is covered, and nothing else is. Another action that policy holds, a later step, a used step again, another agent,
  person or gate in the plan's session: a deviation. It stops the plan, and nothing of the rest is covered ever again.
- A step begins when the one before it was begun: permits can't be collected and used in another order.
- No deviation is what needs nobody: what policy runs by itself, what a grant covers, what people approved alone or are asked already.
  Nor what policy refuses: it does not run. Another session has no part in the plan: it is neither covered nor able to stop it.
- Not covered, and no deviation either, is a step for which policy now asks more of people, or whose approvers would no longer be
  enough: it is held as if there were no plan, and people see it alone.
- Separation of duties holds at each step, over the roster of then, as for grants. Source: NIST SP 800-53r5 AC-5, AC-3(2).
- Over from the instant `ends_ms` on; stopped is stopped; nothing makes a plan longer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from keyturn.approvals import grants
from keyturn.identity import Roster

MAX_STEPS = 50
"""Steps of a plan at most: more than that nobody reads."""
MIN_SECONDS, MAX_SECONDS, SECONDS = 60, 24 * 3600, 3600
"""How long a plan lasts from its approval: at least, at most, and where nothing is said."""
MAX_TEXT = 200_000
"""Characters of a plan's text at most."""
MAX_WHY = 2_000
"""Characters of an agent's words about its plan."""


class Place(Struct, frozen=True):
    """A step that needs people: its number in the list (from 1), its digest, and a digest of what policy asked of people for it."""

    number: int
    digest: str
    asks: str


class Plan(Struct, frozen=True):
    """An approved plan. `places` are the steps that need people, in order; `next` is the index of the one that may run now.

    `length` counts all steps, also those that run by themselves. `stopped` says why it was stopped, empty while it was not.
    Everything else as in `grants.Grant`.
    """

    id: str
    places: tuple[Place, ...]
    length: int
    policy: str
    agent: str
    gate: str
    session: str
    initiator: str | None
    initiator_uid: int | None
    owner: str | None
    requires: str
    approvers: tuple[str, ...]
    opened_ms: int
    ends_ms: int
    next: int = 0
    stopped: str = ""
    chains: tuple[tuple[str, ...], ...] = ()
    escalated: tuple[tuple[str, int], ...] = ()


class Answer(Struct, frozen=True):
    """`covered`: it is the step `number`. `aside`: the plan says nothing about it, and why. `deviation`: it stops the plan, and why."""

    kind: Literal["covered", "aside", "deviation"]
    words: str = ""
    number: int = 0


def over(plan: Plan, now_ms: int) -> str:
    """Why *plan* covers nothing any more, whatever is asked; empty while it is open."""
    if plan.stopped:
        return f"it was stopped: {plan.stopped}"
    if plan.next >= len(plan.places):
        return "all of its steps were used"
    return "its time is over" if now_ms >= plan.ends_ms else ""


def advance(plan: Plan, use: grants.Use, roster: Roster, now_ms: int, *, begun: bool = True) -> Answer:
    """What *plan* says to *use*, an action that policy holds. *begun*: whether the step before the next one was begun."""
    if use.session != plan.session:
        return Answer("aside", "it is for another session")
    gone = over(plan, now_ms)
    if gone:
        return Answer("aside", gone)
    if use.policy != plan.policy:
        return Answer("aside", "it was approved under another policy")
    other = _other(plan, use, begun)
    if other:
        return Answer("deviation", other)
    place = plan.places[plan.next]
    refused = grants.refusal(_as_grant(plan, place), use, roster, now_ms)
    return Answer("aside", refused) if refused else Answer("covered", number=place.number)


def _other(plan: Plan, use: grants.Use, begun: bool) -> str:
    """How *use* differs from the next step of *plan*; empty when it is that."""
    for name, words in _SAME.items():
        if getattr(plan, name) != getattr(use, name):
            return words
    place = plan.places[plan.next]
    if use.digest == place.digest:
        return (
            ""
            if begun
            else f"step {place.number} was asked for before the permit of the step before was used"
        )
    numbers = {one.digest: one.number for one in plan.places[plan.next + 1 :]}
    if use.digest in numbers:
        return f"step {numbers[use.digest]} was asked for where step {place.number} is next"
    if use.digest in {one.digest for one in plan.places[: plan.next]}:
        return f"a step that was used already was asked for again where step {place.number} is next"
    return f"an action that is no step of it was asked for where step {place.number} is next"


_SAME = {
    "agent": "another agent asked in its session",
    "gate": "another gate asked in its session",
    "initiator": "somebody else's agent asked in its session",
    "initiator_uid": "another account's agent asked in its session",
    "owner": "the agent has another owner",
}


def _as_grant(plan: Plan, place: Place) -> grants.Grant:
    """The next step as what covers one action: the rules about people are those of grants."""
    return grants.Grant(
        id=plan.id,
        digest=place.digest,
        policy=plan.policy,
        agent=plan.agent,
        gate=plan.gate,
        session=plan.session,
        initiator=plan.initiator,
        initiator_uid=plan.initiator_uid,
        owner=plan.owner,
        requires=plan.requires,
        asks=place.asks,
        approvers=plan.approvers,
        opened_ms=plan.opened_ms,
        ends_ms=plan.ends_ms,
        chains=plan.chains,
        escalated=plan.escalated,
    )


# --- what people read ------------------------------------------------------------------------------------------


def text(content: Mapping[str, Any]) -> str:
    """The whole plan as text, out of the content of its request: whoever has that can make it again and compare.

    Every line of a step's own bytes is behind a bar, so no step can look like another heading.
    """
    return "\n".join(_lines(content)) + "\n"


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    steps = content["steps"]
    yield f"A plan of {len(steps)} steps: in this order, each once, within {content['seconds']} seconds of its approval."
    if content["why"]:
        yield "The agent says:"
        yield from _barred(content["why"])
    for number, step in enumerate(steps, 1):
        yield ""
        yield f"Step {number} of {len(steps)}: {'needs people' if step['verdict'] == 'hold' else 'runs by itself'}"
        yield from _step(step)


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    act = step["act"]
    yield from _barred(exact(act["content"]))
    yield f"  in {_quoted(act['cwd'])}, at target {_quoted(act['target'])}"
    for name, value in sorted(act["environment"].items()):
        yield f"  with {_quoted(name)} = {_quoted(value)}"
    for path, digest in sorted(act["executes"].items()):
        yield f"  runs the file {_quoted(path)}, which is {_quoted(digest)}"
    for effect in step["effects"]:
        yield f"  {_quoted(effect)}"
    for why in step["unread"]:
        yield f"  not understood: {_quoted(why)}"
    if not step["complete"] and not step["unread"]:
        yield "  not all of it was understood"
    yield f"  {step['digest']}"


def exact(content: Mapping[str, Any]) -> str:
    """A step's exact content: the script or the edit itself, of anything else its JSON."""
    if content["kind"] == "shell":
        return str(content["script"])
    if content["kind"] == "file" and content.get("diff"):
        return f"{content['operation']} {_quoted(content['path'])}\n{content['diff']}"
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True)


def _barred(given: str) -> Iterator[str]:
    return (f"  | {line}" for line in given.split("\n"))


def _quoted(given: str) -> str:
    """On one line whatever it holds."""
    return json.dumps(given, ensure_ascii=False) if given.splitlines() != [given] else given
