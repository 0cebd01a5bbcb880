"""Written policy and rules: clauses that nothing enforces, rules that belong to no clause, rules that no case tries (taxonomy D8). Pure.

Rules kept here:

- A clause is enforced by a rule that holds or refuses, or by a part of drift.toml or requirements.toml. A rule that lets run enforces
  nothing.
- A rule is tried where it decides at least one of the policy's own cases, as they are answered, not as they should be.
- Only a clause that nothing enforces is a finding. The rest is a share, as of code: how much of it is worth having is the house's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from keyturn.drift.finding import Drift, Magnitude
from keyturn.policy.clauses import FILE, Clause
from keyturn.policy.rules import Rule

MAX_SHOWN = 300


class Covered(Struct, frozen=True):
    """`clauses` of the written policy, `unenforced` among them; rules that hold or refuse, and those of them without a clause;
    all rules, and those that no case tries (None: the cases can't be read).
    """

    clauses: int
    unenforced: tuple[str, ...]
    strict: int
    unclaused: tuple[str, ...]
    rules: int
    untried: tuple[str, ...] | None

    @property
    def lines(self) -> tuple[str, ...]:
        """In words, a line each."""
        enforced = self.clauses - len(self.unenforced)
        written = (
            f"{enforced} of {self.clauses} clauses of the written policy are enforced ({_share(enforced, self.clauses)})."
            if self.clauses
            else f"The policy has no {FILE}: nobody can say which sentence of the written policy a rule is for."
        )
        belong = self.strict - len(self.unclaused)
        rules = f"{belong} of {self.strict} rules that hold or refuse belong to a clause ({_share(belong, self.strict)})."
        found = (written, rules) if self.clauses else (written,)
        if self.untried is None:
            return found
        tried = self.rules - len(self.untried)
        return (
            *found,
            f"{tried} of {self.rules} rules decide one of the policy's own cases ({_share(tried, self.rules)}).",
        )


def covered(clauses: Sequence[Clause], rules: Sequence[Rule], tried: Iterable[str] | None) -> Covered:
    """How far *clauses* and *rules* cover each other; *tried* are the rules that decided a case, None: unknown."""
    strict = [rule.id for rule in rules if rule.verdict != "run"]
    lets_run = {rule.id for rule in rules if rule.verdict == "run"}
    named = {name for clause in clauses for name in clause.by}
    known = None if tried is None else frozenset(tried)
    return Covered(
        clauses=len(clauses),
        unenforced=tuple(clause.name for clause in clauses if not set(clause.by) - lets_run),
        strict=len(strict),
        unclaused=tuple(name for name in strict if name not in named),
        rules=len(rules),
        untried=None if known is None else tuple(rule.id for rule in rules if rule.id not in known),
    )


def unenforced(clauses: Sequence[Clause], of: Covered) -> list[Drift]:
    """A finding for each clause that nothing enforces."""
    return [_finding(clause) for clause in clauses if clause.name in of.unenforced]


def _finding(clause: Clause) -> Drift:
    where = f" ({clause.source})" if clause.source else ""
    text = clause.text if len(clause.text) <= MAX_SHOWN else clause.text[:MAX_SHOWN] + "…"
    why = (
        f"only rules that let run are named for it: {', '.join(clause.by)}"
        if clause.by
        else "nothing is named for it"
    )
    return Drift(
        "clause.unenforced",
        (clause.name,),
        f"Nothing enforces the clause {clause.name}{where}: “{text}” In {FILE}, {why}.",
        {"policy": clause.name, "object": FILE},
        observed=why,
        expected="a rule that holds or refuses, a limit, an order, a retention or a freeze",
        magnitude=Magnitude(0.0, 1.0, "things that enforce it"),
        cause="The clause was written and no rule was, or its rule was taken out.",
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"


__all__ = ["Covered", "covered", "unenforced"]
