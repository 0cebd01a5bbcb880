"""`[lag]`: how long a bad finding may lie there without anybody having looked at it, and who is told of findings.

[lag]
unseen = "4h"        # a finding of severity high or critical that nobody looked at by then is itself a finding, `lag.unseen`
tell = "security"    # the group that is told of findings of severity high and critical; `reviewers` without it
"""

from __future__ import annotations

from msgspec import Struct

from keyturn.policy.requirements.part import Part


class Lag(Struct, frozen=True):
    """`unseen` in seconds, 0 for never."""

    unseen: int = 0
    tell: str = "reviewers"


NO_LAG = Lag()


def read_lag(part: Part) -> Lag:
    """The section `[lag]`."""
    part.known("unseen", "tell")
    return Lag(part.seconds("unseen", 0), part.text("tell") or NO_LAG.tell)
