"""Which policy decides now: asked on a connection of its own, from the thread that has to know before it lets anything start.

A remembered *yes* holds only under the policy that gave it, in a session that is open, while the server answers.
"""

from __future__ import annotations

import itertools
import socket
import struct
from pathlib import Path

import msgspec

from keyturn.gates import protocol as wire

_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[wire.Answer] = msgspec.msgpack.Decoder(wire.Answer)

ANSWER_SECONDS = 2.0
"""How long an answer may take. After that nothing remembered is used, and the server is asked properly."""


class StandingLine:
    """A blocking line to the gates' socket at *path*, for one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._ids = itertools.count(1)

    def policy(self, session: str, workspace: str) -> str | None:
        """The digest of the policy that decides now; None when the server is away or the session is not open."""
        for _ in range(2):  # a server that was restarted hung up on the line: it is tried once more
            try:
                return self._asked(wire.Standing(next(self._ids), session, workspace))
            except (OSError, msgspec.MsgspecError, EOFError):
                self.close()
        return None

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _asked(self, ask: wire.Standing) -> str | None:
        if self._socket is None:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            line.settimeout(ANSWER_SECONDS)
            self._socket = line
            line.connect(str(self._path))
        body = b"M" + _ENCODER.encode(ask)
        self._socket.sendall(_LENGTH.pack(len(body)) + body)
        (length,) = _LENGTH.unpack(self._exactly(4))
        if length > wire.MAX_FRAME:
            raise EOFError
        answer = self._exactly(length)
        if answer[:1] != b"M":
            return None
        told = _DECODER.decode(answer[1:])
        if told.id != ask.id:
            raise EOFError
        return told.policy if told.error is None else None

    def _exactly(self, count: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data
