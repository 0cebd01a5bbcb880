"""Rules that end, and rules that are exceptions of others: `@until` and `@lifts`.

    @id("always-rm-build")
    @because("asked for on 29 November and always approved")
    @until("2026-12-31")
    @lifts("delete-more")
    permit(principal, action, resource) when { … };

Rules kept here:

- Both stand only on rules that let run: a rule that holds or refuses and then ended would let more run by waiting.
- A rule with an end counts to the last moment of that day (UTC); after that everything is decided as without it.
- An exception takes the rules that it names out of the answer for the very step that it matches itself, while it counts. It
  can name rules that hold, of the policy itself; never one that refuses, and never one that a workspace added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyturn.policy.rules import Rule

MAX_LIFTED = 8
"""Rules that one exception may name."""


def last_moment(text: str) -> int:
    """The first millisecond after the day `2026-12-31`. Raises `ValueError` with words for the author."""
    try:
        day = date.fromisoformat(text)
        after = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is not a day, as in "2026-12-31"') from None
    return int(after.timestamp() * 1000)


def lifted_names(text: str) -> tuple[str, ...]:
    """The rules that `@lifts("a, b")` names. Raises `ValueError`."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(names):
        raise ValueError('@lifts names rules that hold, as in "delete-more, network"')
    if len(names) > MAX_LIFTED:
        raise ValueError(f"@lifts names at most {MAX_LIFTED} rules")
    return names


NONE: frozenset[str] = frozenset()


def ended(rules: Sequence[Rule], at: int | None) -> frozenset[str]:
    """Ids of the rules that have ended at *at* (milliseconds since 1970); none without a time."""
    if at is None or not rules:
        return NONE
    return frozenset(rule.id for rule in rules if rule.until is not None and at >= rule.until)


def counting(matched: tuple[Rule, ...], over: frozenset[str]) -> tuple[Rule, ...]:
    """What of *matched* counts: not what has ended, and not what a counting exception among them lifts."""
    found = tuple(rule for rule in matched if rule.id not in over)
    lifted = {name for rule in found for name in rule.lifts}
    if not lifted:
        return found
    return tuple(rule for rule in found if rule.verdict != "hold" or rule.overlay or rule.id not in lifted)


def wrong_lifts(rules: Sequence[Rule]) -> Iterator[tuple[Rule, str, str]]:
    """(rule, name, message) for each name that is no rule that holds."""
    holding = {rule.id for rule in rules if rule.verdict == "hold" and not rule.overlay}
    known = {rule.id for rule in rules}
    for rule in rules:
        for name in rule.lifts:
            if name not in holding:
                what = "does not hold: only rules that hold can be lifted" if name in known else "is no rule"
                yield rule, name, f"{name} {what}"


__all__ = ["counting", "ended", "last_moment", "lifted_names", "wrong_lifts"]
