"""A scripted model server on loopback that speaks four protocols, and runs one command beside itself.

    python model_server.py --script script.json --log requests.jsonl --port 4010 [--loopback] -- CLIENT ARGUMENT…

The command is the agent client; the server ends with it and passes its status on. `--loopback` brings the
loopback interface up first, as a fresh network namespace needs (`unshare -rn`): inside one, nothing but this
server can be reached, which is the proof that a client works offline. Every request is logged as one JSON line.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import model_wire as wire
from model_script import Turn, offered, turn_for

SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


class ModelServer(ThreadingHTTPServer):
    """Answers with the turns of *script* and appends each request to *log*."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: dict[str, Any], log: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.script = script
        self.log = log
        self.log_lock = threading.Lock()

    @property
    def url(self) -> str:
        """The server's base, without a trailing slash."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def record(self, method: str, path: str, body: Any) -> None:
        """Append one request to the log."""
        with self.log_lock, self.log.open("a") as out:
            out.write(json.dumps({"method": method, "path": path, "body": body}) + "\n")

    def turn(self, request: dict[str, Any]) -> Turn:
        """The scripted turn that answers *request*, or the wait for what still runs."""
        session = wire.still_running(request) if self.script.get("waits", True) else None
        if session is not None:
            return wire.wait_for(session)
        tools = list(request.get("tools") or ())
        items = request.get("input")
        for item in items if isinstance(items, list) else ():
            if item.get("type") == "additional_tools":
                tools += item.get("tools", ())
        return turn_for(self.script, wire.count_results(request), offered(tools))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def log_message(self, format: str, *args: Any) -> None:
        """Clients' requests are logged by the server, not on standard error."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.record("GET", self.path, None)
        if self.path.partition("?")[0].endswith("/models"):
            model = {"id": "scripted", "object": "model", "created": 1, "owned_by": "tests", "type": "model"}
            self._json({"object": "list", "data": [model], "models": [], "has_more": False})
        else:
            self._json({"error": {"message": "There is no such page.", "type": "not_found"}}, 404)

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        request = self._request()
        self.server.record("POST", path, request)
        try:
            self._answer(path, request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, path: str, request: dict[str, Any]) -> None:
        model = str(request.get("model", "scripted"))
        streams = bool(request.get("stream"))
        if path.endswith("/messages/count_tokens"):
            self._json({"input_tokens": 12})
        elif path.endswith(":countTokens"):
            self._json({"totalTokens": 12})
        elif path.endswith("/messages"):
            message = wire.anthropic(self.server.turn(request), model)
            self._events(wire.anthropic_events(message)) if streams else self._json(message)
        elif path.endswith("/responses"):
            response = wire.responses(self.server.turn(request), model)
            self._events(wire.responses_events(response)) if streams else self._json(response)
        elif path.endswith("/chat/completions"):
            completion = wire.chat(self.server.turn(request), model)
            self._events(wire.chat_events(completion)) if streams else self._json(completion)
        elif path.endswith("enerateContent"):
            settings = request.get("generationConfig") or {}
            wants_json = (
                "json" in str(settings.get("responseMimeType", "")) or "responseJsonSchema" in settings
            )
            content = wire.gemini(self.server.turn(request), model, wants_json=wants_json)
            self._events([("", content)]) if ":stream" in path else self._json(content)
        else:
            self._json({})

    def _request(self) -> dict[str, Any]:
        raw = self._chunks() if "chunked" in self.headers.get("transfer-encoding", "") else self._sized()
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        return body if isinstance(body, dict) else {}

    def _sized(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _chunks(self) -> bytes:
        chunks = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _json(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, events: Iterable[wire.Event]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for name, data in events:
            text = data if isinstance(data, str) else json.dumps(data)
            self.wfile.write((f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode())
        self.wfile.flush()


def raise_loopback() -> None:
    """Bring `lo` up in this network namespace (netdevice(7), SIOCSIFFLAGS)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def main() -> int:
    """Serve while the command runs."""
    options = argparse.ArgumentParser()
    options.add_argument("--script", type=Path, required=True)
    options.add_argument("--log", type=Path, required=True)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--loopback", action="store_true")
    options.add_argument("command", nargs="+")
    given = options.parse_args()
    if given.loopback:
        raise_loopback()
    server = ModelServer(json.loads(given.script.read_text()), given.log, given.port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return subprocess.run(given.command, stdin=subprocess.DEVNULL, env=os.environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
