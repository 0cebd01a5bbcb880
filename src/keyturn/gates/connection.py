"""A gate's end of the Unix socket: ask, be answered, and come back after the server was away.

Rules kept here:

- Nobody to ask means no: when the server can't be reached within `patience`, `Unreachable` is raised and nothing runs.
- A held request outlives the server's process: `RemoteService.wait` reconnects and waits on.
- What isn't an answer (junk, another id, too long a frame) is an error, never an allow.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from keyturn.actions import Action, Agent, Gate, Human, Text
from keyturn.drift.definition import Definition
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates import protocol as wire
from keyturn.resources import Surroundings
from keyturn.service.model import (
    Begun,
    Confinement,
    Outcome,
    PlanAnswer,
    Proposed,
    Receipt,
    RequestView,
    Revoked,
    SessionView,
)

PATIENCE = 5.0
"""Seconds that a new question waits for a server that is just being restarted."""

WAIT_SLICE = 25.0
"""Seconds of one wait on the server: short enough that a dead connection is noticed."""

V = TypeVar("V")

_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[wire.Answer] = msgspec.msgpack.Decoder(wire.Answer)


class Unreachable(KeyturnError):
    """Keyturn's server doesn't answer on the gates' socket."""

    code = "gate.unreachable"
    status = 503
    exit_code = ExitCode.UNREACHABLE
    not_done = "Nothing ran."
    next_step = "Start it with `keyturn serve`, then ask again."


class ServerSaid(KeyturnError):
    """The server answered with an error; its own words and code are in the message and in `said`."""

    code = "gate.refused"
    status = 409
    exit_code = ExitCode.REFUSED
    next_step = "Follow the server's words."

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(
            str(said.get("happened", "The server refused.")), next_step=str(said.get("next", "")) or None
        )
        self.said = said

    @property
    def server_code(self) -> str:
        """The stable code of the server's own error."""
        return str(self.said.get("code", ""))


class NotAnAnswer(KeyturnError):
    """What came back on the socket is no answer of this protocol."""

    code = "gate.not_an_answer"
    status = 502
    exit_code = ExitCode.UNREACHABLE
    next_step = "Gate and server may differ in version: run `keyturn doctor`."


class Connection:
    """One connection to the gates' socket at *path*; many questions at once, reconnecting when it must.

    `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._patience = patience
        self._sleep = sleep
        self.clock = clock
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[wire.Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def ask(self, make: Callable[[int], wire.Ask], *, patience: float | None = None) -> wire.Answer:
        """Send the message that *make* builds for an id; its answer. Raises `Unreachable`, `ServerSaid`, `NotAnAnswer`.

        A question whose connection broke is asked again until *patience* seconds (default: the connection's) are over.
        """
        limit = self.clock() + (self._patience if patience is None else patience)
        pause = 0.05
        while True:
            try:
                return await self._ask_once(make)
            except OSError as error:
                if self.clock() >= limit:
                    raise Unreachable(f"Keyturn can't be reached at {self.where}.") from error
            await self._sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _ask_once(self, make: Callable[[int], wire.Ask]) -> wire.Answer:
        writer = await self._connected()
        number = next(self._ids)
        body = b"M" + _ENCODER.encode(make(number))
        if len(body) > wire.MAX_FRAME:
            raise ServerSaid(
                {"code": "input.too_large", "happened": f"The question has {len(body):,} bytes."}
            )
        future: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            writer.write(_LENGTH.pack(len(body)) + body)
            await writer.drain()
            answer = await future
        finally:
            self._pending.pop(number, None)
        if answer.error is not None:
            raise ServerSaid(answer.error)
        return answer

    @property
    def where(self) -> str:
        """The server's place, for people."""
        return str(self._path)

    async def close(self) -> None:
        """Hang up. Questions still open end as `OSError` in their tasks, thus as no."""
        if self._reader_task is not None:
            self._reader_task.cancel()
        if self._writer is not None:
            self._writer.close()
        self._broken(ConnectionResetError("The gate closed its connection."))

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is not None and not self._writer.is_closing():
                return self._writer
            reader, writer = await self._opened()
            self._writer = writer
            self._reader_task = asyncio.get_running_loop().create_task(self._read(reader, writer))
            return writer

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new line to the server, on which messages may be sent. Raises `OSError` when there is none."""
        return await asyncio.open_unix_connection(str(self._path))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        problem: Exception = ConnectionResetError("The server hung up.")
        try:
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(4))
                if length > wire.MAX_FRAME:
                    raise NotAnAnswer(f"The server sent a frame of {length:,} bytes.")
                self._take(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            pass
        except KeyturnError as error:
            problem = error
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
                self._broken(problem)

    def _take(self, body: bytes) -> None:
        if body[:1] == b"E":
            raise ServerSaid(error_of(body[1:]))
        if body[:1] != b"M":
            raise NotAnAnswer("The server's frame starts with neither M nor E.")
        try:
            answer = _DECODER.decode(body[1:])
        except msgspec.MsgspecError as error:
            raise NotAnAnswer(f"The server's answer can't be read: {error}.") from error
        future = self._pending.get(answer.id)
        if future is not None and not future.done():
            future.set_result(answer)

    def _broken(self, problem: Exception) -> None:
        for future in self._pending.values():
            if not future.done():
                future.set_exception(problem)


def error_of(body: bytes) -> dict[str, Any]:
    """What an `E` frame says."""
    try:
        said = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        said = None
    return said if isinstance(said, dict) else {"happened": "The server refused without words."}


class RemoteService:
    """What a gate outside the server uses of `Service`, over a `Connection`. Same names, same meaning, same refusals."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def open_session(
        self,
        *,
        agent: Agent,
        human: Human | None,
        gate: Gate,
        cwd: str,
        client_session: str = "",
        parents: tuple[str, ...] = (),
        definition: str | None = None,
        pid: int | None = None,
        token: str = "",
        described: Definition | None = None,
    ) -> SessionView:
        """See `Service.open_session`. The server takes the human from the socket, whatever *human* says.

        Over TLS *token*, the agent's own, proves for whom it acts.
        """
        answer = await self._connection.ask(
            lambda n: wire.OpenSession(
                n, agent, gate, cwd, human, client_session, parents, definition, pid, token, described
            )
        )
        return _there(answer.session)

    async def define(self, session: str, described: Definition) -> None:
        """See `Service.define`."""
        await self._connection.ask(lambda n: wire.Define(n, session, described))

    async def close_session(
        self, session: str, why: str = "", recording: wire.Recorded | None = None
    ) -> SessionView:
        """See `Service.close_session`."""
        answer = await self._connection.ask(lambda n: wire.CloseSession(n, session, why, recording))
        return _there(answer.session)

    async def stopped(self, session: str, timeout: float) -> SessionView:
        """One wait of `Service.stopped`, at most `WAIT_SLICE` seconds of it."""
        piece = min(timeout, WAIT_SLICE)
        answer = await self._connection.ask(lambda n: wire.WaitStop(n, session, piece), patience=timeout)
        return _there(answer.session)

    async def revoked(self, session: str, known: int) -> tuple[Revoked, ...]:
        """One wait of `Service.revoked`, at most `WAIT_SLICE` seconds of it."""
        asked = lambda n: wire.WaitRevoked(n, session, known, WAIT_SLICE)  # noqa: E731
        return _there((await self._connection.ask(asked, patience=WAIT_SLICE)).revoked)

    async def confinement(self, profile: str) -> Confinement | None:
        """See `Service.confinement`."""
        return (await self._connection.ask(lambda n: wire.Confine(n, profile))).confinement

    async def instruct(self, session: str, instruction: Text) -> None:
        """See `Service.instruct`."""
        await self._connection.ask(lambda n: wire.Instruct(n, session, instruction))

    async def authorize(
        self, action: Action, around: Surroundings, *, consume: bool = False, within: str | None = None
    ) -> Outcome:
        """See `Service.authorize`."""
        return _there(
            (await self._connection.ask(lambda n: wire.Authorize(n, action, around, consume, within))).outcome
        )

    async def propose_plan(self, steps: Sequence[Proposed], why: str, seconds: int) -> PlanAnswer:
        """See `Service.propose_plan`."""
        return _there(
            (await self._connection.ask(lambda n: wire.ProposePlan(n, tuple(steps), why, seconds))).plan
        )

    async def wait(self, request: str, timeout: float) -> RequestView:
        """See `Service.wait`: over as many connections and servers as *timeout* seconds bring."""
        clock = self._connection.clock
        until = clock() + timeout
        while True:
            left = max(0.0, until - clock())
            piece = min(left, WAIT_SLICE)
            asked = lambda n, piece=piece: wire.Wait(n, request, piece)  # noqa: E731
            seen = _there((await self._connection.ask(asked, patience=left)).request)
            if seen.state != "waiting" or clock() >= until:
                return seen

    async def claim(self, request: str, digest: str, gate: str, *, consume: bool = False) -> Outcome:
        """See `Service.claim`."""
        answer = await self._connection.ask(lambda n: wire.Claim(n, request, digest, gate, consume))
        return _there(answer.outcome)

    async def consume(self, token: str, digest: str, gate: str) -> str:
        """See `Service.consume`. Asked once only: a permit whose use was not confirmed must not be used."""
        return _there(
            (await self._connection.ask(lambda n: wire.Consume(n, token, digest, gate), patience=0)).action
        )

    async def withdraw(self, request: str, why: str) -> RequestView:
        """See `Service.withdraw`; it is the gate that gives up."""
        return _there((await self._connection.ask(lambda n: wire.Withdraw(n, request, why))).request)

    async def begin(
        self, session: str, gate: str, script: str, dialect: str, cwd: str, executes: dict[str, str]
    ) -> Begun | None:
        """What a client's hook allowed and what begins with this command; None: nothing, ask for it as it stands.

        Asked once only: an action that may have been used up already is not begun.
        """
        make = lambda n: wire.Begin(n, session, gate, script, dialect, cwd, executes)  # noqa: E731
        return (await self._connection.ask(make, patience=0)).begun

    async def report(self, receipt: Receipt) -> None:
        """See `Service.report`."""
        await self._connection.ask(lambda n: wire.Report(n, receipt))


def _there(value: V | None) -> V:
    if value is None:
        raise NotAnAnswer("The server's answer lacks what was asked for.")
    return value
