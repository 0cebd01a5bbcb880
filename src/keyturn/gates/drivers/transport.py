"""How a driver's messages reach the client: lines on its standard input and output, or HTTP on loopback."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

from keyturn.gates.drivers import rpc
from keyturn.gates.drivers.model import DriverError, Send
from keyturn.gates.drivers.opencode_server import RESPONSE

CHUNK = 65_536
HTTP_TIMEOUT = 60.0
MAX_BODY = 16 * 1024 * 1024


class Transport(Protocol):
    """A client's two directions."""

    async def send(self, message: Send) -> None:
        """Deliver one message; a client that is gone is noticed by `messages` ending."""
        ...

    def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the client says, until it is gone."""
        ...


class StdioTransport:
    """JSON-RPC lines over a child's standard input and output."""

    def __init__(self, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        self._stdin = stdin
        self._stdout = stdout

    async def send(self, message: Send) -> None:
        """One line."""
        with suppress(OSError):
            self._stdin.write(rpc.encode(message.message))
            await self._stdin.drain()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Lines, decoded."""
        lines = rpc.Lines()
        while data := await self._stdout.read(CHUNK):
            for message in lines.feed(data):
                yield message


class OpencodeTransport:
    """Requests to and events from an opencode server on loopback, with the password it was started with."""

    def __init__(self, port: int, password: str, directory: str) -> None:
        self._port = port
        token = base64.b64encode(f"opencode:{password}".encode()).decode()
        self._headers = {"authorization": f"Basic {token}", "x-opencode-directory": directory}
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stream: http.client.HTTPConnection | None = None

    async def connect(self) -> None:
        """Subscribe to the events. Raises `DriverError` when the server doesn't answer as one."""
        try:
            response = await asyncio.to_thread(self._subscribe)
        except (OSError, http.client.HTTPException) as error:
            raise DriverError(f"The opencode server can't be reached ({error}).") from error
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(response, loop), daemon=True).start()

    def _subscribe(self) -> http.client.HTTPResponse:
        self._stream = http.client.HTTPConnection("127.0.0.1", self._port)
        self._stream.request("GET", "/event", headers=self._headers)
        response = self._stream.getresponse()
        if response.status != 200:
            raise http.client.HTTPException(f"HTTP {response.status}")
        return response

    def _listen(self, response: http.client.HTTPResponse, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(OSError, http.client.HTTPException, ValueError, RuntimeError):
            while line := response.readline(rpc.MAX_LINE):
                if line.startswith(b"data:") and (message := rpc.decode(line[5:])) is not None:
                    loop.call_soon_threadsafe(self._queue.put_nowait, message)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._queue.put_nowait, None)

    async def send(self, message: Send) -> None:
        """One request; its response comes with the messages."""
        task = asyncio.create_task(self._request(message.message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _request(self, asked: dict[str, Any]) -> None:
        status, body = await asyncio.to_thread(self._call, asked)
        response = {"type": RESPONSE, "tag": asked["tag"], "status": status, "body": body}
        await self._queue.put(response)

    def _call(self, asked: dict[str, Any]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HTTP_TIMEOUT)
        try:
            headers = {**self._headers, "content-type": "application/json"}
            connection.request(asked["method"], asked["path"], json.dumps(asked["body"]).encode(), headers)
            response = connection.getresponse()
            text = response.read(MAX_BODY)
            return response.status, json.loads(text) if text.strip() else None
        except (OSError, http.client.HTTPException, ValueError, RecursionError):
            return 0, None
        finally:
            connection.close()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Events and responses."""
        while (message := await self._queue.get()) is not None:
            yield message

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None and self._stream.sock is not None:
            with suppress(OSError):
                self._stream.sock.close()
