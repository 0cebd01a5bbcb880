"""JSON-RPC 2.0 over lines, without I/O: one JSON object a line, UTF-8 (ACP and the Codex app-server both).

A line that is no JSON object, is too long or is not UTF-8 is dropped: only requests are ever granted anything, and a
request needs an id and a method.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from keyturn.gates.drivers.model import Send

MAX_LINE = 16 * 1024 * 1024
"""Bytes of one message. Longer ones are dropped, which leaves their request unanswered: nothing runs."""

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
REFUSED = -32000


class Lines:
    """Bytes in, decoded messages out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """All messages that *data* completes."""
        self._buffer += data
        found: list[dict[str, Any]] = []
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if not self._skipping and (message := decode(line)) is not None:
                found.append(message)
            self._skipping = False
        if len(self._buffer) > MAX_LINE:
            self._buffer.clear()
            self._skipping = True
        return found


def decode(line: bytes) -> dict[str, Any] | None:
    """The JSON object on *line*, or None."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def encode(message: dict[str, Any]) -> bytes:
    """*message* as one line."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


class Calls:
    """Our own requests: which method an answer belongs to."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._open: dict[int, str] = {}

    def request(self, method: str, params: dict[str, Any]) -> Send:
        """A new request."""
        number = next(self._ids)
        self._open[number] = method
        return Send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    def answered(self, message: dict[str, Any]) -> str | None:
        """The method of the request that *message* answers; None when it answers none."""
        number = message.get("id")
        if "method" in message or isinstance(number, bool) or not isinstance(number, int):
            return None
        return self._open.pop(number, None)


def result(number: Any, value: dict[str, Any]) -> Send:
    """The answer to the client's request *number*."""
    return Send({"jsonrpc": "2.0", "id": number, "result": value})


def error(number: Any, code: int, words: str) -> Send:
    """A refusal of the client's request *number*, in words."""
    return Send({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": words}})


def notification(method: str, params: dict[str, Any]) -> Send:
    """A message that wants no answer."""
    return Send({"jsonrpc": "2.0", "method": method, "params": params})


def is_request(message: dict[str, Any]) -> bool:
    """Whether *message* wants an answer from us."""
    number = message.get("id")
    return (
        isinstance(message.get("method"), str)
        and isinstance(number, int | str)
        and not isinstance(number, bool)
    )


def words_of(error: Any) -> str:
    """The words in a JSON-RPC error object."""
    if not isinstance(error, dict):
        return "no words"
    data = error.get("data")
    extra = f" ({json.dumps(data)[:500]})" if data else ""
    return str(error.get("message", "no words"))[:500] + extra
