"""Who is at the other end of an HTTP connection, and that no agent's process changes anything with a person's secret.

Rules kept here (promise 6):

- A token or web session is a person's; used from inside an agent's session to change something it is somebody else's hand.
  That is refused whatever the route, and a finding is opened: the secret has to be replaced.
- Where the caller runs is the kernel's word: the local socket's peer, or the owner of the other end of a loopback
  connection. A process elsewhere, or one hidden behind a relay that was there before, is not seen (threat model).
- Reading is not refused: it changes nothing, and what rules protect is the token itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Collection
from typing import Any

import msgspec
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from keyturn.channels.web.guard import device_cookie, session_cookie
from keyturn.drift.finding import Drift
from keyturn.errors import KeyturnError
from keyturn.identity import Person, tokens
from keyturn.identity.credentials import CredentialRefused
from keyturn.service import callers, calling, findings, processes
from keyturn.service.calling import Origin
from keyturn.service.errors import FromAgent, InTheClear
from keyturn.service.keyturn import Keyturn
from keyturn.service.same_places import account

UNIX = "unix:"
_PEERCRED = struct.Struct("3i")
_READS = ("GET", "HEAD", "OPTIONS")


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP protocol that also says who is connected to a local socket: `client` is (`unix:<uid>`, pid)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take down the peer."""
        super().connection_made(transport)  # type: ignore[arg-type]
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX and hasattr(socket, "SO_PEERCRED"):
            raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
            pid, uid, _ = _PEERCRED.unpack(raw)
            self.client = (f"{UNIX}{uid}", pid)


class NotInTheClear(ASGIMiddleware):
    """Secrets that crossed a network in the clear are not taken: from another machine, only through a known proxy with TLS."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, proxies: Collection[str]) -> None:
        self._proxies = frozenset(proxies)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look, then hand on."""
        headers = Headers.from_scope(scope)
        carries = "authorization" in headers or session_cookie(headers) is not None
        if carries and scope["scheme"] == "http" and not self._near(scope.get("client")):
            await _answer(
                InTheClear("Your token came over the network in the clear: take it for known."), send
            )
            return
        await next_app(scope, receive, send)

    def _near(self, client: Any) -> bool:
        """This machine, or a proxy in front. Without an address it is the local socket."""
        host = str(client[0]) if client else ""
        return not host or host.startswith(UNIX) or host in self._proxies or processes.is_loopback(host)


class PeopleOnly(ASGIMiddleware):
    """In front of every route: a person's secret changes nothing from inside an agent's session; and where a call comes from is known."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, service: Keyturn, proxies: Collection[str] = ()) -> None:
        self._service = service
        self._proxies = frozenset(proxies)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look, then hand on."""
        if scope.get("method") not in _READS:
            headers = Headers.from_scope(scope)
            pid = await asyncio.to_thread(_pid, scope)
            calling.answering(origin_of(scope, headers, pid, self._proxies))
            person = _person(self._service, headers)
            if person is not None:
                try:
                    await _refuse(self._service, scope, person, pid)
                except KeyturnError as error:
                    await _answer(error, send)
                    return
        await next_app(scope, receive, send)


async def refuse_agents(service: Keyturn, scope: Any, person: Person) -> None:
    """Raises `FromAgent`, and opens a finding, when *person*'s secret comes from inside an agent's session."""
    await _refuse(service, scope, person, await asyncio.to_thread(_pid, scope))


async def _refuse(service: Keyturn, scope: Any, person: Person, pid: int) -> None:
    session = await asyncio.to_thread(processes.session_around, service.core, pid) if pid else None
    if session is None:
        return
    words = f"A token or web session of {person.id} was used from inside the agent's session {session}: replace it, somebody else has it."
    subject = {"person": person.id, "session": session, "route": f"{scope['method']} {scope['path']}"[:300]}
    await findings.record(service.core, Drift("approval.from_agent", (person.id, session), words, subject))
    raise FromAgent(f"This comes from a process of the agent's session {session}.")


def _pid(scope: Any) -> int:
    """The process at the other end of the connection, if that can be seen; else 0."""
    client, server = scope.get("client"), scope.get("server")
    if not client:
        return 0
    host, port = str(client[0]), int(client[1])
    if host.startswith(UNIX):
        return port
    if not server or server[1] is None or not processes.is_loopback(host):
        return 0
    return processes.owner_of_tcp((str(server[0]), int(server[1])), (host, port))


def origin_of(scope: Any, headers: Headers, pid: int, proxies: Collection[str]) -> Origin:
    """From where a call comes. What a relay adds is taken for an address only from this machine or one of *proxies*."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    device = device_cookie(headers) or ""
    if host.startswith(UNIX):
        return Origin(device, account(int(host.removeprefix(UNIX))))
    relay = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if relay and (processes.is_loopback(host) or host in proxies):
        return Origin(device, "", relay[:64], True)
    if processes.is_loopback(host):
        uid = processes.owner(pid)
        return Origin(device, account(uid) if uid is not None else "")
    return Origin(device, "", "" if host in proxies else host)


def _person(service: Keyturn, headers: Headers) -> Person | None:
    """Whose token or web session the request carries."""
    token = headers.get("authorization", "").partition(" ")[2].strip()
    if tokens.token_prefix(token) == "ktp":
        with contextlib.suppress(CredentialRefused):
            found = callers.person_by_token(service.core, token)
            if found is not None:
                return found.person
    cookie = session_cookie(headers)  # also beside a token that opens nothing: pages don't look at tokens
    return service.logins.person(cookie) if cookie else None


async def _answer(error: KeyturnError, send: Send) -> None:
    body = msgspec.json.encode(error.as_json())
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start: Message = {"type": "http.response.start", "status": error.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
