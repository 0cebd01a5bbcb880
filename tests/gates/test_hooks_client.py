"""The hook process against sockets that behave badly: whatever happens, silence is a no."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyturn.gates import protocol
from keyturn.gates.hooks import client
from keyturn.gates.hooks.dialects import DIALECTS, Hooked, dialect_of
from keyturn.gates.hooks.wiring import Wire

SCRIPT = client.__file__
Behaviour = Callable[[socket.socket], None]


def answer(status: int, out: bytes = b"", said: bytes = b"") -> bytes:
    body = bytes([status]) + len(out).to_bytes(4, "big") + out + said
    return len(body).to_bytes(4, "big") + body


def frame_of(connection: socket.socket) -> bytes:
    size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
    return connection.recv(size, socket.MSG_WAITALL)


class Listener:
    """A Unix socket whose connections are handled one after another by the behaviours given, the last one for ever."""

    def __init__(self, path: Path, behaviours: list[Behaviour]) -> None:
        self.frames: list[bytes] = []
        self._behaviours = behaviours
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.frames.append(frame_of(connection))
                behave = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
                behave(connection)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gate.sock"


@pytest.fixture
def listen(path: Path) -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def start(*behaviours: Behaviour) -> Listener:
        made.append(Listener(path, list(behaviours)))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def says(data: bytes) -> Behaviour:
    return lambda connection: connection.sendall(data)


def run(
    path: Path,
    name: str = "claude-code",
    event: str = "PreToolUse",
    data: bytes = b'{"a": 1}',
    seconds: str = "20",
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", "-S", SCRIPT, name, event, str(path), seconds]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def is_no(ran: subprocess.CompletedProcess[bytes]) -> bool:
    return ran.returncode == 2 and b"[gate.unreachable]" in ran.stderr and b"nothing ran" in ran.stderr


def test_an_answer_is_passed_on_exactly(path: Path, listen: Callable[..., Listener]) -> None:
    listener = listen(says(answer(0, b'{"ok":1}\n', b"words")))
    ran = run(path, data=b'{"x": "\xff"}')
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b'{"ok":1}\n', b"words")
    parts = listener.frames[0].split(b"\0", 5)
    assert parts[0] == b"H" + protocol.VERSION.encode()
    assert parts[1:4] == [b"claude-code", b"PreToolUse", os.fsencode(Path.cwd())]
    assert parts[5] == b'{"x": "\xff"}'


def test_a_refusal_is_passed_on_exactly(path: Path, listen: Callable[..., Listener]) -> None:
    listen(says(answer(2, b"", b"keyturn: refused\n")))
    ran = run(path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, b"", b"keyturn: refused\n")


@pytest.mark.parametrize("name", ["claude-code", "codex", "gemini"])
def test_no_server_is_a_no(path: Path, name: str) -> None:
    ran = run(path, name)
    assert is_no(ran)
    assert ran.stdout == b""


@pytest.mark.parametrize(
    ("event", "no"),
    [("preToolUse", ("permissionDecision", "deny")), ("permissionRequest", ("behavior", "deny"))],
)
def test_no_server_is_a_no_in_json_for_copilot(path: Path, event: str, no: tuple[str, str]) -> None:
    ran = run(path, "copilot", event)
    said = json.loads(ran.stdout)
    assert (ran.returncode, said[no[0]]) == (0, no[1])
    assert "[gate.unreachable]" in ran.stdout.decode()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0",
        answer(0, b'{"ok":1}\n')[:-3],
        (2**31).to_bytes(4, "big") + b"x",
        b"\0\0\0\0",
        b"\0\0\0\4abcd",
        b"HTTP/1.1 200 OK\r\n\r\n",
        (12).to_bytes(4, "big") + b"\0" + (99).to_bytes(4, "big") + b"allowed",
        answer(0)[:4] + b"\x07" + answer(0)[5:],
        answer(69, b"", b'{"error":{}}'),
        answer(2),
    ],
    ids=[
        "nothing",
        "one byte",
        "cut short",
        "huge",
        "empty",
        "tiny",
        "http",
        "lies",
        "status 7",
        "error",
        "no words",
    ],
)
def test_an_answer_that_is_none_is_a_no(path: Path, listen: Callable[..., Listener], said: bytes) -> None:
    listen(says(said))
    assert is_no(run(path))


def test_a_server_that_never_answers_is_a_no_in_time(path: Path, listen: Callable[..., Listener]) -> None:
    release = threading.Event()
    listen(lambda connection: release.wait(120) and None)
    try:
        assert is_no(run(path, seconds="0.5"))
    finally:
        release.set()


def test_a_lost_server_is_asked_again(path: Path, listen: Callable[..., Listener]) -> None:
    listener = listen(lambda connection: None, says(answer(0, b"yes\n")))
    ran = run(path)
    assert (ran.returncode, ran.stdout) == (0, b"yes\n")
    assert len(listener.frames) == 2
    assert listener.frames[0] == listener.frames[1]


def test_an_oversized_call_is_a_no(path: Path, listen: Callable[..., Listener]) -> None:
    listen(says(answer(0)))
    assert is_no(run(path, data=b"x" * (protocol.MAX_FRAME + 1)))
    assert run(path, data=b"x" * (protocol.MAX_FRAME - 20_000)).returncode == 0  # the control


@pytest.mark.parametrize(
    "arguments", [[], ["claude-code"], ["claude-code", "PreToolUse"], ["a", "b", "c", "d"]]
)
def test_a_hook_called_wrongly_is_a_no(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-S", SCRIPT, *arguments], input=b"{}", capture_output=True, check=False
    )
    assert is_no(ran)


def test_events_that_stop_nothing_only_warn(path: Path) -> None:
    ran = run(path, event="SessionStart")
    assert ran.returncode == 1
    assert b"[gate.unreachable]" in ran.stderr


def test_client_and_tables_agree_on_what_is_a_gate() -> None:
    for name in ("claude-code", "codex", "gemini", "copilot"):
        for hooked in DIALECTS[name].events:
            assert (hooked.event in client.NOTICES) != hooked.gate, (name, hooked.event)


def test_the_hook_reads_no_token_and_imports_nothing_of_ours() -> None:
    source = Path(SCRIPT).read_text()
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert imports == ["import _socket", "import posix", "import sys", "import time"]
    assert "environ" not in source
    assert "getenv" not in source


# --- the command line around it -------------------------------------------------------------------


def line(python: str, path: Path, gate: bool = True) -> list[str]:
    wire = Wire(python, SCRIPT, str(path))
    return ["/bin/sh", "-c", wire.line(dialect_of("codex"), Hooked("PreToolUse", gate=gate, timeout=40))]


def broken_interpreter(tmp_path: Path, body: str) -> str:
    program = tmp_path / "an interpreter's name"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    "body",
    [
        "exit 1",
        "exit 3",
        "exit 127",
        f"kill -{signal.SIGKILL} $$",
        f"kill -{signal.SIGSEGV} $$",
        "echo x; exit 1",
    ],
)
def test_a_hook_process_that_ends_badly_is_a_no(path: Path, tmp_path: Path, body: str) -> None:
    python = broken_interpreter(tmp_path, body)
    bare = subprocess.run([python], capture_output=True, check=False)
    assert bare.returncode != 2  # the control: without the line around it, clients would let this run
    ran = subprocess.run(line(python, path), input=b"{}", capture_output=True, check=False)
    assert is_no(ran)
    assert ran.stdout == b""


def test_a_missing_interpreter_is_a_no(path: Path, tmp_path: Path) -> None:
    assert is_no(
        subprocess.run(line(str(tmp_path / "none"), path), input=b"{}", capture_output=True, check=False)
    )


def test_the_line_passes_answers_on(path: Path, listen: Callable[..., Listener]) -> None:
    listen(says(answer(0, b"yes\n")), says(answer(2, b"", b"no\n")))
    ran = subprocess.run(line(sys.executable, path), input=b"{}", capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"yes\n", b"")
    ran = subprocess.run(line(sys.executable, path), input=b"{}", capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, b"", b"no\n")
