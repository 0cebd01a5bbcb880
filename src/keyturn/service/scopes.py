"""The fact `undeclared`: kinds of effect with which an action goes beyond what its instruction and the agent's words name.

The rules are `keyturn.drift.declared`'s. Nothing of the log is read: the same action under the same words has the same answer.
"""

from __future__ import annotations

from typing import Any

from keyturn.actions import Action, Reading
from keyturn.drift import declared
from keyturn.service.core import Core

FACT = "undeclared"


def gather(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The fact, where there is anything to say."""
    effects = reading.effects
    if not declared.watched(effects):
        return {}
    who = action.attribution
    names = declared.named(*(one.text for one in (who.instruction, who.reasoning) if one is not None))
    found = tuple(sorted({effect.key for effect in declared.beyond(names, effects)}))
    return {FACT: found} if found else {}


def watched(core: Core, action: Action, reading: Reading) -> bool:
    """Whether the same action under other words may be decided otherwise: a rule asks for the fact, and it can be one."""
    return core.policy.mentions(FACT) and declared.watched(reading.effects)


__all__ = ["FACT", "gather", "watched"]
