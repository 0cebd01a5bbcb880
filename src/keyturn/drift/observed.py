"""What a target's own log says happened, whatever the log's format: one value for one statement, request or program."""

from __future__ import annotations

from msgspec import Struct

MAX_STATEMENT = 2_000
"""Characters of a statement that are kept to be shown; its fingerprint is made from the whole."""


class Observed(Struct, frozen=True):
    """One event. `time` is milliseconds since 1970 by the target's clock.

    `fingerprint` is what it did with what changes from run to run left out (`fingerprints`), empty where that can't be told.
    `principal` is the account, role or user that did it; `tag` a tag or trace id found in it, unchecked; `index` the number of
    the line or record in the source, from 1; `rows` how many rows it gave, -1 where the log does not say.
    """

    time: int
    principal: str
    fingerprint: str
    statement: str
    operation: str = ""
    object: str = ""
    target: str = ""
    tag: str = ""
    index: int = 0
    rows: int = -1

    @property
    def shown(self) -> str:
        """What is shown of it and kept: its fingerprint, in which no values stand; its statement where it has none."""
        spoken, _, said = self.fingerprint.partition(":")
        return (said if spoken not in ("", "command", "script") else self.statement)[:MAX_STATEMENT]


__all__ = ["MAX_STATEMENT", "Observed"]
