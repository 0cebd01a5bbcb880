"""Sessions: agent runs, with their instructions and closing counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from keyturn.actions import Agent, Gate, Human, Text
from keyturn.ledger.entries import Draft, Rows
from keyturn.service.core import Core
from keyturn.service.errors import SessionClosed, SessionStopped, StopUnexplained, UnknownSession
from keyturn.service.model import SessionView
from keyturn.service.projections import session_key

MAX_WHY = 2_000
"""Characters of a stop's reason that are recorded."""


async def open_session(
    core: Core,
    *,
    agent: Agent,
    human: Human | None,
    gate: Gate,
    cwd: str,
    client_session: str,
    parents: tuple[str, ...],
    definition: str | None,
    pid: int | None,
) -> SessionView:
    """Open a session, or give the open one of that gate with that `client_session`."""
    session = core.id("s")
    found: list[str] = []

    def plan(rows: Rows) -> Sequence[Draft]:
        found.clear()  # a plan may be run again, so it starts from nothing each time
        known = rows.row("session-key", session_key(gate.name, client_session)) if client_session else None
        if known is not None:
            found.append(known["session"])
            return []
        fields: dict[str, Any] = {
            "agent": to_builtins(agent),
            "human": to_builtins(human) if human else None,
            "gate": to_builtins(gate),
            "cwd": cwd,
            "client_session": client_session,
            "parents": list(parents),
            "definition": definition,
            "pid": pid,
        }
        return [*_gate_seen(rows, gate, agent), Draft("session.opened", fields, session=session)]

    await core.ledger.append(plan)
    return view(core, found[0] if found else session)


def _gate_seen(rows: Rows, gate: Gate, agent: Agent) -> list[Draft]:
    """An entry when a gate is first seen, or with another version or level. One with a token was enrolled by a person."""
    known = rows.row("gate", gate.name)
    now = {"assurance": gate.assurance, "version": gate.version}
    if known is not None and (known.get("token") or now == {k: known.get(k) for k in now}):
        return []
    return [Draft("gate.started", {"name": gate.name, **now, "client": agent.client})]


async def close_session(
    core: Core, session: str, why: str, recording: dict[str, Any] | None = None
) -> SessionView:
    """Close with the closing count. Waiting requests of the session are withdrawn in the same commit."""
    fields = {"why": why, **({"recording": recording} if recording else {})}

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("session", session)
        if row is None:
            raise UnknownSession(f"There is no session {session}.")
        if row.get("closed"):
            return []
        return [
            *_withdrawn(row, "Its session ended."),
            Draft("session.closed", fields, session=session),
        ]

    await core.ledger.append(plan)
    return view(core, session)


def _withdrawn(row: dict[str, Any], why: str) -> list[Draft]:
    """The end of every request of the session that waits."""
    return [
        Draft(
            "request.ended",
            {"request": request, "state": "withdrawn", "why": why, "by": "session"},
            session=row["id"],
            once=f"request.ended:{request}",
        )
        for request in row["waiting"]
    ]


async def stop_session(core: Core, session: str, person: str, why: str) -> SessionView:
    """The kill switch: from this entry on nothing is allowed in the session. The first stop stands.

    Raises `UnknownSession`, `SessionClosed`, `StopUnexplained`.
    """
    why = why.strip()[:MAX_WHY]
    if not why:
        raise StopUnexplained("A stop needs a reason.")

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("session", session)
        if row is None:
            raise UnknownSession(f"There is no session {session}.")
        if row.get("closed"):
            raise SessionClosed(
                f"The session {session} has ended already.",
                next_step="There is nothing left to stop; `keyturn session show` says how it ended.",
            )
        if row.get("stopped"):
            return []
        return [
            *_withdrawn(row, "Its session was stopped."),
            Draft("session.stopped", {"by": person, "why": why}, session=session),
        ]

    await core.ledger.append(plan)
    return view(core, session)


async def stopped(core: Core, session: str, timeout: float) -> SessionView:
    """The session once it was stopped or closed, or as it is after *timeout* seconds. Raises `UnknownSession`."""
    try:
        async with asyncio.timeout(timeout):
            # Nothing is awaited between the look and the waiting, so a stop can't slip through.
            while not _over(core, session):
                await core.waiters.setdefault(session, asyncio.Event()).wait()
    except TimeoutError:
        pass
    return view(core, session)


def _over(core: Core, session: str) -> bool:
    row = core.ledger.row("session", session)
    if row is None:
        raise UnknownSession(f"There is no session {session}.")
    return bool(row.get("stopped") or row.get("closed"))


async def instruct(core: Core, session: str, instruction: Text) -> None:
    """Record an instruction."""

    def plan(rows: Rows) -> Sequence[Draft]:
        require_open(rows, session)
        return [Draft("session.instructed", {"instruction": to_builtins(instruction)}, session=session)]

    await core.ledger.append(plan)


def require_open(rows: Rows, session: str) -> dict[str, Any]:
    """The session's row. Raises `UnknownSession`, `SessionClosed`, `SessionStopped`."""
    row = rows.row("session", session)
    if row is None:
        raise UnknownSession(f"There is no session {session}.")
    if row.get("closed"):
        raise SessionClosed(f"The session {session} was closed.")
    if row.get("stopped"):
        raise SessionStopped(f"{row['stopped_by']} stopped this session: {row['stopped_why']}")
    return row


def require_own(rows: Rows, session: str, gate: str, human: str | None) -> None:
    """Nobody acts in a session of another gate or another human. Raises `UnknownSession`, `SessionClosed`."""
    row = require_open(rows, session)
    opened_for = row["human"]["person"] if row.get("human") else None
    if row["gate"]["name"] != gate or opened_for != human:
        raise UnknownSession(f"The session {session} is another gate's or another person's.")


def view(core: Core, session: str) -> SessionView:
    """The session as shown. Raises `UnknownSession`."""
    row = core.ledger.row("session", session)
    if row is None:
        raise UnknownSession(f"There is no session {session}.")
    human = core.full(row.get("human"))
    agent = core.full(row["agent"])
    return SessionView(
        id=row["id"],
        agent=agent["name"],
        client=agent.get("client", ""),
        human=human["person"] if human else None,
        gate=row["gate"]["name"],
        opened=row["opened"],
        entries=core.ledger.session_last(session),
        closed=row.get("closed"),
        stopped=row.get("stopped"),
        stopped_by=row.get("stopped_by", ""),
        stopped_why=row.get("stopped_why", ""),
        recording=(row.get("recording") or {}).get("digest", ""),
    )
