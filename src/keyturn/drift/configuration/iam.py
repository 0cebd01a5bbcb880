"""AWS IAM policies as what they let happen: (effect, action, resource, condition), not as documents.

Source: AWS IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements". Rules kept here:

- Deny wins over Allow. Action and resource patterns have `*` and `?`; actions don't tell capitals from small letters.
- `NotAction` and `NotResource` mean everything but those; so a shorter list there allows more.
- A pair that another one covers is not told again: two documents that allow the same are the same.
- Covering is decided on patterns, not by a list of AWS's actions: where it can't be sure, it says that it is not covered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from keyturn.drift.configuration.reading import (
    Configuration,
    ConfigurationMalformed,
    Hiding,
    counted,
    parsed,
    table,
)
from keyturn.drift.patches import Normal
from keyturn.readers.paths import names_meet

_WHAT = "IAM policy"
MAX_PAIRS = 5_000


class Pair(Struct, frozen=True, order=True):
    """One thing that is allowed or denied. With `but_action` (`but_resource`) it is everything *but* what the patterns name."""

    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str = ""
    but_action: bool = False
    but_resource: bool = False
    principal: str = ""

    @property
    def words(self) -> str:
        """For people, and as a field's name."""
        actions = ", ".join(self.actions)
        resources = ", ".join(self.resources)
        return (
            f"{self.effect} {'everything but ' if self.but_action else ''}{actions} on "
            f"{'everything but ' if self.but_resource else ''}{resources}"
            f"{f' for {self.principal}' if self.principal else ''}{f' if {self.condition}' if self.condition else ''}"
        )


def read(data: bytes, hiding: Hiding) -> Configuration:
    """Policies as `name → document`, one document, or what `aws iam get-…-policy` writes. Raises `ConfigurationMalformed`, `TooLarge`."""
    body = table(parsed(data, _WHAT), _WHAT)
    state: dict[str, dict[str, Any]] = {}
    for name, document in _documents(body):
        found = effective(pairs_of(document))
        state[name] = {hiding.long(one.words): True for one in found} or {"nothing": True}
    return Configuration(counted(state), Normal())


def _documents(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "Statement" in body:
        yield str(body.get("Id") or "policy"), body
        return
    for key, name in (("PolicyVersion", "policy"), ("Policy", "policy")):
        inner = body.get(key)
        if isinstance(inner, Mapping) and ("Document" in inner or "PolicyDocument" in inner):
            yield name, _document(inner.get("Document") or inner.get("PolicyDocument"))
            return
    if "PolicyDocument" in body:
        yield (
            str(body.get("PolicyName") or body.get("RoleName") or "policy"),
            _document(body["PolicyDocument"]),
        )
        return
    if not body:
        raise ConfigurationMalformed("This is no IAM policy: it is empty.")
    for name, document in body.items():
        yield name, _document(document)


def _document(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        from urllib.parse import unquote

        try:
            value = json.loads(unquote(value))
        except ValueError as error:
            raise ConfigurationMalformed("A policy document is not JSON.") from error
    body = table(value, _WHAT)
    if "Statement" not in body:
        raise ConfigurationMalformed("A policy document has no Statement.")
    return body


def pairs_of(document: Mapping[str, Any]) -> list[Pair]:
    """Every (effect, action, resource, condition) of *document*, one action and resource each unless it is "everything but"."""
    found: list[Pair] = []
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        found.extend(_pairs(table(statement, _WHAT)))
        if len(found) > MAX_PAIRS:
            raise ConfigurationMalformed(
                f"A policy has more than {MAX_PAIRS:,} pairs of action and resource."
            )
    return found


def _pairs(statement: Mapping[str, Any]) -> Iterator[Pair]:
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise ConfigurationMalformed("A statement's Effect is Allow or Deny.")
    if ("Action" in statement) == ("NotAction" in statement):
        raise ConfigurationMalformed("A statement has exactly one of Action and NotAction.")
    but_action, but_resource = "NotAction" in statement, "NotResource" in statement
    actions = tuple(
        sorted({one.lower() for one in _texts(statement["NotAction" if but_action else "Action"])})
    )
    resources = tuple(
        sorted(set(_texts(statement["NotResource"] if but_resource else statement.get("Resource", "*"))))
    )
    condition = (
        json.dumps(statement["Condition"], sort_keys=True, default=str) if statement.get("Condition") else ""
    )
    who = [("", statement.get("Principal")), ("everybody but ", statement.get("NotPrincipal"))]
    principal = next((f"{words}{json.dumps(value, sort_keys=True)}" for words, value in who if value), "")
    for action in [actions] if but_action else [(one,) for one in actions]:
        for resource in [resources] if but_resource else [(one,) for one in resources]:
            yield Pair(effect, action, resource, condition, but_action, but_resource, principal)


def _texts(value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise ConfigurationMalformed("Actions and resources are texts, or lists of them.")
    return found


def effective(pairs: Sequence[Pair]) -> list[Pair]:
    """*pairs* without what others cover, and without what an unconditional Deny takes away as a whole."""
    unique = sorted(set(pairs))
    denied = [one for one in unique if one.effect == "Deny"]
    left = [
        one
        for one in unique
        if one.effect == "Deny" or not any(not deny.condition and reaches(deny, one) for deny in denied)
    ]
    return [
        one
        for one in left
        if not any(
            other != one
            and other.effect == one.effect
            and covers(other, one)
            and not (covers(one, other) and other > one)
            for other in left
        )
    ]


def covers(wide: Pair, narrow: Pair) -> bool:
    """Whether *wide* says at least as much as *narrow*: same effect and principal, no condition that *narrow* has not."""
    if wide.effect != narrow.effect or wide.condition not in ("", narrow.condition):
        return False
    return reaches(wide, narrow)


def reaches(wide: Pair, narrow: Pair) -> bool:
    """Whether every (action, resource) of *narrow* is one of *wide*, for the same principal. Errs towards no."""
    if wide.principal not in ("", narrow.principal) and wide.principal not in ('"*"', '{"AWS": "*"}'):
        return False
    return _within(wide.actions, wide.but_action, narrow.actions, narrow.but_action) and _within(
        wide.resources, wide.but_resource, narrow.resources, narrow.but_resource
    )


def _within(wide: Sequence[str], wide_but: bool, narrow: Sequence[str], narrow_but: bool) -> bool:
    if not wide_but and not narrow_but:
        return all(any(subset(one, other) for other in wide) for one in narrow)
    if wide_but and not narrow_but:  # narrow meets nothing that wide leaves out
        return not any(names_meet(_plain(one), _plain(other)) for one in narrow for other in wide)
    if wide_but:  # everything that wide leaves out, narrow leaves out, too
        return all(any(subset(one, other) for other in narrow) for one in wide)
    return "*" in wide or "*:*" in wide


def _plain(pattern: str) -> str:
    return pattern.replace("[", "(").replace("]", ")")


def subset(narrow: str, wide: str) -> bool:
    """Whether every text that the pattern *narrow* matches is matched by *wide*; `*` is any characters, `?` one. O(len × len), exact
    but for alternating wildcards, where it errs towards no."""
    narrow, wide = _squeezed(narrow), _squeezed(wide)
    reach = [[False] * (len(wide) + 1) for _ in range(len(narrow) + 1)]
    reach[0][0] = True
    for j, char in enumerate(wide, 1):
        reach[0][j] = reach[0][j - 1] and char == "*"
    for i, mine in enumerate(narrow, 1):
        for j, theirs in enumerate(wide, 1):
            if theirs == "*":
                reach[i][j] = reach[i - 1][j] or reach[i][j - 1]
            elif mine != "*":
                reach[i][j] = reach[i - 1][j - 1] and (theirs in ("?", mine))
    return reach[-1][-1]


def _squeezed(pattern: str) -> str:
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    return pattern


def allowed(pairs: Sequence[Pair], action: str, resource: str) -> bool:
    """Whether *action* on *resource* (no patterns) is allowed where every condition holds for Allow and none for Deny."""
    asked = Pair("Allow", (action.lower(),), (resource,))
    denied = any(one.effect == "Deny" and not one.condition and reaches(one, asked) for one in pairs)
    return not denied and any(one.effect == "Allow" and reaches(one, asked) for one in pairs)


def gained(before: Sequence[Pair], after: Sequence[Pair]) -> list[Pair]:
    """What *after* allows and *before* doesn't cover; and Deny statements that are gone."""
    old, new = effective(before), effective(after)
    more = [
        one
        for one in new
        if one.effect == "Allow" and not any(covers(other, one) for other in old if other.effect == "Allow")
    ]
    lost = [
        one
        for one in old
        if one.effect == "Deny" and not any(covers(other, one) for other in new if other.effect == "Deny")
    ]
    return [*more, *lost]
