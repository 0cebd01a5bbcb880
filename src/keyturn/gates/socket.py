"""The gates' end of the server: frames on the Unix socket (see `gates.protocol`), many at once per connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from keyturn.actions import Action, Gate
from keyturn.errors import KeyturnError, Malformed, TooLarge
from keyturn.gates import protocol as wire
from keyturn.gates.hooks.model import HookAnswer, HookCall
from keyturn.gates.hooks.starts import Asked, Starts
from keyturn.service.interface import Service
from keyturn.service.model import Begun, Opener, Peer
from keyturn.service.processes import alive, started

HookHandler = Callable[[HookCall, Peer], Awaitable[HookAnswer]]

_LENGTH = struct.Struct(">I")
_PEERCRED = struct.Struct("3i")
_DECODER: msgspec.msgpack.Decoder[wire.Ask] = msgspec.msgpack.Decoder(wire.Ask)
_ENCODER = msgspec.msgpack.Encoder()


class GateConnection(asyncio.Protocol):
    """One gate's connection. Never lets an exception out: a gate that hears nothing must fail closed by itself."""

    def __init__(
        self,
        service: Service,
        hook: HookHandler,
        on_error: Callable[[BaseException], None],
        starts: Starts | None = None,
    ) -> None:
        self.limit = wire.MAX_FRAME
        self._service = service
        self._hook = hook
        self._starts = starts
        self._on_error = on_error
        self._buffer = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._peer = Peer(-1, -1, -1)
        self._speaker = Opener("uid:-1")
        self._end_watch: Callable[[], None] = _nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take down who is at the other end."""
        self._transport = transport  # type: ignore[assignment]
        self._peer = _peer_of(transport.get_extra_info("socket"))
        self._speaker = Opener(f"uid:{self._peer.uid}", self._peer.pid, started(self._peer.pid))

    def data_received(self, data: bytes) -> None:
        """Collect frames; each is answered by its own task."""
        self._buffer += data
        while len(self._buffer) >= 4:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self.limit:
                self._send(
                    _error_frame(TooLarge(f"A frame of {length:,} bytes; at most {self.limit:,} are read."))
                )
                self._close()
                return
            if len(self._buffer) < 4 + length:
                return
            frame = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            task = asyncio.get_running_loop().create_task(self._answer(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """A gate that left gets no answer; what was recorded stays recorded, a held request goes on waiting."""
        self._end_watch()
        self._end_watch = _nothing
        for task in self._tasks:
            task.cancel()

    async def _answer(self, frame: bytes) -> None:
        try:
            if frame[:1] == b"H":
                self._send(_hook_frame(await self._hook(_hook_call(frame), self._peer)))
            elif frame[:1] == b"M":
                self._send(b"M" + _ENCODER.encode(await self._message(frame[1:])))
            else:
                raise Malformed("The frame starts with neither H nor M.")
        except KeyturnError as error:
            self._refuse(frame, error)
        except Exception as error:  # the boundary: words to the gate, the traceback to the log
            self._on_error(error)
            self._refuse(frame, KeyturnError("Keyturn failed inside."))

    def _refuse(self, frame: bytes, error: KeyturnError) -> None:
        if frame[:1] == b"H":  # status 2 with words on stderr is a denial for every client that is hooked
            self._send(_hook_frame(HookAnswer(stderr=f"keyturn: {error}\n".encode(), status=2)))
        else:
            self._send(_error_frame(error))

    async def _message(self, body: bytes) -> wire.Answer:
        try:
            ask = _DECODER.decode(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Malformed(f"The message is not one that is known: {error}.") from error
        try:
            return await self._handle(ask)
        except KeyturnError as error:
            return wire.Answer(ask.id, error=error.as_json()["error"])
        except Exception as error:
            self._on_error(error)
            return wire.Answer(ask.id, error=KeyturnError("Keyturn failed inside.").as_json()["error"])

    def _own(self, session: str) -> None:
        """Raises `UnknownSession` unless the process at the other end may speak for that session."""
        self._service.check_opener(session, self._speaker, alive)

    async def _handle(self, ask: wire.Ask) -> wire.Answer:
        for session in spoken_for(self._service, ask):
            self._own(session)
        return await self._heard(ask)

    async def _heard(self, ask: wire.Ask) -> wire.Answer:
        """The answer to a message of whoever may say it."""
        service = self._service
        match ask:
            case wire.Authorize():
                action = self._attributed(ask.action)
                outcome = await service.authorize(action, ask.around, consume=ask.consume, within=ask.within)
                return wire.Answer(ask.id, outcome=outcome)
            case wire.ProposePlan():
                steps = [msgspec.structs.replace(s, action=self._attributed(s.action)) for s in ask.steps]
                return wire.Answer(ask.id, plan=await service.propose_plan(steps, ask.why, ask.seconds))
            case wire.Wait():
                return wire.Answer(ask.id, request=await service.wait(ask.request, ask.timeout))
            case wire.Claim():
                outcome = await service.claim(ask.request, ask.digest, ask.gate, consume=ask.consume)
                return wire.Answer(ask.id, outcome=outcome)
            case wire.Consume():
                return wire.Answer(ask.id, action=await service.consume(ask.token, ask.digest, ask.gate))
            case wire.Report():
                await service.report(ask.receipt)
            case wire.OpenSession():
                return wire.Answer(ask.id, session=await self._open_session(ask))
            case wire.Define():
                await service.define(ask.session, ask.described)
            case wire.CloseSession():
                recording = msgspec.to_builtins(ask.recording) if ask.recording else None
                closed = await service.close_session(ask.session, ask.why, recording)
                return wire.Answer(ask.id, session=closed)
            case wire.WaitStop():
                return wire.Answer(ask.id, session=await service.stopped(ask.session, ask.timeout))
            case wire.WaitRevoked():
                revoked = await service.revoked(ask.session, ask.known, ask.timeout)
                return wire.Answer(ask.id, revoked=revoked)
            case wire.Instruct():
                await service.instruct(ask.session, ask.instruction)
            case wire.Withdraw():
                request = await service.withdraw(ask.request, ask.why, by="gate")
                return wire.Answer(ask.id, request=request)
            case wire.Standing():
                if ask.watch:  # before the look, so that no change slips through between them
                    self._watch(ask.session)
                return wire.Answer(ask.id, policy=service.standing(ask.session, ask.workspace))
            case wire.Begin():
                return wire.Answer(ask.id, begun=await self._begun(ask))
            case wire.Confine():
                return wire.Answer(ask.id, confinement=service.confinement(ask.profile))
        return wire.Answer(ask.id)

    def _attributed(self, action: Action) -> Action:
        """*action* with the human whom the kernel knows at the other end, whoever the message names (promise 6)."""
        _require_provable(action.gate)
        who = msgspec.structs.replace(action.attribution, human=self._service.human_of(self._peer))
        return msgspec.structs.replace(action, attribution=who)

    async def _begun(self, ask: wire.Begin) -> Begun | None:
        """What a hook of this server allowed and what begins now; without a desk beside it, nothing."""
        if self._starts is None:
            return None
        human = self._service.human_of(self._peer)
        asked = Asked(ask.session, ask.gate, ask.script, ask.dialect, ask.cwd, ask.executes)
        return await self._starts.begun(asked, human.person if human else None)

    async def _open_session(self, ask: wire.OpenSession) -> Any:
        _require_provable(ask.gate)
        return await self._service.open_session(
            agent=ask.agent,
            human=self._service.human_of(self._peer),
            gate=ask.gate,
            cwd=ask.cwd,
            client_session=ask.client_session,
            parents=ask.parents,
            definition=ask.definition,
            pid=ask.pid,
            opener=self._speaker,
            described=ask.described,
        )

    def _send(self, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_LENGTH.pack(len(body)) + body)

    def _watch(self, session: str) -> None:
        """Have the gate hung up on when answers in *session* may be stale. A descriptor of its own: loops lend theirs to nobody."""
        self._end_watch()
        lent = self._transport.get_extra_info("socket") if self._transport is not None else None
        if lent is None:
            return
        line = socket.socket(fileno=os.dup(lent.fileno()))
        end = self._service.watch(session, lambda: _hang_up(line))

        def ended() -> None:
            end()
            line.close()

        self._end_watch = ended

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def no_hooks(call: HookCall, peer: Peer) -> HookAnswer:
    """Where no hook is answered: they need this machine's processes and files."""
    raise Malformed("Hooks are answered on the local socket only.")


def spoken_for(service: Service, ask: wire.Ask) -> tuple[str, ...]:
    """The sessions that a message speaks for: who opened them is asked before anything else."""
    match ask:
        case wire.Authorize():
            return (ask.action.session,)
        case wire.ProposePlan():
            return tuple({step.action.session for step in ask.steps})
        case (
            wire.CloseSession()
            | wire.WaitStop()
            | wire.Instruct()
            | wire.Standing()
            | wire.Begin()
            | wire.Define()
        ):
            return (ask.session,)
        case wire.Claim() | wire.Withdraw():
            return service.session_of(request=ask.request)
        case wire.Report():
            return service.session_of(action=ask.receipt.action)
    return ()


def _hang_up(line: socket.socket) -> None:
    """From any thread; the other end hears of it before this returns (unix(7))."""
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _nothing() -> None:
    """Where nobody watches, nothing ends it."""


def _require_provable(gate: Gate) -> None:
    """What asks over this socket is a process of the user's: it can't declare itself more than cooperative."""
    if gate.assurance not in ("advisory", "cooperative"):
        raise Malformed(
            f"A gate on this socket is advisory or cooperative, it can't declare itself {gate.assurance}."
        )


def _peer_of(sock: socket.socket | None) -> Peer:
    """SO_PEERCRED on Linux; elsewhere nobody is known, so attribution says `human` is missing."""
    if sock is None or not hasattr(socket, "SO_PEERCRED"):
        return Peer(-1, -1, -1)
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
    pid, uid, gid = _PEERCRED.unpack(raw)
    return Peer(uid, gid, pid)


def _hook_call(frame: bytes) -> HookCall:
    parts = frame[1:].split(b"\0", 5)
    if len(parts) != 6:
        raise Malformed("A hook frame has five fields and then the input.")
    try:
        version, client, event, cwd, parent = (part.decode("utf-8") for part in parts[:5])
        ppid = int(parent)
    except ValueError as error:
        raise Malformed("A hook frame's fields are not UTF-8, or its parent is no number.") from error
    if version != wire.VERSION:
        raise Malformed(
            f"The hook speaks version {version[:10]!r}, this server {wire.VERSION!r}: run `keyturn hook install` again."
        )
    return HookCall(client=client, event=event, cwd=cwd, ppid=ppid, stdin=parts[5])


def _hook_frame(answer: HookAnswer) -> bytes:
    return bytes([answer.status & 255]) + _LENGTH.pack(len(answer.stdout)) + answer.stdout + answer.stderr


def _error_frame(error: KeyturnError) -> bytes:
    return b"E" + msgspec.json.encode(error.as_json())


async def serve_gates(
    path: str,
    service: Service,
    hook: HookHandler,
    on_error: Callable[[BaseException], None],
    starts: Starts | None = None,
) -> asyncio.AbstractServer:
    """Listen on the Unix socket at *path*. Keep the result: when it is collected, the listener closes."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: GateConnection(service, hook, on_error, starts), path)
