"""`[definitions]`: what follows when an agent is not what people approved.

    [definitions]
    unknown = "run"               # nobody has approved any definition of it where it works
    changed = "hold"              # another one was approved, or this one was taken back
    approve = "1 of reviewers"    # who approves a definition
    list_tools = false            # ask approved MCP servers for their tools when a session starts
    list_tools_every = "10m"      # and again so often while it lives; "never" for at its start only

Rules kept here:

- `run` is as if it were approved · `tighten` holds all that does more than read · `hold` holds everything.
- It only makes decisions stricter: what is refused stays refused, and what is held for people of its own is held for them.
- What was not understood completely does more than read.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import Reading
from keyturn.policy import obligations
from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.decision import Definition as State
from keyturn.policy.requirements.part import Part

Answer = Literal["run", "tighten", "hold"]


class DefinitionRules(Struct, frozen=True):
    """What `[definitions]` says. `list_tools_every` is seconds, 0 for at the start only."""

    unknown: Answer = "run"
    changed: Answer = "hold"
    approve: str = "1 of reviewers"
    list_tools: bool = False
    list_tools_every: int = 600

    def answer(self, state: State) -> Answer:
        """What follows from *state*."""
        return "run" if state == "approved" else self.changed if state == "changed" else self.unknown


LEAST_EVERY = 60
NO_DEFINITION_RULES = DefinitionRules()
"""Without the section."""

WORDS: dict[State, str] = {
    "approved": "",
    "changed": (
        "What this agent is (its instructions, settings, hooks, servers or tools) is not what people approved. "
        "Somebody other than its author has to approve its definition; until then what it was allowed before does not apply."
    ),
    "unknown": (
        "Nobody has approved what this agent is (its instructions, settings, hooks, servers and tools). "
        "Until somebody does, this is held."
    ),
}
"""What agent and reviewers are told."""


def under(
    decision: Decision, state: State, rules: DefinitionRules, reading: Reading, default: Obligations
) -> Decision:
    """*decision* for an agent whose definition is *state*: never milder, and with the words for it first."""
    answer = rules.answer(state)
    if answer == "run" or decision.would == "refuse" or (answer == "tighten" and only_reads(reading)):
        return decision
    reasons = (f"{WORDS[state]} [definition {state}]", *decision.reasons)
    if decision.would == "hold":
        return replace(decision, reasons=reasons)
    verdict = decision.verdict if decision.mode == "observe" else "hold"
    return replace(decision, verdict=verdict, would="hold", reasons=reasons, obligations=default)


def only_reads(reading: Reading) -> bool:
    """Whether all of it was understood and nothing of it does more than read."""
    understood = reading.complete and not reading.unread and all(step.complete for step in reading.steps)
    return understood and bool(reading.steps) and all(effect.verb == "reads" for effect in reading.effects)


def read_definitions(part: Part) -> DefinitionRules:
    """`[definitions]`."""
    part.known("unknown", "changed", "approve", "list_tools", "list_tools_every")
    answers = get_args(Answer)
    approve = part.text("approve", NO_DEFINITION_RULES.approve)
    try:
        approve = obligations.requirement_text(approve)
    except ValueError as error:
        part.wrong("approve", str(error))
    listing = part.body.get("list_tools", False)
    if not isinstance(listing, bool):
        part.wrong("list_tools", "list_tools is true or false")
    return DefinitionRules(
        unknown=cast(Answer, part.choice("unknown", answers, NO_DEFINITION_RULES.unknown)),
        changed=cast(Answer, part.choice("changed", answers, NO_DEFINITION_RULES.changed)),
        approve=approve,
        list_tools=listing is True,
        list_tools_every=_every(part),
    )


def _every(part: Part) -> int:
    key = "list_tools_every"
    if part.body.get(key) == "never":
        return 0
    every = part.seconds(key, NO_DEFINITION_RULES.list_tools_every)
    if every < LEAST_EVERY:
        part.wrong(key, "servers are asked once a minute at most: asking one starts it", f'{key} = "10m"')
        return NO_DEFINITION_RULES.list_tools_every
    return every


__all__ = ["NO_DEFINITION_RULES", "DefinitionRules", "only_reads", "read_definitions", "under"]
