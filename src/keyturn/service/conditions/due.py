"""What is due while a request waits: a reminder, an escalation. Derived from the log, so a restart forgets none and repeats none.

`request.opened` puts rows of the kind `due`, ordered by their time; what happened, or the end of the request, takes them away.
Whoever works through them (`work`) records the entry, whose `once` key lets each happen at most once in the log. Nothing here
approves; that a request expires is `requests.expire`'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from keyturn.approvals import machine
from keyturn.approvals.request import Escalated
from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.service.core import Core

Row = dict[str, Any]

log = logging.getLogger("keyturn")

BATCH = 100
AGAIN_MS = 60_000
WHAT = ("remind", "escalate")


# --- pure: rows out of entries ---------------------------------------------------------------------------------


def opened(fields: Row, opened_ms: int) -> Iterable[Put]:
    """The rows of a request that was just opened."""
    for what, at in due_times(fields["obligations"], opened_ms, fields["expires"]).items():
        yield Put(
            "due", _key(fields["id"], what), {"request": fields["id"], "what": what, "at": at}, what, at
        )


def due_times(asked: Row, opened_ms: int, expires_ms: int) -> dict[str, int]:
    """When each thing is due (milliseconds since 1970). What would come at or behind the end does not come."""
    times: dict[str, int] = {}
    remind, after = asked.get("remind", 0) * 1000, asked.get("escalate_after", 0) * 1000
    if remind:
        # A reminder for more than the whole time would come with the request itself: half of the time, then.
        at = expires_ms - remind
        times["remind"] = at if at > opened_ms else opened_ms + (expires_ms - opened_ms) // 2
    if after and asked.get("escalate_to") and opened_ms + after < expires_ms:
        times["escalate"] = opened_ms + after
    return times


def ended(request: str) -> Iterable[Put]:
    """Nothing is due any more."""
    for what in WHAT:
        yield Put("due", _key(request, what), None)


def reminded(entry: Entry, rows: Rows) -> Iterable[Put]:
    """`request.reminded`."""
    row = rows.row("request", entry.fields["request"])
    if row is not None:
        count = {"reminded": row.get("reminded", 0) + 1, "reminded_at": entry.time}
        yield Put("request", row["id"], {**row, **count}, row["state"], row["opened"])
    yield Put("due", _key(entry.fields["request"], "remind"), None)


def escalated(entry: Entry, rows: Rows) -> Iterable[Put]:
    """`request.escalated`."""
    row = rows.row("request", entry.fields["request"])
    if row is not None:
        added = {"to": entry.fields["to"], "order": entry.fields["order"], "time": entry.time}
        body = {**row, "escalated": [*row.get("escalated", ()), added]}
        yield Put("request", row["id"], body, row["state"], row["opened"])
    yield Put("due", _key(entry.fields["request"], "escalate"), None)


def escalations(row: Row) -> tuple[Escalated, ...]:
    """To whom the request in *row* was escalated."""
    return tuple(Escalated(one["to"], one["order"], one["time"]) for one in row.get("escalated", ()))


def _key(request: str, what: str) -> str:
    return f"{request}\x1f{what}"


# --- working through them --------------------------------------------------------------------------------------


async def work(core: Core) -> int | None:
    """Do what is due; gives when the next thing is (ms), None when nothing waits.

    What fails (an erased blob) does not keep the others waiting; it is tried again later.
    """
    failed: set[tuple[str, str]] = set()
    while True:
        rows = core.ledger.rows("due", newest_first=False, limit=BATCH + len(failed))
        rows = [row for row in rows if (row["request"], row["what"]) not in failed]
        late = [row for row in rows if row["at"] <= core.now()]
        if not late:
            again = [core.now() + AGAIN_MS] if failed else []
            return min([row["at"] for row in rows[:1]] + again, default=None)
        for row in late:
            try:
                await _DO[row["what"]](core, row["request"])
            except KeyturnError as error:
                log.warning("%s of %s could not be done: %s", row["what"], row["request"], error)
                failed.add((row["request"], row["what"]))


async def _remind(core: Core, request: str) -> None:
    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("request", request)
        if row is None or row["state"] != "waiting" or row.get("reminded"):
            return []
        fields = {"request": request, "left": max(0, row["expires"] - core.now()) // 1000}
        return [
            Draft("request.reminded", fields, session=_open(rows, row), once=f"request.reminded:{request}")
        ]

    await core.ledger.append(plan)


async def _escalate(core: Core, request: str) -> None:
    from keyturn.service import (
        requests,
    )  # the request's state is its business; it draws on this module's rows

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("request", request)
        if row is None or row["state"] != "waiting" or row.get("escalated"):
            return []
        before = requests.state_of(core, row)
        to = core.full(row["obligations"])["escalate_to"]
        after = machine.apply(before, machine.Escalate(to), core.rosters.within(rows), core.now()).state
        if len(after.escalated) == len(before.escalated):
            return []
        fields = {"request": request, "to": to, "order": after.escalated[-1].order}
        once = f"request.escalated:{request}"
        return [Draft("request.escalated", fields, session=_open(rows, row), once=once)]

    await core.ledger.append(plan)


def _open(rows: Rows, row: Row) -> str | None:
    """The request's session while it is open."""
    session = rows.row("session", row["session"]) if row.get("session") else None
    return None if session is None or session.get("closed") else row["session"]


_DO: dict[str, Callable[[Core, str], Awaitable[None]]] = {"remind": _remind, "escalate": _escalate}
