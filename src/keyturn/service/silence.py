"""Targets whose own log went silent while agents acted on them (I4): the newest line that was judged is older than it may be.

What is watched is what policy says: `[coverage.NAME]`, with `quiet`. Actions count that name the target, once they were let go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from keyturn.drift import coverage
from keyturn.ledger.entries import Entry
from keyturn.service.core import Core
from keyturn.service.coverage_rows import coverage_key
from keyturn.service.following import Follower, Noted

REMEMBERED = 10_000
"""Actions of a target whose times are kept until its log was judged beyond them."""


class Silence(Follower):
    """Remembers when actions were let go on covered targets, until their log was judged beyond that."""

    name = "silence"
    reads = frozenset(
        (
            "action.decided",
            "permit.consumed",
        )
    )

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._asked: dict[str, str] = {}
        self._times: dict[str, deque[int]] = {}

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """An action that was decided, and its permit's use."""
        f = entry.fields
        if entry.type == "action.decided" and f["verdict"] != "refuse":
            action: dict[str, Any] = self.core.full(f["action"])
            target = str(action.get("target", "local"))
            if any(rule.target == target for rule in self.core.policy.drift.coverage):
                self._asked[f["id"]] = target
                if len(self._asked) > REMEMBERED:
                    del self._asked[next(iter(self._asked))]
        elif entry.type == "permit.consumed":
            target = self._asked.pop(f["action"], "")
            if target:
                self._times.setdefault(target, deque(maxlen=REMEMBERED)).append(entry.time)
        return ()

    def tick(self, now: int) -> Sequence[Noted]:
        """Every covered target with an action that its log should have told of by *now*."""
        found: list[Noted] = []
        for rule in self.core.policy.drift.coverage:
            times = self._times.get(rule.target)
            if not times:
                continue
            row = self.core.ledger.row("coverage", coverage_key(rule.source, rule.target))
            watermark = int(row["watermark"]) if row else 0
            quiet = rule.quiet * 1000
            behind = [at for at in times if at > watermark]
            due = [at for at in behind if at + quiet <= now]
            if due:
                found.append(coverage.silent(rule.source, rule.target, watermark, due[-1], len(due), quiet))
        return found


__all__ = ["Silence"]
