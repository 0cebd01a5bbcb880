"""What a provider's claims mean here: which groups and roles they give, by a table that an operator wrote.

Rules kept here:

- Only values in the table give anything; a claim never names one of our groups or roles by itself.
- The groups and roles that occur in the table belong to the provider: they come and go with the claims. All others
  were given by people and stay.
- A claim that is missing or has no known form gives nothing, and takes what the provider gave before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keyturn.identity.people import Person

MAX_VALUES = 2_000
"""Values of one claim that are looked at; directories with more send a link instead (which gives nothing)."""


class ClaimTable(Struct, frozen=True):
    """`groups` and `roles`: value of the claim → our group or role. `claim`: a name, or a path with dots (`realm.groups`)."""

    claim: str = ""
    groups: dict[str, str] = {}
    roles: dict[str, str] = {}


def given(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """The values of *claim*: a list of texts, or one text."""
    value: Any = claims.get(claim)
    if value is None:
        value = claims
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        return frozenset({value})
    if isinstance(value, list):
        return frozenset(one for one in value[:MAX_VALUES] if isinstance(one, str))
    return frozenset()


def mapped(person: Person, values: frozenset[str], table: ClaimTable) -> dict[str, list[str]]:
    """What changes in *person*'s groups and roles (whole new lists), given the provider's *values*."""
    changes: dict[str, list[str]] = {}
    for name, rules, old in (("groups", table.groups, person.groups), ("roles", table.roles, person.roles)):
        gained = {ours for theirs, ours in rules.items() if theirs in values}
        new = sorted((set(old) - set(rules.values())) | gained)
        if new != sorted(old):
            changes[name] = new
    return changes
