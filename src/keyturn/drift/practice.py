"""Policy and practice: rules nobody uses, rules that are always approved, rules used after their end, exceptions that became the norm.

Pure: the active policy's rules and how they were used in a time (`RuleUse`, from the query `rules`) give findings. What is found is a
question for whoever writes the policy, but for a rule that decided after its end, which must not happen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from keyturn.drift.finding import Drift, Magnitude
from keyturn.policy.rules import Rule

ALWAYS = 20
"""Approved holds without one denial after which a rule counts as always approved."""
NORM_USES, NORM_SHARE = 20, 0.5
"""Uses of an exception, and its share of what it and the rules that it lifts decided, from which on it is the norm."""


class RuleUse(Struct, frozen=True):
    """How one rule was used in a time. `approval_s` is the mean time to an approval; `within_5s` approvals faster than that."""

    rule: str
    verdict: str
    uses: int
    asked: int
    approved: int
    denied: int
    approval_s: float | None
    within_5s: int
    expired: int
    last_s: int


class Practice(Struct, frozen=True):
    """A policy's use in the last `days`: every rule of it, and what is found. `wide` are rules that let any program run."""

    policy: str
    days: int
    uses: tuple[RuleUse, ...]
    wide: tuple[str, ...]
    found: tuple[Drift, ...]


def practice(
    policy: str, rules: Sequence[Rule], used: Mapping[str, RuleUse], days: int, *, active_days: float
) -> Practice:
    """What the use of *rules* says. A rule is called unused only if the policy was active for the whole time (*active_days*)."""
    nothing = RuleUse("", "", 0, 0, 0, 0, None, 0, 0, 0)
    uses = [used.get(rule.id) or _of(rule, nothing) for rule in rules]
    found = [
        one
        for rule, use in zip(rules, uses, strict=True)
        for one in _rule(rule, use, days, active_days >= days)
    ]
    found += [one for rule in rules if rule.lifts for one in _norm(rule, used, days)]
    wide = tuple(rule.id for rule in rules if rule.verdict == "run" and rule.programs is None)
    return Practice(policy, days, tuple(uses), wide, tuple(found))


def _of(rule: Rule, nothing: RuleUse) -> RuleUse:
    return RuleUse(rule.id, rule.verdict, *(getattr(nothing, name) for name in RuleUse.__struct_fields__[2:]))


def _rule(rule: Rule, use: RuleUse, days: int, whole: bool) -> list[Drift]:
    subject = {"policy": rule.id, "object": f"{rule.file}:{rule.line}"}
    found = []
    if use.expired:
        words = f"The rule {rule.id} decided {use.expired} times after it had ended."
        found.append(
            Drift(
                "rule.expired_used",
                (rule.id,),
                words,
                subject,
                expected="A rule that has ended decides nothing.",
            )
        )
    if rule.verdict == "run" and whole and not use.uses:
        words = f"The rule {rule.id} let nothing run for {days} days."
        found.append(
            Drift("rule.unused", (rule.id,), words, subject, expected="What nobody needs is not allowed.")
        )
    if rule.verdict == "hold" and use.approved >= ALWAYS and not use.denied:
        words = f"All {use.approved} actions that the rule {rule.id} held were approved, {use.within_5s} of them within 5 seconds."
        size = Magnitude(float(use.approved), 0.0, "approvals without a denial")
        found.append(Drift("rule.always_approved", (rule.id,), words, subject, magnitude=size))
    return found


def _norm(rule: Rule, used: Mapping[str, RuleUse], days: int) -> list[Drift]:
    """An exception that decides more than what it is an exception of."""
    own = used[rule.id].uses if rule.id in used else 0
    others = sum(used[name].uses for name in rule.lifts if name in used)
    share = own / (own + others) if own else 0.0
    if own < NORM_USES or share < NORM_SHARE:
        return []
    names = ", ".join(rule.lifts)
    words = f"The exception {rule.id} decided {own} actions in {days} days, what it is an exception of ({names}) {others}."
    subject = {"policy": rule.id, "object": f"{rule.file}:{rule.line}"}
    size = Magnitude(share, 0.0, "share of what both decided")
    return [
        Drift(
            "exception.norm",
            (rule.id,),
            words,
            subject,
            expected="An exception is used now and then.",
            magnitude=size,
        )
    ]


__all__ = ["ALWAYS", "NORM_SHARE", "NORM_USES", "Practice", "RuleUse", "practice"]
