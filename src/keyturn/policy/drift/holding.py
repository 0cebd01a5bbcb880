"""What drift.toml's facts do to a decision, whatever the rules say: make it stricter, never milder.

Rules kept here (as for freezes):

- What would exceed a limit or break an order is held, and asks for what that limit or order asks for; the policy's default where it says
  nothing. Missing attribution is held or refused, as `[attribution]` says.
- A refusal stays one. In observe mode a hold runs and says what it would have been; a refusal for missing attribution stays.
- The words of what is exceeded come first: whoever decides has to see them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from keyturn.policy import obligations
from keyturn.policy.decision import Decision, Facts, Obligations
from keyturn.policy.drift.model import DriftRules

RATCHET = "ratchet"
"""The name among the facts `broken` that is no order's."""


class Demand(Struct, frozen=True):
    """One reason to be stricter; `approve` empty: the policy's default."""

    words: str
    approve: str = ""
    refuse: bool = False


def demands(rules: DriftRules, facts: Facts) -> tuple[Demand, ...]:
    """What the facts of drift ask for beside the rules."""
    lacking = rules.attribution.lacking(facts.missing, facts.human_groups)
    if not (facts.over or facts.broken or lacking):
        return ()
    told = dict(facts.told)
    found = [
        Demand(
            told.get(f"over:{name}", f"It would exceed a limit. [limit {name}]"),
            rules.limits[name].approve if name in rules.limits else "",
        )
        for name in facts.over
    ]
    found += [
        Demand(
            told.get(f"broken:{name}", f"It would break an order. [order {name}]"),
            rules.orders[name].approve if name in rules.orders else "",
        )
        for name in facts.broken
        if name != RATCHET
    ]
    if RATCHET in facts.broken:
        words = told.get(f"broken:{RATCHET}", "It would be one small step too many. [ratchet]")
        found.append(Demand(words, rules.ratchet.approve, rules.ratchet.decision == "refuse"))
    if lacking:
        words = f"Nobody said which {' and which '.join(lacking)} stands behind it. [attribution]"
        found.append(Demand(words, rules.attribution.approve, rules.attribution.decision == "refuse"))
    return tuple(found)


def stricter(decision: Decision, asked: Sequence[Demand], default: Obligations) -> Decision:
    """*decision* under these demands."""
    if not asked or decision.would == "refuse":
        return decision
    reasons = tuple(dict.fromkeys((*(one.words for one in asked), *decision.reasons)))
    if any(one.refuse for one in asked):
        return replace(decision, verdict="refuse", would="refuse", reasons=reasons, obligations=Obligations())
    wanted = [decision.obligations] if decision.would == "hold" else []
    wanted += [replace(default, approve=one.approve) for one in asked if one.approve]
    if any(not one.approve for one in asked) or not wanted:
        wanted.append(default)
    try:
        merged = obligations.merge(wanted)
    except obligations.TooManyPeople as error:
        words = (*reasons, f"Refused: {error}.")
        return replace(decision, verdict="refuse", would="refuse", reasons=words, obligations=Obligations())
    verdict = decision.verdict if decision.mode == "observe" else "hold"
    return replace(decision, verdict=verdict, would="hold", reasons=reasons, obligations=merged)


__all__ = ["Demand", "demands", "stricter"]
