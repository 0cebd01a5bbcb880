"""Which rules have to be evaluated for one step: those of its kind that can match its program.

Cedar evaluates every rule it is given, so its cost grows with the policy. A rule whose `when` demands
`context.program == "git"` (or one of a listed set) cannot match another program; leaving it out changes nothing.
Handles are parsed once for each distinct selection and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cedarpy

from keyturn.policy.rules import Rule
from keyturn.policy.vocabulary import KINDS


class Slice:
    """Rules to evaluate together, parsed. Cedar names the n-th policy of a text `policy<n>`."""

    __slots__ = ("handle", "rules")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.handle = cedarpy.PolicySet.from_str("\n".join(rule.chunk.text for rule in rules))

    def named(self, policy_ids: Iterable[str]) -> tuple[Rule, ...]:
        """The rules Cedar speaks of (in no order), in the policy's order. Raises `LookupError`, `ValueError`."""
        numbers = sorted(int(name.removeprefix("policy")) for name in policy_ids)
        if numbers and numbers[0] < 0:
            raise LookupError(f"no rule {numbers[0]}")
        return tuple(self.rules[number] for number in numbers)


class Slices:
    """All selections of a policy's rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._general: dict[str, tuple[int, ...]] = {}
        self._of_program: dict[tuple[str, str], list[int]] = {}
        self._rules = tuple(rules)
        for kind in KINDS:
            self._general[kind] = tuple(
                i for i, r in enumerate(rules) if kind in r.kinds and r.programs is None
            )
        for index, rule in enumerate(rules):
            for program in rule.programs or ():
                for kind in rule.kinds:
                    self._of_program.setdefault((kind, program), []).append(index)
        self._built: dict[tuple[int, ...], Slice] = {}

    def of(self, kind: str, program: str) -> Slice:
        """The slice for a step; the same object for every program with the same selection."""
        own = self._of_program.get((kind, program))
        general = self._general.get(kind, ())
        chosen = tuple(sorted((*general, *own))) if own else general
        found = self._built.get(chosen)
        if found is None:
            found = self._built[chosen] = Slice([self._rules[index] for index in chosen])
        return found
