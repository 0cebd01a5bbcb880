"""Asks MCP servers for their tools, so that each tool is pinned: `initialize`, then `tools/list` to the last page.

Rules kept here:

- Only servers are started or spoken to whose configuration, and the whole file that it stands in, is byte for byte part of one
  definition that people approved: starting one runs it, and a variable's value may say what it runs. The caller says which those are;
  what is not among them is left alone, and said so.
- A server is started as the process that asks, in a process group of its own that is ended with it, and only where that is the user
  whose agent it is.
- Over HTTP only `https`, or this very machine; no redirect is followed.
- Bounded: `SECONDS` in all for each server, `MAX_BYTES`, `MAX_PAGES`, `MAX_TOOLS`. What exceeds that, or is no answer, lists nothing.
- What a server asks in between is answered with an error (`ping` with nothing): it gets no roots, no sampling, no elicitation.

Source: Model Context Protocol 2025-06-18, lifecycle, transports, tools.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from keyturn.canonical import NotCanonical
from keyturn.drift.definition import MAX_PARTS, Definition, Part, fitting, ordered, tool_part
from keyturn.drift.definition_parts import Server

SECONDS = 60.0
MAX_BYTES = 4 * 1024 * 1024
MAX_PAGES = 100
MAX_TOOLS = 500
PROTOCOL = "2025-06-18"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
END_SECONDS = 2.0

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")

Row = dict[str, Any]
Approved = Sequence[frozenset[tuple[str, str]]]
"""Name and digest of every part, of each definition that people approved."""


class Listed(Struct, frozen=True):
    """What was listed: a part for each tool; and for each server that gave nothing, why."""

    tools: tuple[Part, ...] = ()
    silent: tuple[tuple[str, str], ...] = ()


class ListingFailed(Exception):
    """A server gave no list. Never leaves this module."""


class _Line(Protocol):
    async def ask(self, method: str, params: Row, number: int) -> Row: ...

    async def tell(self, method: str) -> None: ...


async def listed(
    servers: Sequence[Server], approved: Approved, cwd: str, environment: Mapping[str, str]
) -> Listed:
    """The tools of those of *servers* that are *approved*, asked at once. Raises nothing but cancellation."""
    answers = await asyncio.gather(*(_of_server(one, approved, cwd, environment) for one in servers))
    tools = [part for parts, _ in answers for part in parts]
    silent = [(one.part.name, why) for one, (_, why) in zip(servers, answers, strict=True) if why]
    return Listed(ordered(tools), tuple(silent))


def plain_environment(home: str) -> dict[str, str]:
    """What a server is started with beside its own variables: nothing of the one who asks but where programs are."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "USER", "LOGNAME", "TMPDIR") if name in os.environ
    }
    return {**kept, "HOME": home}


def with_tools(described: Definition, found: Listed) -> Definition:
    """*described* with the tools that were listed."""
    return fitting(replace(described, parts=ordered((*described.parts, *found.tools))[:MAX_PARTS]))


def kept_silent(before: Listed, now: Listed) -> Listed:
    """*now*, with what a server said *before* where it says nothing now: silence is no other list."""
    silent = tuple(f"{name}/" for name, _ in now.silent)
    kept = [part for part in before.tools if part.name.startswith(silent)]
    return Listed(ordered((*now.tools, *kept)), now.silent)


async def _of_server(
    server: Server, approved: Approved, cwd: str, environment: Mapping[str, str]
) -> tuple[tuple[Part, ...], str]:
    itself = (server.part.name, server.part.digest)
    if not any(itself in whole and server.file in whole for whole in approved):
        return (), "its configuration is not part of an approved definition, so it was not started"
    try:
        async with asyncio.timeout(SECONDS):
            opened = _started(server, cwd, environment) if server.command else _connected(server, environment)
            async with opened as line:
                return await _tools(server, line), ""
    except TimeoutError:
        return (), f"it gave no list within {SECONDS:.0f} seconds"
    except ListingFailed as error:
        return (), str(error)
    except (OSError, ValueError) as error:
        return (), f"it can't be asked ({error})"


async def _tools(server: Server, line: _Line) -> tuple[Part, ...]:
    client = {"name": "keyturn", "version": "1"}
    await line.ask("initialize", {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}, 1)
    await line.tell("notifications/initialized")
    parts: list[Part] = []
    cursor: str | None = None
    for page in range(MAX_PAGES):
        result = await line.ask("tools/list", {"cursor": cursor} if cursor else {}, page + 2)
        tools = result.get("tools")
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
            raise ListingFailed("its answer to tools/list has no list of tools")
        try:
            parts += [tool_part(server.part.name, tool) for tool in tools]
        except NotCanonical as error:
            raise ListingFailed(f"a tool of its list can't be pinned ({error.happened})") from error
        if len(parts) > MAX_TOOLS:
            raise ListingFailed(f"it has more than {MAX_TOOLS} tools")
        cursor = result.get("nextCursor")
        if not isinstance(cursor, str) or not cursor:
            return tuple(parts)
    raise ListingFailed(f"its list has more than {MAX_PAGES} pages")


def _result(answer: Row, method: str) -> Row:
    result = answer.get("result")
    if not isinstance(result, dict):
        said = answer.get("error")
        words = said.get("message") if isinstance(said, dict) else "no result"
        raise ListingFailed(f"it answered {method} with an error: {str(words)[:200]}")
    return result


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """`${NAME}` and `${NAME:-default}`, as clients fill them in."""
    return _VARIABLE.sub(lambda found: environment.get(found[1], found[2] or ""), text)


def _object(data: bytes) -> Row | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# --- over standard input and output ------------------------------------------------------------------------------------


@asynccontextmanager
async def _started(server: Server, cwd: str, environment: Mapping[str, str]) -> AsyncIterator[_Line]:
    argv = [_expanded(word, environment) for word in server.command]
    own = {name: _expanded(value, environment) for name, value in server.environment.items()}
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd or "/",
        env={**environment, **own},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        process_group=0,
        limit=MAX_BYTES,
    )
    try:
        yield _Pipe(process)
    finally:
        await asyncio.shield(_ended(process))


async def _ended(process: asyncio.subprocess.Process) -> None:
    """The whole group, whoever of it is left."""
    if process.stdin is not None:
        process.stdin.close()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_SECONDS)


class _Pipe:
    """JSON-RPC, one message a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._read = 0

    async def ask(self, method: str, params: Row, number: int) -> Row:
        await self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        assert self._process.stdout is not None
        while True:
            line = await self._process.stdout.readline()
            self._read += len(line)
            if not line or self._read > MAX_BYTES:
                raise ListingFailed(
                    "it ended without a list" if not line else f"it said more than {MAX_BYTES:,} bytes"
                )
            message = _object(line)
            if message is None:
                continue  # programs that print beside the protocol are common
            if message.get("id") == number and "method" not in message:
                return _result(message, method)
            if "method" in message and "id" in message:
                await self._decline(message)

    async def tell(self, method: str) -> None:
        await self._send({"jsonrpc": "2.0", "method": method})

    async def _decline(self, message: Row) -> None:
        answer: Row = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] == "ping":
            await self._send({**answer, "result": {}})
        else:
            await self._send({**answer, "error": {"code": -32601, "message": "Only tools are listed here."}})

    async def _send(self, message: Row) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        with suppress(ConnectionError):  # then its output has ended, which is told when it is read
            await self._process.stdin.drain()


# --- over HTTP ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _connected(server: Server, environment: Mapping[str, str]) -> AsyncIterator[_Line]:
    import httpx2

    url = _expanded(server.url, environment)
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ListingFailed("its address is neither https nor on this machine")
    headers = {name: _expanded(value, environment) for name, value in server.headers.items()}
    headers |= {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": PROTOCOL}
    async with httpx2.AsyncClient(headers=headers, follow_redirects=False, timeout=SECONDS) as client:
        try:
            yield _Http(client, url)
        except httpx2.HTTPError as error:
            raise ListingFailed(f"it can't be reached ({type(error).__name__})") from error


class _Http:
    """JSON-RPC over streamable HTTP: an answer is JSON, or the first one in a stream of events."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url
        self._session: dict[str, str] = {}
        self._read = 0

    async def ask(self, method: str, params: Row, number: int) -> Row:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        async with self._client.stream("POST", self._url, json=message, headers=self._session) as answer:
            if answer.status_code != 200:
                raise ListingFailed(f"it answered {method} with status {answer.status_code}")
            session = answer.headers.get("mcp-session-id")
            if session:
                self._session = {"Mcp-Session-Id": session}
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                return _result(await self._event(answer, number), method)
            data = b""
            async for chunk in answer.aiter_bytes():
                data += chunk
                self._count(chunk)
        found = _object(data)
        if found is None or found.get("id") != number:
            raise ListingFailed(f"its answer to {method} is none of the protocol")
        return _result(found, method)

    async def _event(self, answer: Any, number: int) -> Row:
        data = b""
        async for chunk in answer.aiter_bytes():
            self._count(chunk)
            data = (data + chunk).replace(b"\r\n", b"\n")
            while b"\n\n" in data:
                event, _, data = data.partition(b"\n\n")
                lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
                found = _object(b"\n".join(lines))
                if found is not None and found.get("id") == number and "method" not in found:
                    return found
        raise ListingFailed("its stream ended without an answer")

    def _count(self, chunk: bytes) -> None:
        self._read += len(chunk)
        if self._read > MAX_BYTES:
            raise ListingFailed(f"it said more than {MAX_BYTES:,} bytes")

    async def tell(self, method: str) -> None:
        await self._client.post(self._url, json={"jsonrpc": "2.0", "method": method}, headers=self._session)


__all__ = ["Approved", "Listed", "kept_silent", "listed", "plain_environment", "with_tools"]
