"""`[attribution]`: what has to stand behind every action, and how far one credential, account or instruction may be spread.

    [attribution]
    require = ["human", "instruction"]    # of definition, human, instruction, reasoning
    decision = "hold"                     # or "refuse"
    approve = "1 of security"
    agents = 1                            # agents at once behind one account or credential; more is a finding
    people = 1                            # people behind one credential
    sessions = 50                         # sessions a day that one and the same instruction may open
    boilerplate = 0.5                     # share of an agent's reasons that may read alike

Rules kept here:

- A part that the client did not give is missing; a person who was removed, or is in no group, stands behind nothing.
- It only makes decisions stricter.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keyturn.policy.drift.limits import requirement, whole
from keyturn.policy.problems import nearest
from keyturn.policy.requirements.part import Part

PARTS = ("definition", "human", "instruction", "reasoning")


class AttributionRules(Struct, frozen=True):
    """What is asked of attribution. A number of 0 asks for nothing."""

    require: tuple[str, ...] = ()
    decision: Literal["hold", "refuse"] = "hold"
    approve: str = ""
    agents: int = 0
    people: int = 0
    sessions: int = 0
    boilerplate: float = 0.0

    def lacking(self, missing: tuple[str, ...], groups: tuple[str, ...]) -> tuple[str, ...]:
        """What is asked for and *missing*; a person without *groups* is nobody."""
        if not self.require:
            return ()
        return tuple(name for name in self.require if name in missing or (name == "human" and not groups))


def read_attribution(part: Part) -> AttributionRules:
    """`[attribution]`."""
    part.known("require", "decision", "approve", "agents", "people", "sessions", "boilerplate")
    require = part.texts("require")
    for name in require:
        if name not in PARTS:
            part.wrong(name, f"an attribution has no {name}", nearest(name, PARTS) or ", ".join(PARTS))
    decision = part.choice("decision", ("hold", "refuse"), "hold")
    if decision == "refuse" and "approve" in part.body:
        part.wrong("approve", "nobody is asked: it refuses", 'decision = "hold"')
    return AttributionRules(
        require=require,
        decision="refuse" if decision == "refuse" else "hold",
        approve=requirement(part),
        agents=whole(part, "agents", 0, 1) if "agents" in part.body else 0,
        people=whole(part, "people", 0, 1) if "people" in part.body else 0,
        sessions=whole(part, "sessions", 0, 1) if "sessions" in part.body else 0,
        boilerplate=_share(part, "boilerplate"),
    )


def _share(part: Part, key: str) -> float:
    value = part.body.get(key, 0.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        part.wrong(key, f"{key} is a share from 0 to 1", f"{key} = 0.5")
        return 0.0
    return float(value)


__all__ = ["AttributionRules", "read_attribution"]
