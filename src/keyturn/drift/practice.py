"""Policy and practice: rules nobody uses, rules that are always approved, rules used after their end, exceptions that became the norm,
exceptions that grow, rules that held and are not asked any more, clauses of the written policy that nothing enforces.

Pure: the active policy's rules and how they were used in a time (`RuleUse`, from the query `rules`) give findings. What is found is a
question for whoever writes the policy, but for a rule that decided after its end, which must not happen.

What grows is measured against the log's first days, never against last month: each month looks like the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from keyturn.drift.clauses import Covered, covered, unenforced
from keyturn.drift.finding import Drift, Magnitude
from keyturn.policy.clauses import Clause
from keyturn.policy.rules import Rule

ALWAYS = 20
"""Approved holds without one denial after which a rule counts as always approved."""
NORM_USES, NORM_SHARE = 20, 0.5
"""Uses of an exception, and its share of what it and the rules that it lifts decided, from which on it is the norm."""


CREEP_USES, CREEP_SHARE = 20, 0.2
"""Actions that exceptions let run, and by how much their share has to have grown, from which on the list of exceptions creeps."""
HELD_ONCE, AS_MUCH = 20, 0.5
"""Actions that a rule held at first, and the part of all decisions of that time that there has to be now: else silence says nothing."""


class RuleUse(Struct, frozen=True):
    """How one rule was used in a time. `approval_s` is the mean time to an approval; `within_5s` approvals faster than that.

    `exception`: 1 for a rule that was one (`@until` or `@lifts`).
    """

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
    exception: int = 0


class Unasked(Struct, frozen=True):
    """Of what exceptions let run and what was held in a time: the `exceptions` and the `held`."""

    exceptions: int
    held: int

    @property
    def share(self) -> float:
        """The part that exceptions let run without anybody being asked."""
        whole = self.exceptions + self.held
        return self.exceptions / whole if whole else 0.0


class Practice(Struct, frozen=True):
    """A policy's use in the last `days`: every rule of it, and what is found. `wide` are rules that let any program run.

    `unasked` is how much exceptions let run now, `at_first` in the log's first `days`: None while the log is too short to compare.
    `covered`: how far the written policy, the rules and the cases cover each other.
    """

    policy: str
    days: int
    uses: tuple[RuleUse, ...]
    wide: tuple[str, ...]
    found: tuple[Drift, ...]
    unasked: Unasked | None = None
    at_first: Unasked | None = None
    covered: Covered | None = None


def practice(
    policy: str,
    rules: Sequence[Rule],
    used: Mapping[str, RuleUse],
    days: int,
    *,
    active_days: float,
    first: Mapping[str, RuleUse] | None = None,
    clauses: Sequence[Clause] = (),
    tried: Iterable[str] | None = None,
) -> Practice:
    """What the use of *rules* says. A rule is called unused only if the policy was active for the whole time (*active_days*).

    *first* is how rules, also of other versions, were used in the log's first *days*; None where those are not over, or overlap with now.
    *clauses* are those of the written policy, *tried* the rules that decide one of its own cases.
    """
    nothing = RuleUse("", "", 0, 0, 0, 0, None, 0, 0, 0)
    uses = [used.get(rule.id) or _of(rule, nothing) for rule in rules]
    found = [
        one
        for rule, use in zip(rules, uses, strict=True)
        for one in _rule(rule, use, days, active_days >= days)
    ]
    found += [one for rule in rules if rule.lifts for one in _norm(rule, used, days)]
    now, then = unasked(used), None if first is None else unasked(first)
    if first is not None and then is not None:
        found += _creep(now, then, days)
        found += [one for rule in rules if rule.verdict == "hold" for one in _silent(rule, used, first, days)]
    both = covered(clauses, rules, tried)
    found += unenforced(clauses, both)
    wide = tuple(rule.id for rule in rules if rule.verdict == "run" and rule.programs is None)
    return Practice(policy, days, tuple(uses), wide, tuple(found), now, then, both)


def unasked(used: Mapping[str, RuleUse]) -> Unasked:
    """What exceptions let run, and what was held, by whatever rules."""
    return Unasked(
        sum(use.uses for use in used.values() if use.verdict == "run" and use.exception),
        sum(use.asked for use in used.values() if use.verdict == "hold"),
    )


def _creep(now: Unasked, then: Unasked, days: int) -> list[Drift]:
    """More and more is let run by exceptions, each of which was approved."""
    began = then.exceptions + then.held
    if not began or now.exceptions < CREEP_USES or now.share - then.share < CREEP_SHARE:
        return []
    words = (
        f"Exceptions let run {now.exceptions} of {now.exceptions + now.held} actions that people would be asked about ({now.share:.0%}) "
        f"in the last {days} days, {then.exceptions} of {began} ({then.share:.0%}) in the first {days}."
    )
    return [
        Drift(
            "allowlist.creep",
            (str(days),),
            words,
            observed=f"{now.share:.0%} unasked",
            expected=f"about as much as at first: {then.share:.0%}",
            magnitude=Magnitude(now.share, then.share, "share of what people would be asked about"),
            cause="Each exception was approved by itself; nobody looked at all of them.",
        )
    ]


def _silent(rule: Rule, used: Mapping[str, RuleUse], first: Mapping[str, RuleUse], days: int) -> list[Drift]:
    """A rule that held a lot at first and holds nothing now, though as much is done."""
    held = first[rule.id].asked if rule.id in first else 0
    now = used[rule.id].uses if rule.id in used else 0
    decided = sum(use.uses for use in used.values())
    if held < HELD_ONCE or now or decided < AS_MUCH * sum(use.uses for use in first.values()):
        return []
    words = (
        f"The rule {rule.id} held {held} actions in the first {days} days and none in the last {days}: "
        "something lets run what it was for."
    )
    subject = {"policy": rule.id, "object": f"{rule.file}:{rule.line}"}
    size = Magnitude(0.0, float(held), "actions held")
    return [
        Drift(
            "rule.not_asked",
            (rule.id,),
            words,
            subject,
            expected="What people were asked about is still asked, or the rule is withdrawn.",
            magnitude=size,
        )
    ]


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


__all__ = [
    "ALWAYS", "CREEP_SHARE", "CREEP_USES", "HELD_ONCE", "NORM_SHARE", "NORM_USES", "Practice", "RuleUse", "Unasked", "practice", "unasked",
]  # fmt: skip
