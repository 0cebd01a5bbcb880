"""On-call schedules: read again and again, and recorded when who is on call changes.

Rules kept here:

- Who may decide is a function of the log: the schedule counts only as the entry `oncall.changed` says, never directly.
- While a source does not answer, what was recorded last stays until its `until`; from then on nobody is in the group, and
  an entry says why (it is so from that instant on, whether or not the entry is there).
- Asking one source waits for no other, and deciding waits for none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.requirements.answers import Unreadable
from keyturn.policy.requirements.oncall import Duty, Schedule, duty_of
from keyturn.service.conditions import moments
from keyturn.service.conditions.sources import Answer, SourceFailed
from keyturn.service.core import Core
from keyturn.service.model import OnCallView

log = logging.getLogger("keyturn")

Row = dict[str, Any]

MAX_UNKNOWN = 20
LONGEST_NAP = 60.0
SHORTEST_NAP = 1.0


class Failing(Struct, frozen=True):
    """A source that gives no answer: since when (milliseconds since 1970), and why."""

    since: int
    why: str


async def refresh(core: Core) -> None:
    """Read every schedule of the active policy, and record what changed."""
    schedules = core.policy.requirements.oncall
    for group in list(core.failing_schedules):
        if group not in schedules:
            del core.failing_schedules[group]
    await asyncio.gather(*(_read(core, rule) for rule in schedules.values()))


async def _read(core: Core, rule: Schedule) -> None:
    try:
        answer = await _asked(core, rule)
        duty = duty_of(rule, answer.data, moments.moment(core))
    except (SourceFailed, Unreadable, KeyturnError) as error:
        since = core.failing_schedules.get(rule.group, Failing(core.now(), "")).since
        core.failing_schedules[rule.group] = Failing(since, str(error)[:500])
        await _lapsed(core, rule, str(error)[:500])
        return
    core.failing_schedules.pop(rule.group, None)
    await _record(core, rule, duty, answer.digest)


async def _asked(core: Core, rule: Schedule) -> Answer:
    if rule.source == "file":
        return await core.sources.read(rule.where)
    found = await core.sources.get(rule.where, rule.credential, core.clock())
    if found is None:
        raise SourceFailed(f"there is no schedule at {rule.where}")
    return found


async def _record(core: Core, rule: Schedule, duty: Duty, answer: str) -> None:
    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("oncall", rule.group)
        if row is None:
            return []
        roster = core.rosters.within(rows)
        known = [person for person in duty.people if roster.get(person) is not None]
        unknown = [person for person in duty.people if roster.get(person) is None][:MAX_UNKNOWN]
        if row["people"] == known and row["unknown"] == unknown and _long_enough(row, rule, duty, core.now()):
            return []
        return [_draft(rule, known, unknown, duty.until, answer, "")]

    await _recorded(core, plan)


def _long_enough(row: Row, rule: Schedule, duty: Duty, now: int) -> bool:
    """Whether what is recorded need not be recorded again, only because time went on: an entry now and then is enough."""
    if duty.until < row["until"]:
        return False  # it ends earlier than was known
    # Nothing is known beyond what is recorded, or half of the time for which an answer is believed is left.
    left = int(row["until"]) - now
    return bool(duty.until == row["until"] or left > min(rule.trust * 500, (duty.until - now) // 2))


async def _lapsed(core: Core, rule: Schedule, why: str) -> None:
    """Record that nobody is on call any more, when what was known has ended."""

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("oncall", rule.group)
        if row is None or not row["people"] or row["until"] > core.now():
            return []
        return [
            _draft(rule, [], [], row["until"], "", f"What was known has ended, and its source fails: {why}")
        ]

    await _recorded(core, plan)


def _draft(rule: Schedule, people: list[str], unknown: list[str], until: int, answer: str, why: str) -> Draft:
    fields = {
        "group": rule.group,
        "people": people,
        "unknown": unknown,
        "until": until,
        "source": f"{rule.source} {rule.where}"[:300],
        "answer": answer,
        "why": why,
    }
    return Draft("oncall.changed", fields)


async def _recorded(core: Core, plan: Any) -> None:
    try:
        if await core.ledger.append(plan):
            core.people_changed()
    except KeyturnError as error:  # a full disk must not end the reading of schedules
        log.warning("who is on call could not be recorded: %s", error)


async def watch(core: Core) -> None:
    """Read the schedules for as long as the server runs: as often as policy says, and when what is known ends."""
    while True:
        try:
            await refresh(core)
        except KeyturnError as error:
            log.warning("schedules could not be read: %s", error)
        core.schedules.clear()
        try:
            async with asyncio.timeout(_nap(core)):
                await core.schedules.wait()
        except TimeoutError:
            continue


def _nap(core: Core) -> float:
    schedules = core.policy.requirements.oncall
    naps = [float(rule.refresh) for rule in schedules.values()]
    for group in schedules:
        row = core.ledger.row("oncall", group)
        if row is not None and row["until"] > core.now():
            naps.append((row["until"] - core.now()) / 1000)
    return min([max(SHORTEST_NAP, nap) for nap in naps], default=LONGEST_NAP)


def views(core: Core) -> list[OnCallView]:
    """Every group that a schedule fills, by name."""
    now = core.now()
    shown = []
    for group, rule in sorted(core.policy.requirements.oncall.items()):
        row = core.ledger.row("oncall", group) or {}
        failing = core.failing_schedules.get(group)
        shown.append(
            OnCallView(
                group=group,
                people=tuple(row.get("people", ())) if row.get("until", 0) > now else (),
                unknown=tuple(row.get("unknown", ())),
                until=row.get("until", 0),
                source=f"{rule.source} {rule.where}",
                failing=failing.why if failing else "",
                since=failing.since if failing else None,
                why=str(row.get("why", "")),
                entry=row.get("entry", 0),
            )
        )
    return shown
