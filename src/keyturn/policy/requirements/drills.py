"""`[drills]`: how many drills people get.

[drills]
rate = 0.01      # one drill on a hundred requests; 0 for none
"""

from __future__ import annotations

from keyturn.policy.requirements.part import Part

MAX_RATE = 0.2
"""More than one in five would be a burden, not a test."""


def read_drills(part: Part) -> float:
    """The rate."""
    part.known("rate")
    rate = part.body.get("rate", 0.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= MAX_RATE:
        part.wrong(
            "rate",
            f"rate is a number from 0 to {MAX_RATE}: how many drills come on each request",
            "rate = 0.01",
        )
        return 0.0
    return float(rate)
