"""Standing in: a person hands their places over to a colleague until a time. The rules are `approvals.delegation`'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from keyturn.approvals import delegation as rules
from keyturn.approvals.errors import DelegationUnknown
from keyturn.errors import Malformed
from keyturn.identity import Delegation, Person
from keyturn.identity.names import check_group, check_person_id
from keyturn.ledger.entries import Draft, Rows
from keyturn.service.core import Core

MAX_WHY = 500
"""Characters of the note that colleagues see."""

Row = dict[str, Any]


class DelegationView(Struct, frozen=True):
    """`person` handed their places in `groups` over to `to`, from `since` until `until` (milliseconds since 1970).

    `carries`: whether it counts at this moment.
    """

    id: str
    person: str
    to: str
    groups: tuple[str, ...]
    since: int
    until: int
    why: str
    carries: bool
    entry: int


class StandIns(Struct, frozen=True):
    """What somebody needs to see and to hand over: their delegations, those to them, and who else is there (id → name)."""

    by: tuple[DelegationView, ...]
    to: tuple[DelegationView, ...]
    colleagues: dict[str, str]


async def open_delegation(
    core: Core,
    person: Person,
    to: str,
    *,
    groups: Sequence[str] = (),
    until: int,
    since: int | None = None,
    why: str = "",
) -> DelegationView:
    """*person* hands *groups* (all of theirs when empty) over to *to*. Raises what `approvals.delegation.refusal` gives."""
    check_person_id(to)
    for group in groups:
        check_group(group)
    if len(why) > MAX_WHY:
        raise Malformed(f"The note has {len(why):,} characters; at most {MAX_WHY} are kept.")
    key = core.id("d")

    def plan(rows: Rows) -> Sequence[Draft]:
        now = core.now()
        roster = core.rosters.within(rows)
        giver = roster.get(person.id) or person
        new = Delegation(
            key,
            person.id,
            to,
            tuple(sorted(set(groups or giver.groups))),
            max(now, since or 0),
            until,
        )
        refused = rules.refusal(new, roster, now)
        if refused is not None:
            raise refused
        fields = {
            "id": key,
            "person": new.person,
            "to": new.to,
            "groups": list(new.groups),
            "since": new.since_ms,
            "until": new.until_ms,
            "why": why,
        }
        return [Draft("delegation.opened", fields)]

    await core.ledger.append(plan)
    core.people_changed()
    return _view(core, core.ledger.row("delegation", key) or {})


async def end_delegation(core: Core, person: Person, delegation: str) -> DelegationView:
    """Its giver takes it back, or whom it was given declines it. Raises `DelegationUnknown`."""

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("delegation", delegation)
        if row is None or person.id not in (row["person"], row["to"]):
            raise DelegationUnknown(f"There is no delegation {delegation[:80]!r} by you or to you.")
        if row.get("ended"):
            return []
        fields = {"delegation": delegation, "by": person.id}
        return [Draft("delegation.ended", fields, once=f"delegation.ended:{delegation}")]

    await core.ledger.append(plan)
    core.people_changed()
    return _view(core, core.ledger.row("delegation", delegation) or {})


def delegations(core: Core, person: str | None = None) -> list[DelegationView]:
    """All that have not ended, by or to *person* if one is given, the next to end first."""
    now = core.now()
    rows = core.ledger.rows("delegation", state="open", newest_first=False, limit=100_000)
    return [
        _view(core, row)
        for row in rows
        if row["until"] > now and (person is None or person in (row["person"], row["to"]))
    ]


def stand_ins(core: Core, person: str) -> StandIns:
    """The delegations by and to *person*, and everybody else on the roster."""
    mine = delegations(core, person)
    others = {key: p.name for key, p in sorted(core.roster.people.items()) if key != person and not p.removed}
    return StandIns(
        tuple(d for d in mine if d.person == person), tuple(d for d in mine if d.to == person), others
    )


def _view(core: Core, row: Row) -> DelegationView:
    carries = not row.get("ended") and row["since"] <= core.now() < row["until"]
    return DelegationView(
        id=row["id"],
        person=row["person"],
        to=row["to"],
        groups=tuple(row["groups"]),
        since=row["since"],
        until=row["until"],
        why=core.full(row["why"]),
        carries=carries,
        entry=row["entry"],
    )
