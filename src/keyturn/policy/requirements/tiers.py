"""`[tier.low]` … `[tier.critical]`: what a hold of that risk asks for at least, whatever its rules say.

    [tier.critical]
    approve = "2 of reviewers"
    assurance = "signed"
    within = "15m"
    reason = "required"
    ticket = "required"

A tier only adds: what it does not name stays as the rules have it, and what it names is merged with that (`obligations.merge`).
It may also name a window, a reminder, and how long what is approved may be granted.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from keyturn.policy import obligations
from keyturn.policy.asking import Names, ask
from keyturn.policy.decision import Obligations
from keyturn.policy.problems import nearest
from keyturn.policy.requirements.part import Part

TIERS = ("low", "medium", "high", "critical")
"""Mildest first."""

_KEYS = ("approve", "assurance", "within", "reason", "ticket", "window", "remind", "grant")


class Minimum(Struct, frozen=True):
    """What one tier asks for. `asks` holds the values, `named` the keys that the section has."""

    asks: Obligations
    named: tuple[str, ...]


def at_least(asked: Obligations, minimum: Minimum) -> Obligations:
    """*asked* with *minimum* merged in. Raises `obligations.TooManyPeople`."""
    own = minimum.asks
    tier = replace(
        own,
        approve=own.approve if "approve" in minimum.named else asked.approve,
        within=own.within if "within" in minimum.named else asked.within,
        grant=own.grant if "grant" in minimum.named else asked.grant,
        # More people asked for are people that an escalation does not replace.
        escalate_to="" if "approve" in minimum.named else asked.escalate_to,
        escalate_after=0 if "approve" in minimum.named else asked.escalate_after,
    )
    return obligations.merge([asked, tier])


def read_tiers(part: Part, names: Names) -> Mapping[str, Minimum]:
    """All `[tier.NAME]`."""
    found: dict[str, Minimum] = {}
    for one in part.named():
        if one.name not in TIERS:
            hint = nearest(one.name, TIERS) or "the tiers are " + ", ".join(TIERS)
            one.wrong(one.name, f"there is no tier {one.name}", hint)
            continue
        one.known(*_KEYS)
        asks = Obligations()
        for key, value in one.body.items():
            if key not in _KEYS:
                continue
            try:
                asks = ask(asks, key, str(value), names)
            except ValueError as error:
                one.wrong(key, str(error))
        found[one.name] = Minimum(asks, tuple(one.body))
    return found
