"""What changed between two states of a configuration, field by field, in one form whatever the source.

A *state* is object id → flattened fields (`spec.replicas` → 3); a *patch* is object id → field → the value after, None where the
field (or, under `OBJECT`, the whole object) is gone. Values are scalars of JSON.

Rules kept here:

- null, an empty list, an empty table and an absent field are the same.
- Lists of tables that have names are keyed by the name (`containers[app].image`), so that inserting one moves no other;
  other lists are keyed by position.
- What a control plane writes by itself says nothing: fields that a `Normal` calls volatile, and fields that come new with their default.
- `outside` names what a patch has that another one does not cover: another value is not covered.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn import canonical
from keyturn.errors import TooLarge

Scalar = str | int | float | bool
State = Mapping[str, Mapping[str, Scalar]]
Patch = Mapping[str, Mapping[str, Scalar | None]]

OBJECT = "!"
"""The field that says that the object is there."""
MAX_FIELDS = 200_000
MAX_DEPTH = 60
_NAMES = ("name", "id", "key", "Sid", "sid", "address", "path", "mountPath", "containerPort", "port")
"""What tells the members of a list apart, the first that all of them have and that differs."""


class Normal(Struct, frozen=True):
    """What says nothing in one kind of source: `volatile` fields, and `defaults` (field → values that are as good as none). Globs."""

    volatile: tuple[str, ...] = ()
    defaults: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()

    def silent(self, field: str) -> bool:
        """Whether *field* says nothing."""
        return any(fnmatch.fnmatchcase(field, pattern) for pattern in self.volatile)

    def default(self, field: str, value: Scalar | None) -> bool:
        """Whether *value* is what the control plane writes where nobody wrote anything."""
        return any(
            fnmatch.fnmatchcase(field, pattern)
            and any(value == one and type(value) is type(one) for one in values)
            for pattern, values in self.defaults
        )


PLAIN = Normal()


def flat(value: Any, prefix: str = "") -> dict[str, Scalar]:
    """A JSON value as fields. Raises `TooLarge`."""
    fields: dict[str, Scalar] = {}
    _flatten(value, prefix, fields, 0)
    return fields


def _flatten(value: Any, prefix: str, fields: dict[str, Scalar], depth: int) -> None:
    if depth > MAX_DEPTH or len(fields) > MAX_FIELDS:
        raise TooLarge(f"A configuration has more than {MAX_FIELDS:,} fields, or {MAX_DEPTH} levels.")
    if isinstance(value, Mapping):
        for name, member in value.items():
            _flatten(
                member, f"{prefix}.{_quoted(str(name))}" if prefix else _quoted(str(name)), fields, depth + 1
            )
    elif isinstance(value, list | tuple):
        names = _names(value)
        for number, member in enumerate(value):
            _flatten(member, f"{prefix}[{names[number] if names else number}]", fields, depth + 1)
    elif value is not None:
        fields[prefix] = value if isinstance(value, str | int | float | bool) else str(value)


def _quoted(name: str) -> str:
    return f'"{name}"' if any(char in name for char in ".[]") else name


def _names(members: Sequence[Any]) -> list[str] | None:
    if not members or not all(isinstance(member, Mapping) for member in members):
        return None
    for key in _NAMES:
        names = [member.get(key) for member in members]
        if all(isinstance(name, str | int) for name in names) and len(set(names)) == len(names):
            return [str(name) for name in names]
    return None


def state_digest(state: State) -> str:
    """`sha256:<hex>` of *state*."""
    return canonical.digest(
        {name: {field: storable(value) for field, value in fields.items()} for name, fields in state.items()}
    )


def patch_digest(patch: Patch) -> str:
    """`sha256:<hex>` of *patch*."""
    return canonical.digest(
        {name: {field: storable(value) for field, value in fields.items()} for name, fields in patch.items()}
    )


def storable(value: Scalar | None) -> Scalar | None:
    """Numbers beyond what canonical JSON has are written as text."""
    if value is None or isinstance(value, bool | str):
        return value
    return value if abs(value) <= canonical.MAX_SAFE_INTEGER and value == value else repr(value)


def between(before: State, after: State, normal: Normal = PLAIN) -> dict[str, dict[str, Scalar | None]]:
    """The patch that makes *after* of *before*, without what says nothing."""
    found: dict[str, dict[str, Scalar | None]] = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        fields: dict[str, Scalar | None] = {}
        if old is None or new is None:
            fields[OBJECT] = None if new is None else True
        for field in {**(old or {}), **(new or {})} if new is not None else ():
            was, now = (old or {}).get(field), (new or {}).get(field)
            if was == now and type(was) is type(now):
                continue
            if not (was is None and normal.default(field, now)) and not (
                now is None and normal.default(field, was)
            ):
                fields[field] = now
        kept = {field: value for field, value in fields.items() if not normal.silent(field)}
        if kept:
            found[name] = kept
    return found


def normalised(patch: Patch, normal: Normal) -> dict[str, dict[str, Scalar | None]]:
    """*patch* without what says nothing; a value that became the default counts as taken away."""
    found = {}
    for name, fields in patch.items():
        kept = {
            field: value
            for field, value in fields.items()
            if not normal.silent(field) and not normal.default(field, value)
        }
        if kept:
            found[name] = kept
    return found


def applied(state: State, patch: Patch) -> dict[str, dict[str, Scalar]]:
    """*state* after *patch*."""
    made = {name: dict(fields) for name, fields in state.items()}
    for name, fields in patch.items():
        if OBJECT in fields and fields[OBJECT] is None:
            made.pop(name, None)
            continue
        target = made.setdefault(name, {})
        for field, value in fields.items():
            if value is None:
                target.pop(field, None)
            elif field != OBJECT:
                target[field] = value
    return made


def pairs(patch: Patch) -> list[tuple[str, str, Scalar | None]]:
    """(object, field, value after), in order."""
    return [
        (name, field, fields[field]) for name, fields in sorted(patch.items()) for field in sorted(fields)
    ]


def outside(patch: Patch, allowed: Patch) -> list[tuple[str, str, Scalar | None]]:
    """What of *patch* is not in *allowed*, with the same value."""
    return [one for one in pairs(patch) if not holds(allowed, one)]


def holds(patch: Patch, one: tuple[str, str, Scalar | None]) -> bool:
    """Whether *patch* sets exactly that. Deleting an object that way also takes its fields away."""
    name, field, value = one
    fields = patch.get(name)
    if fields is None or field not in fields:
        return False
    return fields[field] == value and type(fields[field]) is type(value)


def shown(one: tuple[str, str, Scalar | None]) -> str:
    """One field for people."""
    name, field, value = one
    if field == OBJECT:
        return f"{name} {'is gone' if value is None else 'is new'}"
    return f"{name} {field} {'removed' if value is None else f'= {value!r}' if isinstance(value, str) else f'= {value}'}"


def size(patch: Patch) -> int:
    """How many fields it has."""
    return sum(map(len, patch.values()))


def merged(patches: Iterable[Patch]) -> dict[str, dict[str, Scalar | None]]:
    """All of them, later ones over earlier ones."""
    made: dict[str, dict[str, Scalar | None]] = {}
    for patch in patches:
        for name, fields in patch.items():
            made.setdefault(name, {}).update(fields)
    return made
