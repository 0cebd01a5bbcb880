"""How a gate learns that a person stopped its session: a long poll on the gates' socket.

A server that went away is waited for: its absence stops nothing that runs, as nothing new is allowed meanwhile. What is wrong in
any other way (the session is unknown, junk on the socket) raises, and a gate that can't hear the kill switch any more says so.
"""

from __future__ import annotations

from keyturn.gates.connection import Connection, RemoteService, Unreachable

SLICE = 25.0
"""Seconds of one question."""


async def stopped(connection: Connection, session: str) -> str:
    """Wait until *session* was stopped: who did it and why, in words. Closed by somebody else counts as stopped, too.

    Raises `ServerSaid` and `NotAnAnswer`.
    """
    service = RemoteService(connection)
    while True:
        try:
            seen = await service.stopped(session, SLICE)
        except Unreachable:
            continue
        if seen.stopped is not None:
            return f"{seen.stopped_by} stopped this session: {seen.stopped_why}"
        if seen.closed is not None:
            return "This session was closed."
