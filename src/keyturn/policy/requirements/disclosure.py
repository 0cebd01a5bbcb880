"""`[disclosure]`: what auditors are shown of actions."""

from __future__ import annotations

from keyturn.policy.requirements.part import Part

LEVELS = ("digests", "content")
"""`digests`: sentences, effects, digests and decisions · `content`: scripts, arguments, instructions and reasoning as well."""


def read_disclosure(part: Part) -> str:
    """What auditors see; `digests` unless it says more."""
    part.known("auditor")
    return part.choice("auditor", LEVELS, LEVELS[0])
