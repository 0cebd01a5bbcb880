"""What a request's seal says to whoever has the key: whether it is a drill, and what is recorded when that is told.

A request with a seal that is not an action's is a drill, also when this version does not know its mutation: then it can't run.
"""

from __future__ import annotations

from typing import Any

from keyturn.approvals.drill import ACTION, CATALOGUE, Seals
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.service import reviewing
from keyturn.service.core import Core
from keyturn.service.model import Drill

Row = dict[str, Any]


def seals(core: Core) -> Seals:
    """The seals of this home: they come of the key that signs permits, so they last as long."""
    return Seals(core.permit_key.private_bytes_raw())


def is_drill(core: Core, row: Row) -> bool:
    """Whether the request *row* is a drill. Requests of older versions have no seal: they are none."""
    seal = str(row.get("seal") or "")
    return bool(seal) and not seals(core).opens(row["id"], seal, ACTION)


def known_bad(core: Core, row: Row) -> tuple[str, str]:
    """(mutation, what a reviewer should have seen) of the drill *row*."""
    known = seals(core)
    found = next((m for m in CATALOGUE if known.opens(row["id"], row["seal"], m.id)), None)
    return ("unknown", "it was made bad by another version") if found is None else (found.id, found.why)


def revealed(core: Core, rows: Rows, row: Row, given: Row) -> list[Draft]:
    """What is recorded instead of an approval when somebody decides on the drill *row*: *given* is their decision."""
    caught = given["choice"] == "deny"
    ended = {
        "request": row["id"],
        "state": "withdrawn",
        "why": words(core, row, caught),
        "by": "drill",
        "placed": [],
    }
    return [
        told(core, row, {**given, "caught": caught}, row["session"]),
        Draft("request.ended", ended, session=row["session"], once=f"request.ended:{row['id']}"),
        *closed(rows, row),
    ]


def told(core: Core, row: Row, given: Row, session: str | None) -> Draft:
    """The entry that reveals the drill and opens its seal."""
    mutation, why = known_bad(core, row)
    fields = {
        "request": row["id"],
        "action": row["action"],
        "drilled": row["session"],
        "mutation": mutation,
        "why": why,
        "nonce": seals(core).nonce(row["id"]),
        **given,
    }
    return Draft("drill.decided", fields, session=session, once=f"drill.decided:{row['id']}")


def closed(rows: Rows, row: Row) -> list[Draft]:
    """The end of the drill's session."""
    session = rows.row("session", row["session"])
    if session is None or session.get("closed"):
        return []
    return [Draft("session.closed", {"why": "It was a drill."}, session=row["session"])]


def words(core: Core, row: Row, caught: bool) -> str:
    """What whoever decided is told at once."""
    why = known_bad(core, row)[1]
    end = "You caught it." if caught else "You approved it: look again at what you were shown."
    return f"This was a drill. It could not run, and {why}. {end}"


def fold(entry: Entry, rows: Rows) -> list[Put]:
    """The rows of `drill.decided`: what is known of it from now on, and of whoever decided."""
    f = entry.fields
    request = rows.row("request", f["request"])
    put = Put("drill", f["request"], {**f, "entry": entry.index}, "told", entry.time)
    return [put] if request is None else [put, *reviewing.decided(entry, request, bool(f["caught"]))]


def view(core: Core, request: str) -> Drill | None:
    """What is known of it once it was told; None before, and for real requests."""
    row = core.ledger.row("drill", request)
    if row is None:
        return None
    return Drill(row["mutation"], row["why"], row["person"] or "", row["caught"], row["entry"])


__all__ = ["closed", "fold", "is_drill", "known_bad", "revealed", "seals", "told", "view", "words"]
