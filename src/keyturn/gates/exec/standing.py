"""Which policy decides now, for the thread that has to know before it lets anything start.

A remembered *yes* holds only under the policy that gave it, in a session that is open, while the server answers. Rules kept here:

- The server hangs up on this line before it confirms a change after which answers may differ (`service.watches`). So a line that
  is quiet, looked at when the exec is already waiting, says that whatever was confirmed before that exec is heeded.
- A line that was hung up on, broken, or has anything to read is no line: it is asked anew, on another one, which has
  another number. What was asked for under one number is used under that number only: an answer that was on its way while
  something changed is never taken for a new one.
- The rules in a workspace are files, which change without the server: while there are any, it is asked each time.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import struct
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from keyturn.gates import protocol as wire
from keyturn.policy.overlay import FOLDER

_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[wire.Answer] = msgspec.msgpack.Decoder(wire.Answer)

ANSWER_SECONDS = 10.0
"""How long an answer may take. After that nothing remembered is used, and the server is asked properly."""
BACK_SECONDS = 5.0
"""How long a server that didn't answer in time is not asked again."""


class Standing(Struct, frozen=True):
    """The digest of the policy that decides now, and the `number` of the line that said so."""

    policy: str
    number: int


class StandingLine:
    """A line to the gates' socket at *path*, for one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._poll = select.poll()
        self._ids = itertools.count(1)
        self._number = 0
        self._quiet: Standing | None = None
        self._asked_again = 0.0

    def standing(self, session: str, workspace: str) -> Standing | None:
        """What stands now; None when the server is away or the session is not open."""
        alone = not has_rules(workspace)
        if alone and self._quiet is not None and self.quiet():
            return self._quiet
        if time.monotonic() < self._asked_again:
            return None
        for _ in range(2):  # a server that was restarted hung up on the line: it is tried once more
            try:
                policy = self._asked(session, workspace)
                if policy is None:
                    break
                found = Standing(policy, self._number)
                self._quiet = found if alone else None
                return found
            except TimeoutError:  # it hangs: whoever starts a program must not wait for that each time
                self._asked_again = time.monotonic() + BACK_SECONDS
                break
            except (OSError, msgspec.MsgspecError, EOFError):
                self.close()
        self.close()
        return None

    def quiet(self) -> bool:
        """Whether the line stands and nothing came over it, not even its end."""
        return self._socket is not None and not self._poll.poll(0)

    def close(self) -> None:
        """Hang up."""
        self._quiet = None
        if self._socket is not None:
            self._poll.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _asked(self, session: str, workspace: str) -> str | None:
        if self._socket is not None and not self.quiet():
            self.close()
        if self._socket is None:
            self._connect()
        assert self._socket is not None
        ask = wire.Standing(next(self._ids), session, workspace, watch=True)
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

    def _connect(self) -> None:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket = line
        self._poll.register(line, select.POLLIN)
        self._number += 1
        line.settimeout(ANSWER_SECONDS)
        line.connect(str(self._path))

    def _exactly(self, count: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


def has_rules(workspace: str) -> bool:
    """Whether rules may lie in *workspace*: its folder for them is there, or can't be looked for."""
    if not workspace:
        return False
    try:
        os.stat(os.path.join(workspace, FOLDER))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


__all__ = ["Standing", "StandingLine", "has_rules"]
