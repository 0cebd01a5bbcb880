"""Who reviewed how: a row for each decision on an action, and what they say together (`approvals.vigilance`).

People see their own; administrators and auditors see everybody's. Nothing here decides anything.
"""

from __future__ import annotations

from typing import Any

from keyturn.approvals.vigilance import LOOKED_AT, Decided, Vigilance, vigilance
from keyturn.identity import Person
from keyturn.ledger.entries import Entry, Put
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden

Row = dict[str, Any]
OVERSEERS = ("admin", "auditor")


def decided(entry: Entry, request: Row, drill: bool | None = None) -> list[Put]:
    """The row of a decision that *entry* records; *drill*: whether it was one, and the person saw that it was bad."""
    f = entry.fields
    if request["subject"] != "action" or not f.get("person"):
        return []
    made = f.get("gesture") or {}
    body = {
        "person": f["person"],
        "choice": f["choice"],
        "request": request["id"],
        "tier": (request.get("risk") or {}).get("tier", ""),
        "dwell_ms": made.get("dwell_ms"),
        "looked_ms": made.get("looked_ms"),
        "opened": made.get("opened", []),
        "drill": drill,
    }
    return [Put("review", f"{entry.index:015d}", body, f["person"], entry.time)]


def of(core: Core, person: str) -> Vigilance:
    """How *person* reviewed lately."""
    rows = core.ledger.rows("review", state=person, limit=LOOKED_AT)
    return vigilance(person, [_decided(row) for row in rows])


def everybody(core: Core, viewer: Person) -> list[Vigilance]:
    """Everybody who reviewed, by name. Raises `Forbidden` for whoever is neither administrator nor auditor."""
    require_overseer(viewer)
    found = [of(core, person) for person in sorted(core.roster.people)]
    return [one for one in found if one.decisions or one.drills]


def seen_by(core: Core, viewer: Person, person: str) -> Vigilance:
    """How *person* reviewed, for *viewer*: their own, or as an overseer."""
    if viewer.id != person:
        require_overseer(viewer)
    return of(core, person)


def require_overseer(viewer: Person) -> None:
    """Raises `Forbidden`."""
    if not set(OVERSEERS) & set(viewer.roles):
        raise Forbidden("How others review is for administrators and auditors; your own is at /you.")


def _decided(row: Row) -> Decided:
    return Decided(
        choice=row["choice"],
        tier=row["tier"],
        dwell_ms=row["dwell_ms"],
        looked_ms=row["looked_ms"],
        opened=tuple(row["opened"]),
        drill=row["drill"],
    )


__all__ = ["decided", "everybody", "of", "require_overseer", "seen_by"]
