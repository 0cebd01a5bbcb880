"""The agent's stated reasoning, out of the client's own transcript: read-only, bounded, patient for a moment.

The transcript may lag behind the hook by some tens of milliseconds (measured 6–91 ms for Claude Code), so it is
read again for half a second. What is not there stays missing.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from keyturn.actions import Text
from keyturn.gates.hooks import files
from keyturn.gates.hooks.dialects import Dialect
from keyturn.gates.hooks.model import HookEvent
from keyturn.gates.hooks.payload import cut

FIRST_TAIL = 64 * 1024
TAIL = 512 * 1024
PATIENCE = 0.5
PAUSE = 0.02


async def stated(dialect: Dialect, event: HookEvent, uid: int, home: str) -> Text | None:
    """What the agent said about this call, or None."""
    if event.reasoning is not None:
        return Text(cut(event.reasoning), f"hook:{event.event}")
    path = event.transcript or (dialect.transcript(event, home) if dialect.transcript else None)
    if path is None or dialect.reasoning is None:
        return None
    clock = asyncio.get_running_loop().time
    until = clock() + PATIENCE
    size = FIRST_TAIL
    while True:
        found = dialect.reasoning(records(await asyncio.to_thread(files.tail, path, uid, size)), event)
        if found is not None:
            return Text(cut(found), "transcript") if found else None
        if clock() + PAUSE > until:
            return None
        await asyncio.sleep(PAUSE)
        size = TAIL


def records(data: bytes) -> list[dict[str, Any]]:
    """The JSON objects among the lines of *data*; a line that is not one is left out."""
    found = []
    for line in data.splitlines():
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, ValueError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
