"""What another version would have decided: recorded readings and facts, decided again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from keyturn.actions import Reading
from keyturn.policy.decision import Decision, Facts, Verdict
from keyturn.policy.engine import Policy

Recorded = tuple[str, Reading, Facts]
"""(kind, reading, facts) as they were recorded with a decision."""


class Change(Struct, frozen=True):
    """One recorded action that would be decided otherwise. `index` counts the cases from 0; `looser` says which way."""

    index: int
    kind: str
    reading: Reading
    facts: Facts
    before: Decision
    after: Decision

    @property
    def looser(self) -> bool:
        """Whether the new version would have let more happen."""
        order: tuple[Verdict, ...] = ("run", "hold", "refuse")
        return order.index(self.after.verdict) < order.index(self.before.verdict)


def diff(old: Policy, new: Policy, cases: Iterable[Recorded]) -> Iterator[Change]:
    """The cases whose verdict, or whose requirement while held, differs, in order, as they are found."""
    for index, (kind, reading, facts) in enumerate(cases):
        before, after = old.decide(kind, reading, facts), new.decide(kind, reading, facts)
        held = before.verdict == after.verdict == "hold"
        if before.verdict != after.verdict or (held and before.obligations != after.obligations):
            yield Change(index, kind, reading, facts, before, after)
