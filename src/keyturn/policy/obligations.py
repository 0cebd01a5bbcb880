"""What holding rules ask of people: requirement text, deadlines, and how several obligations become one.

Requirement text is read by `keyturn.requirement`, as requests read it: a rule can't ask for what nobody can read later.
Merging (several rules may hold one action) never asks less than any one of them:

- the merged requirement (`keyturn.requirement.merging`);
- the shortest deadline, the strongest assurance, a reason and a ticket if any rule wants one;
- all windows that any rule names: each of them must be open;
- the earliest reminder;
- an escalation only where all rules name the same group, and then the latest: it lets more people decide, so a rule without
  one, or with another, forbids it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from keyturn.identity.people import ADMINS
from keyturn.policy.decision import Obligations
from keyturn.requirement import ASSURANCES as ASSURANCES
from keyturn.requirement import InvalidRequirement, parse_requirement, strength, strictest
from keyturn.requirement import TooManyPeople as TooManyPeople

MIN_WITHIN, MAX_WITHIN = 10, 30 * 86_400
"""Seconds: ten seconds to thirty days."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def requirement_text(text: str) -> str:
    """Requirement *text* as it is kept. Raises `ValueError` with words for the author."""
    try:
        requirement = parse_requirement(text)
    except InvalidRequirement as error:
        raise ValueError(
            f'"{text[:200]}" is not `N of GROUP`, as in "2 of dba then 1 of leads|security": {error.why} '
            f"(column {error.details['column']})"
        ) from error
    if ADMINS in requirement.groups:
        raise ValueError(
            "an administrator approves nothing by being one: name a group of reviewers instead of admins"
        )
    return str(requirement)


def seconds(text: str) -> int:
    """`90s`, `15m`, `2h`, `1d` as seconds. Raises `ValueError` with words for the author."""
    match = re.fullmatch(r"([0-9]{1,7})([smhd])", text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a time such as 90s, 15m, 2h or 1d')
    value = int(match[1]) * _UNITS[match[2]]
    if not MIN_WITHIN <= value <= MAX_WITHIN:
        raise ValueError("a deadline is between 10s and 30d")
    return value


def merge(asked: Sequence[Obligations]) -> Obligations:
    """One obligation that satisfies every one of *asked* (at least one). Raises `TooManyPeople`."""
    return Obligations(
        approve=merge_requirements(one.approve for one in asked),
        within=min(one.within for one in asked),
        reason_required=any(one.reason_required for one in asked),
        assurance=max((one.assurance for one in asked), key=strength),
        ticket_required=any(one.ticket_required for one in asked),
        window=window_text(name for one in asked for name in windows(one.window)),
        remind=max(one.remind for one in asked),
        escalate_to=asked[0].escalate_to if _same_escalation(asked) else "",
        escalate_after=max(one.escalate_after for one in asked) if _same_escalation(asked) else 0,
        grant=min(one.grant for one in asked),
    )


def windows(text: str) -> tuple[str, ...]:
    """The windows that `Obligations.window` names."""
    return tuple(text.split(", ")) if text else ()


def window_text(names: Iterable[str]) -> str:
    """`Obligations.window` for *names*, in an order that does not depend on theirs."""
    return ", ".join(sorted(set(names)))


def _same_escalation(asked: Sequence[Obligations]) -> bool:
    return len({one.escalate_to for one in asked}) == 1 and all(one.escalate_after for one in asked)


def merge_requirements(texts: Iterable[str]) -> str:
    """Requirement texts merged; their order does not matter. Raises `TooManyPeople`."""
    return str(strictest(map(parse_requirement, texts)))
