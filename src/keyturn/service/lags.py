"""Audit lag of the findings in the log: `drift.lag`'s clocks, read off rows and entries."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from keyturn.drift import lag
from keyturn.drift.finding_life import UNRESOLVED
from keyturn.drift.lag import Reading, Spread, Times
from keyturn.service import findings
from keyturn.service.core import Core
from keyturn.service.ids import made

Row = dict[str, Any]

DAYS = 90
MOST = 5_000
"""Findings that are looked at, newest first."""


class LagView(Struct, frozen=True):
    """Lag over the findings of the last `days`: one line for each area and clock. `exposure`: actions that ran before anybody looked.

    `unseen` are bad findings that nobody looked at; `limit` seconds after which that is a finding itself (0: never). `complete`:
    all findings of that time are in it.
    """

    days: int
    findings: int
    lines: tuple[Spread, ...]
    exposure: int
    unseen: int
    limit: int
    complete: bool = True


def of_finding(core: Core, row: Row) -> tuple[Reading, ...]:
    """The clocks of one finding."""
    return lag.readings(_times(core, row), core.now())


def overview(core: Core, days: int = DAYS) -> LagView:
    """All findings of the last *days*. Reads an entry for each, so not for the event loop."""
    since = core.now() - days * 86_400_000
    rows = core.ledger.rows("finding", limit=MOST)
    found = [row for row in rows if row["opened"] >= since]
    lines = lag.table((core.full(row.get("area", "")), of_finding(core, row)) for row in found)
    ran = sum(((row.get("viewed") or {}).get("exposure") or {}).get("actions", 0) for row in found)
    limit = core.policy.drift.lag.unseen
    complete = len(found) < MOST
    return LagView(days, len(found), lines, ran, findings.unseen_count(core), limit, complete)


def _times(core: Core, row: Row) -> Times:
    since, entries = core.full(row.get("since")), core.full(row.get("entries")) or ()
    newest = core.ledger.entry(max(entries)) if entries and max(entries) < core.ledger.size else None
    proposed = None
    if newest is not None and newest.type == "action.decided":
        proposed = made(str(newest.fields["id"]))
    life = row.get("life", ())
    return Times(
        opened=row["opened"],
        onset=(since["earliest"], since["latest"]) if since else None,
        proposed=proposed,
        recorded=newest.time if newest is not None else None,
        delivered=row.get("delivered"),
        viewed=(row.get("viewed") or {}).get("time"),
        acknowledged=_first(life, ("acknowledged", "explained", "accepted", "closed")),
        resolved=_first(life, ("explained", "accepted", "closed")),
        settled=row["state"] not in UNRESOLVED,
    )


def _first(life: Any, verbs: tuple[str, ...]) -> int | None:
    return next((int(step["time"]) for step in life if step["verb"] in verbs), None)
