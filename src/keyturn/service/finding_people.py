"""Who has a part in what a finding is about: they don't explain, accept or close it, and don't end what followed from it.

That is the agent's owner, the human for whom its sessions ran and everybody further up their chain, whoever the finding itself names,
and the author of the change that explains it. Where a finding names an agent and nothing else is known, it is everybody for whom
that agent ran of late: rather too many than the one who should not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keyturn.actions import Agent, Attribution
from keyturn.drift.finding_life import Involved
from keyturn.service.core import Core
from keyturn.service.errors import ChainTooLong
from keyturn.service.parties import parties_of

Row = dict[str, Any]

NOBODY = Involved()
RECENT = 500
"""Sessions that are looked through for an agent of which nothing else is known."""
_NAMED = ("person", "human", "owner", "people", "author", "authors", "initiator")
"""Members of a finding's subject that name people."""


def involved(core: Core, row: Row) -> Involved:
    """Who has a part in the finding *row*."""
    subject = core.full(row.get("subject")) or {}
    found = {one for name in _NAMED for one in _texts(subject.get(name))}
    uids: set[int] = set()
    sessions = _sessions(core, row, subject)
    for session in sessions:
        behind = behind_session(core, session)
        found |= set(behind.people)
        uids |= set(behind.uids)
    if not found and not uids and subject.get("agent"):
        recent = core.ledger.rows("session", limit=RECENT)
        for one in recent:
            if (core.full(one["agent"]) or {}).get("name") == subject["agent"]:
                behind = behind_session(core, one["id"])
                found |= set(behind.people)
                uids |= set(behind.uids)
    explanation = core.full(row.get("explanation")) or {}
    for change in (explanation.get("change"), row.get("change")):
        found |= set(authors(core, change)) if change else set()
    return Involved(tuple(sorted(found)), tuple(sorted(uids)))


def behind_session(core: Core, session: str) -> Involved:
    """The human and the owner behind one session, and behind all above it."""
    try:
        behind = parties_of(core, session, Attribution(Agent("")))
    except ChainTooLong:
        row = core.ledger.row("session", session) or {}
        human = core.full(row.get("human")) or {}
        behind = {"parties": list(filter(None, [human.get("person")])), "party_uids": []}
    return Involved(tuple(behind["parties"]), tuple(behind["party_uids"]))


def authors(core: Core, change: str) -> tuple[str, ...]:
    """Who asked for the change, and who wrote it."""
    row = core.ledger.row("request", change)
    if row is None:
        return ()
    return tuple(sorted({*row.get("authors", ()), *filter(None, (row.get("initiator"), row.get("owner")))}))


def _sessions(core: Core, row: Row, subject: Row) -> Iterable[str]:
    """The sessions that it names, in which it was opened, and in which the entries behind it stand."""
    named = [*_texts(subject.get("session")), *_texts(subject.get("sessions")), *_texts(row.get("session"))]
    for index in core.full(row.get("entries")) or ():
        entry = core.ledger.entry(int(index)) if 0 <= int(index) < core.ledger.size else None
        if entry is not None and entry.session:
            named.append(entry.session)
    return dict.fromkeys(named)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, (list, tuple)) else ()
