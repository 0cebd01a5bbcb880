"""The gates' protocol over TLS, for gates on other machines: the same frames, with a credential instead of the kernel's word.

Rules kept here:

- Nothing is answered before the other end has shown who it is: a client certificate of this home's authority in the handshake,
  or a frame `A` with a token. Until then frames are short and the time is limited.
- Every message is checked against the ledger of now; when the credential is revoked, replaced or over, the line is hung up.
- A gate speaks in its own name, in sessions that it opened (`service.remote`). Hook calls are local: they need this machine's
  processes and files.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import msgspec

from keyturn.drift.finding import Drift
from keyturn.errors import KeyturnError, Malformed
from keyturn.gates import protocol as wire
from keyturn.gates.socket import GateConnection, no_hooks
from keyturn.identity.credentials import CredentialExpired, CredentialRefused
from keyturn.service import callers, findings, remote
from keyturn.service.attempts import TooManyTries
from keyturn.service.authority import fingerprint_of, secret_of
from keyturn.service.callers import Caller
from keyturn.service.errors import Forbidden, Unauthenticated
from keyturn.service.keyturn import Keyturn

AUTHENTICATE_SECONDS = 10.0
"""How long a connection may say nothing about who it is."""
MAX_FIRST_FRAME = 16_384
MOST_STRANGERS = 256
"""Connections that have not shown who they are; more are hung up on."""
LOOK_SECONDS = 300.0
"""A credential that stands is looked at again at least this often: clocks may be set."""


class RemoteGateConnection(GateConnection):
    """One gate's TLS connection."""

    def __init__(self, service: Keyturn, lines: Lines, on_error: Callable[[BaseException], None]) -> None:
        super().__init__(service, no_hooks, on_error)
        self._keyturn = service
        self._lines = lines
        self._machine = ""
        self._certificate = ""
        self._timer: asyncio.TimerHandle | None = None
        self.caller: Caller | None = None
        self.limit = MAX_FIRST_FRAME

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take down where it comes from and its certificate, if it has one."""
        self._transport = transport  # type: ignore[assignment]
        address = transport.get_extra_info("peername")
        self._machine = str(address[0]) if address else ""
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        self._certificate = fingerprint_of(der) if der else ""
        self._timer = asyncio.get_running_loop().call_later(AUTHENTICATE_SECONDS, self.look)
        if not self._lines.add(self):
            self._close()
            return
        if self._certificate:
            try:
                self._known(self._by_certificate())
            except KeyturnError:
                return  # its token may be good: one that is bound to this certificate

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._lines.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def look(self) -> None:
        """Hang up unless the credential still stands; look again when it ends."""
        if self._transport is None or self._transport.is_closing():
            return
        row = self._keyturn.core.ledger.row("credential", self.caller.credential) if self.caller else None
        try:
            if row is None:
                raise Unauthenticated("Nothing was shown.")
            callers.require_standing(self._keyturn.core, row)
            _require_time(self._keyturn, self.caller)
        except KeyturnError:
            self._transport.abort()
            return
        ends = min(
            row["expires"], row.get("until") or row["expires"], self.caller.expires if self.caller else 0
        )
        left = max(0.0, (ends - self._keyturn.core.now()) / 1000)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(min(left, LOOK_SECONDS) + 0.01, self.look)

    async def _answer(self, frame: bytes) -> None:
        if frame[:1] == b"A":
            self._authenticate(frame)
        else:
            await super()._answer(frame)

    def _authenticate(self, frame: bytes) -> None:
        attempts = self._keyturn.attempts
        try:
            attempts.check(self._machine)
            token = frame[1:].decode("ascii", "replace")
            self._known(self._keyturn.identify(token, self._machine, self._certificate))
            self._send(b"A")
        except KeyturnError as error:
            try:
                if not isinstance(error, TooManyTries):
                    attempts.failed(self._machine)
            except TooManyTries as many:
                error = many
            self._refuse(frame, error)
            self._close()

    def _by_certificate(self) -> Caller:
        return callers.by_secret(self._keyturn.core, secret_of(self._certificate), machine=self._machine)

    def _known(self, caller: Caller) -> None:
        self.caller = caller
        self.limit = wire.MAX_FRAME
        self.look()
        shared = self._lines.elsewhere(self)
        if shared is not None:
            task = asyncio.get_running_loop().create_task(self._shared(caller, shared))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _shared(self, caller: Caller, other: str) -> None:
        """One credential on lines from two machines."""
        pair = sorted((caller.machine, other))
        words = findings.from_two_machines(caller.credential, caller.holder, pair)
        subject = {"credential": caller.credential, "holder": caller.holder, "machines": pair}
        try:
            await findings.record(
                self._keyturn.core, Drift("credential.shared", (caller.credential, *pair), words, subject)
            )
        except KeyturnError as error:
            self._on_error(error)

    async def _handle(self, ask: wire.Ask) -> wire.Answer:
        caller = self._standing()
        self._require(caller, ask)
        match ask:
            case wire.OpenSession():
                return wire.Answer(ask.id, session=await self._opened(caller, ask))
            case wire.Authorize():
                action = remote.attributed(self._keyturn, caller, ask.action)
                outcome = await self._service.authorize(
                    action, ask.around, consume=ask.consume, within=ask.within
                )
                return wire.Answer(ask.id, outcome=outcome)
            case wire.ProposePlan():
                steps = [
                    msgspec.structs.replace(
                        step, action=remote.attributed(self._keyturn, caller, step.action)
                    )
                    for step in ask.steps
                ]
                return wire.Answer(ask.id, plan=await self._service.propose_plan(steps, ask.why, ask.seconds))
            case wire.Begin():
                raise Malformed("Hooks are local: nothing that one allowed begins on another machine.")
        return await self._heard(ask)

    def _standing(self) -> Caller:
        """Who it is, if that still stands. Raises `Unauthenticated`, `CredentialRefused`."""
        if self.caller is None:
            raise Unauthenticated("Show a client certificate, or send a token in a frame `A` first.")
        row = self._keyturn.core.ledger.row("credential", self.caller.credential)
        if row is None:
            raise CredentialRefused("The credential is not there any more.")
        callers.require_standing(self._keyturn.core, row)
        _require_time(self._keyturn, self.caller)
        return self.caller

    def _require(self, caller: Caller, ask: wire.Ask) -> None:
        """Raises `Forbidden` and its kin for what is not *caller*'s."""
        core = self._keyturn.core
        match ask:
            case wire.CloseSession() | wire.WaitStop() | wire.Instruct() | wire.Standing() | wire.Define():
                remote.require_own(core, caller, ask.session)
            case wire.Claim() | wire.Wait() | wire.Withdraw():
                remote.require_own_request(core, caller, ask.request)
            case wire.Report():
                remote.require_own_action(core, caller, ask.receipt.action)
        named = ask.gate if isinstance(ask, wire.Claim | wire.Consume) else caller.gate
        if named != caller.gate:
            raise Forbidden(f"This credential is the gate {caller.gate}'s, not {named[:80]}'s.")

    async def _opened(self, caller: Caller, ask: wire.OpenSession) -> Any:
        return await remote.open_session(
            self._keyturn,
            caller,
            ask.agent,
            cwd=ask.cwd,
            client_session=ask.client_session,
            parents=ask.parents,
            definition=ask.definition,
            human=ask.human.person if ask.human else None,
            token=ask.token,
            version=ask.gate.version,
            described=ask.described,
        )


def _require_time(service: Keyturn, caller: Caller | None) -> None:
    """A workload's SVID ends sooner than what it was mapped to. Raises `CredentialExpired`."""
    if caller is not None and service.core.now() >= caller.expires:
        raise CredentialExpired("What was shown has expired.")


class Lines:
    """The connections that are open."""

    def __init__(self) -> None:
        self._open: set[RemoteGateConnection] = set()

    def add(self, line: RemoteGateConnection) -> bool:
        """Whether there is room for it: strangers are few at a time."""
        if sum(one.caller is None for one in self._open) >= MOST_STRANGERS:
            return False
        self._open.add(line)
        return True

    def remove(self, line: RemoteGateConnection) -> None:
        """It was hung up."""
        self._open.discard(line)

    def look(self) -> None:
        """Something changed about credentials: whose stands no more is hung up on."""
        for line in list(self._open):
            if line.caller is not None:
                line.look()

    def elsewhere(self, line: RemoteGateConnection) -> str | None:
        """Another machine from which the same credential is on a line now."""
        own = line.caller
        if own is None:
            return None
        for one in self._open:
            other = one.caller
            if other is not None and other.credential == own.credential and other.machine != own.machine:
                return other.machine
        return None


def context(certificate: str, key: str | None, authority: str) -> ssl.SSLContext:
    """TLS 1.3 with our certificate; clients may show one of *authority* (PEM text)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(certificate, key)
    made.load_verify_locations(cadata=authority)
    made.verify_mode = ssl.CERT_OPTIONAL
    return made


async def serve_remote_gates(
    host: str,
    port: int,
    tls: ssl.SSLContext,
    service: Keyturn,
    lines: Lines,
    on_error: Callable[[BaseException], None],
) -> asyncio.Server:
    """Listen with TLS. Keep the result: when it is collected, the listener closes."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: RemoteGateConnection(service, lines, on_error), host, port, ssl=tls, ssl_handshake_timeout=10
    )


__all__ = ["Lines", "RemoteGateConnection", "context", "serve_remote_gates"]
