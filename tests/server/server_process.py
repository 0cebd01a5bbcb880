"""A real server in its own process, and real gates that talk to it over its socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell, Text
from keyturn.cli.init import create
from keyturn.gates import protocol as wire
from keyturn.home import Home
from keyturn.resources import Surroundings


class Process:
    """`keyturn serve` on a home. `kill` is SIGKILL; `start` may follow it."""

    def __init__(self, home: Home, *, environ: dict[str, str] | None = None) -> None:
        self.home = home
        self.url = ""
        self._environ = {**os.environ, **(environ or {})}
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        """Start, and return once everything listens."""
        log = (self.home.root / "server.log").open("ab")
        self._child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "keyturn",
                "serve",
                "--home",
                str(self.home.root),
                "--port",
                "0",
                "--json",
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            env=self._environ,
        )
        log.close()
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, (self.home.root / "server.log").read_text()[-3000:]
        self.url = json.loads(line)["url"]
        return self

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._child is not None
        return self._child.pid

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        if self._child is None or self._child.poll() is not None:
            return 0
        self._child.terminate()
        return self._child.wait(120)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Process]:
    """A fresh home and its server."""
    home = Home(folder / "home")
    create(home, "dana", "Dana", "enforce")
    process = Process(home).start()
    try:
        yield process
    finally:
        process.stop()


class GateClient:
    """A gate: blocking, one message at a time."""

    def __init__(self, home: Home, name: str = "test") -> None:
        self.gate = Gate(name, "cooperative")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(home.gate_socket))
        answer = self.ask(wire.OpenSession(0, Agent("test-agent"), self.gate, "/"))
        assert answer.session is not None, answer
        self.session = answer.session.id

    def ask(self, message: wire.Ask) -> wire.Answer:
        """Send, and wait for the answer. Raises OSError or EOFError when the server is gone."""
        body = self.exchange(b"M" + msgspec.msgpack.encode(message))
        assert body[:1] == b"M", body
        return msgspec.msgpack.decode(body[1:], type=wire.Answer)

    def exchange(self, body: bytes) -> bytes:
        """One raw frame and the frame that answers it."""
        self._socket.sendall(struct.pack(">I", len(body)) + body)
        (size,) = struct.unpack(">I", self._read(4))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self._socket.recv(size - len(data))
            if not chunk:
                raise EOFError("the server is gone")
            data += chunk
        return data

    def authorize(self, command: str, **changes: Any) -> wire.Answer:
        """Ask for a shell command in /srv/project."""
        who = Attribution(Agent("test-agent"), Human("dana", "os-uid", os.getuid()), Text("do it", "test"))
        action = Action(Shell(command), who, self.gate, self.session, "/srv/project", **changes)
        around = Surroundings("/srv/project", "/srv/project", "/home/dana")
        return self.ask(wire.Authorize(1, action, around))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
