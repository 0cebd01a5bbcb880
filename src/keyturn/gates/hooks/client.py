"""The hook process: asks the server over its Unix socket and says the answer. Standard library only.

    python3 -I -S client.py CLIENT EVENT SOCKET [SECONDS]

Paid on every action, so it imports only what is built into the interpreter. It holds no secret and reads none: the
server knows who asks from the socket itself (SO_PEERCRED). Every failure is a no at an event that is a gate, and a
warning at an event that stops nothing. When a server that has the question goes away, it is asked again for a while:
a request outlives the server's process.
"""

import _socket
import posix
import sys
import time

MAX_FRAME = 2097152
DEFAULT_SECONDS = 3570.0
RECONNECT_SECONDS = 60.0
"""How long a server may be away once it has the question, e.g. for a restart."""
PAUSE_SECONDS = 0.2
QUICK_LOSSES = 5
"""A server that hangs up at once again and again has no answer."""

# Events that stop nothing; at any other, silence means no.
NOTICES = (
    "SessionStart", "SessionEnd", "UserPromptSubmit", "PostToolUse", "PostToolUseFailure", "BeforeAgent", "AfterTool",
    "sessionStart", "sessionEnd", "userPromptSubmitted", "postToolUse", "postToolUseFailure",
)  # fmt: skip


class Failed(Exception):
    pass


def read_input() -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        chunk = posix.read(0, 65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_FRAME - 16384:
            raise Failed("the call is larger than 2 MiB")


def frame(client: str, event: str, given: bytes) -> bytes:
    fields = ("1", client, event, posix.getcwd(), str(posix.getppid()))
    body = b"H" + b"".join(field.encode("utf-8", "surrogateescape") + b"\0" for field in fields) + given
    if len(body) > MAX_FRAME:
        raise Failed("the call is larger than 2 MiB")
    return len(body).to_bytes(4, "big") + body


def receive(connection: _socket.socket, size: int, until: float) -> bytes:
    data = b""
    while len(data) < size:
        connection.settimeout(max(0.001, until - time.monotonic()))
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError("the server hung up")
        data += chunk
    return data


def ask(path: str, question: bytes, until: float) -> bytes:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(max(0.001, until - time.monotonic()))
        connection.connect(path)
        connection.sendall(question)
        size = int.from_bytes(receive(connection, 4, until), "big")
        if not 5 <= size <= MAX_FRAME:
            raise Failed("the answer has no possible size")
        return receive(connection, size, until)
    finally:
        connection.close()


def asked(path: str, question: bytes, until: float) -> bytes:
    """The answer's body. A refused first connection fails at once; one that is lost later is tried again."""
    lost = None
    quick = 0
    while True:
        began = time.monotonic()
        try:
            return ask(path, question, until)
        except (ConnectionResetError, BrokenPipeError):
            lost = time.monotonic()
            quick = quick + 1 if lost - began < PAUSE_SECONDS else 0
            if quick > QUICK_LOSSES:
                raise
        except (ConnectionRefusedError, FileNotFoundError):
            if lost is None or time.monotonic() > lost + RECONNECT_SECONDS:
                raise
        if time.monotonic() + PAUSE_SECONDS > until:
            raise Failed("the server went away")
        time.sleep(PAUSE_SECONDS)


def split(body: bytes) -> tuple[int, bytes, bytes]:
    """(status, stdout, stderr) of an answer."""
    status = body[0]
    size = int.from_bytes(body[1:5], "big")
    if 5 + size > len(body) or status > 2:
        raise Failed("the answer is not one that is known")
    out = body[5 : 5 + size]
    said = body[5 + size :]
    if status and not said and not out:
        raise Failed("the answer says no without words")
    return status, out, said


def write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[posix.write(descriptor, data) :]


def refuse(client: str, event: str, why: str) -> int:
    words = (
        "keyturn: unreachable, nothing ran (%s). Do not retry; tell the person you work for. [gate.unreachable]"
        % why
    )
    if event in NOTICES:
        write(2, ("keyturn: this was not recorded (%s). [gate.unreachable]\n" % why).encode())
        return 1
    write(2, words.encode("utf-8", "replace") + b"\n")
    if client != "copilot":
        return 2
    # Copilot drops the words of exit status 2; its two questions have one dialect each.
    said = words.replace("\\", "").replace('"', "'").encode("ascii", "replace")
    if event == "permissionRequest":
        write(1, b'{"behavior":"deny","message":"' + said + b'"}\n')
    else:
        write(1, b'{"permissionDecision":"deny","permissionDecisionReason":"' + said + b'"}\n')
    return 0


def main() -> int:
    client = event = ""
    try:
        client, event, path = sys.argv[1:4]
        seconds = float(sys.argv[4]) if len(sys.argv) > 4 else DEFAULT_SECONDS
        until = time.monotonic() + seconds
        status, out, said = split(asked(path, frame(client, event, read_input()), until))
        write(1, out)
        write(2, said)
    except BaseException as error:
        status = refuse(client, event, (str(error) or type(error).__name__).replace("\n", " ")[:200])
    return status


if __name__ == "__main__":
    code = 2
    try:
        code = main()
    finally:
        posix._exit(code)
