"""What becomes of a finding: people look at it, acknowledge, explain, accept, close or reopen it.

The rules are `drift.finding_life`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from keyturn.drift import finding_life
from keyturn.drift.finding_life import Life, LifeRefused, Move
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.ledger.errors import AlreadyDone
from keyturn.service import finding_people, people, responses
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden
from keyturn.service.finding_rows import pair
from keyturn.service.findings import Exposure, FindingView, required, view
from keyturn.service.instants import first_since

Row = dict[str, Any]

MOST_SCANNED = 50_000
"""Entries that are read at most to say what ran before the first look."""

_PAST = {
    "acknowledge": "acknowledged",
    "explain": "explained",
    "accept": "accepted",
    "close": "closed",
    "reopen": "reopened",
}


class ChangeUnknown(KeyturnError):
    """What is named as the change that explains a finding is none that people approved."""

    code = "finding.change_unknown"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "The finding is as it was."
    next_step = "Name the request by which people approved the change; `keyturn requests --all` lists them."


async def move(core: Core, finding: str, person: Person, wish: Move) -> FindingView:
    """What *person* does with it, recorded. Raises `UnknownFinding`, `ChangeUnknown`, `ReadsOnly`, `LifeRefused`."""
    people.require_writer(person)
    row = required(core, finding)
    if wish.change:
        _require_approved(core, wish.change)
    part = finding_people.involved(core, row)
    if wish.change:
        part = part.and_others(finding_people.authors(core, wish.change))

    def plan(rows: Rows) -> Sequence[Draft]:
        current = rows.row("finding", finding) or row
        roster = core.rosters.within(rows).at(core.now())
        if roster.get(person.id) is None:
            raise Forbidden(f"{person.id} is on the roster no more.")
        after = finding_life.step(_life(current), wish, part, roster, _now(core))
        if isinstance(after, LifeRefused):
            raise after
        fields: Row = {
            "finding": finding,
            "by": person.id,
            "reason": wish.reason.strip(),
            "state": after.state,
        }
        fields["apart"] = not part.includes(person.id, roster)
        if wish.verb == "explain":
            fields["grade"] = "CANDIDATE"
        if wish.verb in ("explain", "close") and after.change:
            fields["change"] = after.change
        if wish.verb == "accept":
            fields["until"] = after.until
        if wish.verb == "close":
            fields["outcome"] = wish.outcome
        made = Draft(f"finding.{_PAST[wish.verb]}", fields)
        return [made, *_again(core, rows, current)] if wish.verb == "reopen" else [made]

    await core.ledger.append(plan)
    return view(core, required(core, finding), person)


def lapse(core: Core, finding: str, rows: Rows) -> Sequence[Draft]:
    """It is open again once its acceptance has ended."""
    row = rows.row("finding", finding)
    if row is None or not finding_life.lapsed(_life(row), _now(core)):
        return []
    fields = {"finding": finding, "by": "", "reason": "Its acceptance ended.", "state": "open"}
    return [
        Draft("finding.reopened", fields, once=f"finding.reopened:{finding}:{row['until']}"),
        *_again(core, rows, row),
    ]


def _again(core: Core, rows: Rows, row: Row) -> list[Draft]:
    """What follows anew when it is open again, but for what never ended."""
    known = (rows.row("response", one) or {} for one in row.get("responses", ()))
    still = {one["name"] for one in known if one.get("state") == "on"}
    about = [(str(kind), str(key)) for kind, key in row.get("about", ())]
    return responses.drafts(core, row["id"], row["kind"], row["severity"], about, len(row["life"]) + 1, still)


def _require_approved(core: Core, change: str) -> None:
    found = core.ledger.row("request", change)
    if found is None or found["state"] != "approved":
        raise ChangeUnknown(f"Nobody approved a change {change[:80]!r}.")


def _life(row: Row) -> Life:
    return Life(row["state"], row.get("until"), row.get("change", ""))


def _now(core: Core) -> int:
    return max(core.now(), core.ledger.time)


async def looked(core: Core, finding: str, person: Person) -> None:
    """*person* looks at it: recorded once, for the first one who can do something about it and has no part in it."""
    row = required(core, finding)
    if row["viewed"] is not None or person.reads_only:
        return
    part = finding_people.involved(core, row)
    if part.includes(person.id, core.roster):
        return
    ran = await exposure(core, row)
    fields = {"finding": finding, "by": person.id, "exposure": to_builtins(ran)}

    def plan(rows: Rows) -> Sequence[Draft]:
        current = rows.row("finding", finding)
        if current is None or current["viewed"] is not None:
            return []
        return [Draft("finding.viewed", fields, once=f"finding.viewed:{finding}")]

    with contextlib.suppress(AlreadyDone):
        await core.ledger.append(plan)


async def exposure(core: Core, row: Row) -> Exposure:
    """What ran of the agent, definition or session that the finding is about, from its onset until now."""
    return await asyncio.to_thread(_ran, core, row)


def _ran(core: Core, row: Row) -> Exposure:
    about = {(str(kind), str(key)) for kind, key in row.get("about", ())}
    if not about:
        return Exposure(len(core.full(row.get("entries")) or ()))
    since = core.full(row.get("since")) or {}
    start, size = first_since(core.ledger, int(since.get("earliest") or row["opened"])), core.ledger.size
    ran: set[str] = set()
    for entry in core.ledger.entries(start, min(size, start + MOST_SCANNED)):
        if entry.type == "action.decided" and about & _acts(core, entry.fields, entry.session):
            if entry.fields["verdict"] == "run":
                ran.add(entry.fields["id"])
        elif entry.type == "permit.issued" and ("session", entry.session) in about:
            ran.add(entry.fields["action"])
    return Exposure(len(ran), start + MOST_SCANNED >= size)


def _acts(core: Core, fields: Row, session: str | None) -> set[tuple[str, str]]:
    agent = core.full(fields["agent"]) or {}
    named = (("agent", agent.get("name")), ("definition", fields.get("definition")), ("session", session))
    return {pair(kind, str(key)) for kind, key in named if key}


__all__ = ["ChangeUnknown", "exposure", "lapse", "looked", "move"]
