"""A Terraform (or OpenTofu) plan or state as JSON: `terraform show -json PLAN`, or `terraform plan -refresh-only -json`'s plan file.

Source: https://developer.hashicorp.com/terraform/internals/json-format (plan representation 1.x).

- The *state* is `prior_state` (or `values`), with what `resource_drift` saw outside Terraform laid over it.
- The *proposed* state is that with `resource_changes` applied. What is known only after the apply is no part of the patch.
- What `*_sensitive` marks is a keyed digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyturn.drift.configuration.reading import (
    Configuration,
    ConfigurationMalformed,
    Hiding,
    counted,
    fields,
    parsed,
    table,
)
from keyturn.drift.patches import Normal

NORMAL = Normal(volatile=("timeouts.*", "tags_all.*", "etag", "last_modified", "*.etag", "self_link"))
_WHAT = "Terraform plan or state"


def read(data: bytes, hiding: Hiding) -> Configuration:
    """The plan *data*. Raises `ConfigurationMalformed`, `TooLarge`."""
    body = table(parsed(data, _WHAT), _WHAT)
    if not any(key in body for key in ("resource_changes", "resource_drift", "prior_state", "values")):
        raise ConfigurationMalformed(
            "This is no Terraform plan or state: it has no resources. `terraform show -json PLAN` writes one."
        )
    state: dict[str, dict[str, Any]] = {}
    values = _at(body, "values") or _at(body, "prior_state", "values") or {}
    _module(_at(values, "root_module") or {}, state, hiding)
    changes = _listed(body, "resource_changes")
    for one in changes:
        if _address(one) not in state and _at(one, "change", "before") is not None:
            state[_address(one)] = _shown(
                _at(one, "change", "before"), _at(one, "change", "before_sensitive"), hiding
            )
    for one in _listed(body, "resource_drift"):
        _laid(state, one, hiding)
    proposed = {name: dict(known) for name, known in state.items()}
    notes = []
    for one in changes:
        unknown = _laid(proposed, one, hiding)
        if unknown:
            notes.append(f"{_address(one)}: {', '.join(unknown[:6])} is known only after the apply")
    return Configuration(counted(state), NORMAL, counted(proposed) if changes else None, tuple(notes[:50]))


def _laid(state: dict[str, dict[str, Any]], one: Any, hiding: Hiding) -> list[str]:
    """Lay a resource's change over *state*; gives fields that nobody knows yet."""
    change = table(_at(one, "change"), _WHAT)
    actions = change.get("actions") or []
    address = _address(one)
    if actions in (["no-op"], ["read"]):
        return []
    after = change.get("after")
    if after is None:
        state.pop(address, None)
        return []
    made = _shown(after, change.get("after_sensitive"), hiding)
    unknown = [
        name for name, value in fields(change.get("after_unknown") or {}, hiding).items() if value is True
    ]
    for name in unknown:
        made.pop(name, None)
        if name in state.get(address, {}) and "create" not in actions:
            made[name] = state[address][name]
    state[address] = made
    return unknown


def _module(module: Any, state: dict[str, dict[str, Any]], hiding: Hiding) -> None:
    """Resources of a module and those in it; by a stack, since modules nest as deep as people want."""
    stack = [module]
    while stack:
        one = stack.pop()
        for resource in _listed(one, "resources"):
            if resource.get("mode", "managed") == "managed":
                state[_address(resource)] = _shown(
                    resource.get("values") or {}, resource.get("sensitive_values"), hiding
                )
        stack.extend(_listed(one, "child_modules"))


def _address(one: Any) -> str:
    address = one.get("address") if isinstance(one, Mapping) else None
    if not isinstance(address, str) or not address:
        raise ConfigurationMalformed("A resource of the plan has no address.")
    return address


def _shown(value: Any, sensitive: Any, hiding: Hiding) -> dict[str, Any]:
    return fields(_hidden(value, sensitive, hiding), hiding)


def _hidden(value: Any, sensitive: Any, hiding: Hiding) -> Any:
    if sensitive is True and value is not None:
        return hiding.value(value)
    if isinstance(value, Mapping) and isinstance(sensitive, Mapping):
        return {name: _hidden(one, sensitive.get(name), hiding) for name, one in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        padded = [*sensitive, *[None] * (len(value) - len(sensitive))]
        return [_hidden(one, mark, hiding) for one, mark in zip(value, padded, strict=False)]
    return value


def _listed(value: Any, name: str) -> list[Mapping[str, Any]]:
    """The tables under *name*; none where there is nothing. Raises `ConfigurationMalformed`."""
    found = _at(value, name) or []
    if not isinstance(found, list):
        raise ConfigurationMalformed(f"`{name}` of the plan is no list.")
    return [table(one, _WHAT) for one in found]


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
