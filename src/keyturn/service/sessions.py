"""Sessions: agent runs, with their instructions and closing counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import to_builtins
from msgspec.structs import replace

from keyturn.actions import Agent, Gate, Human, Text
from keyturn.drift.definition import Definition
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import defining, definitions, findings
from keyturn.service.core import Core
from keyturn.service.errors import SessionClosed, SessionStopped, StopUnexplained, UnknownSession
from keyturn.service.model import Opener, SessionView
from keyturn.service.projections import session_key
from keyturn.service.tagging import tags_of

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
    opener: Opener | None = None,
    chain: tuple[str, ...] = (),
    described: Definition | None = None,
) -> SessionView:
    """Open a session, or give the open one of that gate with that `client_session` to whoever speaks for it."""
    session = core.id("s")
    found: list[str] = []
    what = definitions.told(described, definition, core.redaction.text)
    person = human.person if human else None

    def plan(rows: Rows) -> Sequence[Draft]:
        found.clear()  # a plan may be run again, so it starts from nothing each time
        known = rows.row("session-key", session_key(gate.name, client_session)) if client_session else None
        if known is not None and _stands_behind(core, rows, known["session"], chain):
            check_opener(rows, known["session"], opener)
            found.append(known["session"])
            return []
        fields: dict[str, Any] = {
            "agent": to_builtins(agent),
            "human": to_builtins(human) if human else None,
            "gate": to_builtins(gate),
            "cwd": cwd,
            "client_session": client_session,
            "parents": list(parents),
            "definition": what.digest if what else None,
            **({"place": what.place} if what and what.place else {}),
            "pid": pid,
            "opener": to_builtins(opener) if opener else None,
            "chain": list(chain),
        }
        return [
            *_gate_seen(rows, gate, agent),
            *definitions.seen(core, rows, what, agent, person, session),
            Draft("session.opened", fields, session=session),
            *findings.of_use(core, rows, opener, what.digest if what else None, session),
        ]

    await core.ledger.append(plan)
    if found:
        await _defined(core, found[0], what)
    await defining.ask(core, found[0] if found else session)
    opened, tags = view(core, found[0] if found else session), tags_of(core)
    return replace(opened, tag=tags.tag(opened.id), trace=tags.trace(opened.id))


async def define(core: Core, session: str, described: Definition) -> None:
    """Record what the session's agent is from here on, where that is something else than before."""
    await _defined(core, session, definitions.told(described, None, core.redaction.text))
    await defining.ask(core, session)


async def _defined(core: Core, session: str, what: definitions.Told | None) -> None:
    if what is None:
        return

    def plan(rows: Rows) -> Sequence[Draft]:
        row = require_open(rows, session)
        if (row.get("definition"), row.get("place", "")) == (what.digest, what.place):
            return []
        agent = msgspec.convert(core.full(row["agent"]), Agent)
        human = core.full(row.get("human"))
        fields = {"definition": what.digest, "place": what.place}
        return [
            *definitions.seen(core, rows, what, agent, human["person"] if human else None, session),
            Draft("session.defined", fields, session=session),
        ]

    await core.ledger.append(plan)


def _stands_behind(core: Core, rows: Rows, session: str, chain: tuple[str, ...]) -> bool:
    """Whether everybody of *chain* stands behind *session* already: else it is not theirs to go on with."""
    return set(chain) <= set(core.full((rows.row("session", session) or {}).get("chain", ())))


def _gate_seen(rows: Rows, gate: Gate, agent: Agent) -> list[Draft]:
    """An entry when a gate is first seen, or with another version or level. One with a token was enrolled by a person."""
    known = rows.row("gate", gate.name)
    now = {"assurance": gate.assurance, "version": gate.version}
    enrolled = known is not None and (known.get("token") or known.get("enrolled_entry"))
    if known is not None and (enrolled or now == {k: known.get(k) for k in now}):
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
        return stopping(rows, session, person, why)

    await core.ledger.append(plan)
    return view(core, session)


def stopping(rows: Rows, session: str, by: str, why: str, response: str = "") -> list[Draft]:
    """What stops it: nothing where it is over or was stopped before. *response*: the one to a finding that does it."""
    row = rows.row("session", session)
    if row is None or row.get("closed") or row.get("stopped"):
        return []
    return [
        *_withdrawn(row, "Its session was stopped."),
        Draft(
            "session.stopped",
            {"by": by, "why": why, **({"response": response} if response else {})},
            session=session,
        ),
    ]


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


def check_opener(
    rows: Rows,
    session: str,
    speaker: Opener | None,
    alive: Callable[[int, int], bool] = lambda pid, started: True,
) -> None:
    """Only who opened a session speaks for it. Raises `UnknownSession`, which also says that it is there to nobody else.

    A process of the same account speaks for it once the one that opened it is gone (*alive*: pid and start): somebody has to
    close what a killed gate left. Sessions of earlier versions say nothing about who opened them.
    """
    row = rows.row("session", session)
    if row is None:
        raise UnknownSession(f"There is no session {session}.")
    opener = row.get("opener")
    if opener is None and (speaker is None or speaker.credential == ""):
        return
    if opener is None or speaker is None or opener["holder"] != speaker.holder:
        raise UnknownSession(f"The session {session} is another gate's or another person's.")
    itself = (opener["pid"], opener["started"]) == (speaker.pid, speaker.started)
    if opener["pid"] and not itself and alive(opener["pid"], opener["started"]):
        raise UnknownSession(f"The session {session} is another process's, which still runs.")


def session_of(rows: Rows, request: str, action: str) -> tuple[str, ...]:
    """The session of *request* or *action*. An action that a hook allowed and another gate saw begin is that gate's."""
    row = rows.row("request", request) if request else rows.row("action", action)
    if row is None:
        return ()
    session = (row.get("started") or {}).get("session") or row.get("session")
    return (str(session),) if session else ()


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
