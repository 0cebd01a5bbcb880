"""clauses.toml: the sentences of the written policy, and what of this policy enforces each.

    [clause.tickets]
    text = "Every change of production has a ticket."
    source = "Change management 4.2"
    by = ["prod-write", "order:ticket"]       # a rule's @id, or a part of drift.toml or requirements.toml

A part is named `limit:NAME`, `order:NAME`, `retention:NAME`, `freeze:NAME`, `attribution` or `definitions`. Rules kept here:

- A name that nothing has is a mistake: a rule that is removed or renamed does not leave its clause behind unseen.
- `by` may be empty: then it is known that nothing enforces the clause, which is a finding (`drift.clauses`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from keyturn.policy.drift.attribution import AttributionRules
from keyturn.policy.drift.model import DriftRules
from keyturn.policy.folder import Table
from keyturn.policy.problems import Problem, nearest
from keyturn.policy.requirements.model import Requirements
from keyturn.policy.requirements.part import Part
from keyturn.policy.rules import Rule

FILE = "clauses.toml"
MAX_CLAUSES = 1000
MAX_TEXT = 2000
_NAMEABLE = "a rule's @id, or limit:NAME, order:NAME, retention:NAME, freeze:NAME, attribution, definitions"


class Clause(Struct, frozen=True):
    """One clause: `text` as people agreed on it, `source` where it stands, `by` what enforces it."""

    name: str
    text: str
    source: str = ""
    by: tuple[str, ...] = ()


def read_clauses(
    data: bytes, rules: Sequence[Rule], drift: DriftRules, requirements: Requirements
) -> tuple[tuple[Clause, ...], list[Problem]]:
    """The clauses, and every mistake; *rules*, *drift* and *requirements* are what can be named."""
    table = Table(FILE, data)
    table.known_keys(table.body, ("clause",))
    names = frozenset((*(rule.id for rule in rules), *parts(drift, requirements)))
    found: list[Clause] = []
    for part in Part(table, "clause", table.body.get("clause", {})).named():
        part.known("text", "source", "by")
        text = part.required("text", 'text = "Every change of production has a ticket."')
        if len(text) > MAX_TEXT:
            part.wrong("text", f"a clause has at most {MAX_TEXT:,} characters")
        by = part.texts("by")
        for name in by:
            if name not in names:
                hint = nearest(name, names) or _NAMEABLE
                part.wrong(name, f"nothing in this policy is called {name}", hint)
        found.append(Clause(part.name, text.strip(), part.text("source"), by))
    if len(found) > MAX_CLAUSES:
        table.problems.append(Problem(FILE, 0, 0, f"there are more than {MAX_CLAUSES:,} clauses"))
    return tuple(found), table.problems


def parts(drift: DriftRules, requirements: Requirements) -> Iterable[str]:
    """The names of what enforces something beside rules."""
    for word, named in (("limit", drift.limits), ("order", drift.orders), ("retention", drift.retention)):
        yield from (f"{word}:{name}" for name in named)
    yield from (f"freeze:{name}" for name in requirements.freezes)
    if drift.attribution != AttributionRules():
        yield "attribution"
    yield "definitions"  # without its section, what changed is held


__all__ = ["FILE", "Clause", "parts", "read_clauses"]
