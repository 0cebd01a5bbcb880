"""Groups that a schedule fills: who is on call is who counts for them, until what is known of it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from keyturn.identity.people import Person


class OnCall(Struct, frozen=True):
    """`people` (ids) are on call in `group`, until just before `until_ms`."""

    group: str
    people: tuple[str, ...]
    until_ms: int


def filled(people: Mapping[str, Person], oncall: Sequence[OnCall], now_ms: int) -> dict[str, Person]:
    """*people* with those groups as they are at *now_ms*.

    Nobody is in such a group for any other reason: what a person's own record says of it does not count.
    """
    groups = {one.group for one in oncall}
    serving: dict[str, set[str]] = {}
    for one in oncall:
        if now_ms < one.until_ms:
            for key in one.people:
                serving.setdefault(key, set()).add(one.group)
    changed = {}
    for key, person in people.items():
        own = tuple(group for group in person.groups if group not in groups)
        now = tuple(sorted({*own, *serving.get(key, ())})) if serving.get(key) else own
        if now != person.groups:
            changed[key] = replace(person, groups=now)
    return {**people, **changed}
