"""Trust for Codex' user and project hooks: without it `codex exec` skips them silently.

Codex itself says what it would run and under which hash (`hooks/list` of its app server). Only Keyturn's own hooks
are trusted here; what others put there stays as it is.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from typing import Any

from keyturn.gates.hooks.wiring import CLIENT_FILE

SECONDS = 60.0
BY_HAND = "Start `codex`, open /hooks and trust Keyturn's hooks: until then Codex skips them without a word."


def hashes(cwd: str, home: str, program: str = "codex") -> dict[str, str] | None:
    """Key → current hash of Keyturn's hooks as Codex sees them from *cwd*; None when Codex can't be asked."""
    path = shutil.which(program)
    if path is None:
        return None
    environment = {**os.environ, "HOME": home, "CODEX_HOME": f"{home}/.codex"}
    try:
        with subprocess.Popen(
            [path, "app-server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            env=environment,
        ) as process:
            try:
                listed = _listed(process, cwd)
            finally:
                process.kill()
    except (OSError, ValueError, TimeoutError):
        return None
    return _ours(listed)


def _listed(process: subprocess.Popen[bytes], cwd: str) -> Any:
    until = time.monotonic() + SECONDS
    about = {
        "clientInfo": {"name": "keyturn", "title": "Keyturn", "version": "1"},
        "capabilities": {"experimentalApi": True},
    }
    _say(process, {"id": 1, "method": "initialize", "params": about})
    _answer(process, 1, until)
    _say(process, {"method": "initialized"})
    _say(process, {"id": 2, "method": "hooks/list", "params": {"cwds": [cwd]}})
    return _answer(process, 2, until)


def _say(process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[bytes], number: int, until: float) -> Any:
    assert process.stdout is not None
    buffer = b""
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise TimeoutError("Codex did not answer.")
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            raise ValueError("Codex hung up.")
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if isinstance(message, dict) and message.get("id") == number:
                return message.get("result")


def _ours(listed: Any) -> dict[str, str] | None:
    if not isinstance(listed, dict) or not isinstance(listed.get("data"), list):
        return None
    found = {}
    for place in listed["data"]:
        for hook in place.get("hooks", ()) if isinstance(place, dict) else ():
            key, digest = hook.get("key"), hook.get("currentHash")
            if CLIENT_FILE in str(hook.get("command")) and isinstance(key, str) and isinstance(digest, str):
                found[key] = digest
    return found
