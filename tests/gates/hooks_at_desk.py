"""The hook desk over the recording service, and its answers as a client would understand them."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from hooks_captured import GATES, tool
from hooks_recording import Recording, call

from keyturn.gates.hooks.desk import DeskSettings, HookDesk
from keyturn.gates.hooks.model import HookAnswer, HookCall
from keyturn.service.model import Peer

ME = Peer(os.getuid(), os.getgid(), os.getpid())
SETTINGS = DeskSettings("here", person_of_uid=lambda uid: "dana" if uid == ME.uid else None, longest_wait=1.0)


def ask(desk: HookDesk, *calls: HookCall, peer: Peer = ME) -> list[HookAnswer]:
    async def all_of_them() -> list[HookAnswer]:
        return [await desk.handle(one, peer) for one in calls]

    return asyncio.run(all_of_them())


def allowed(client: str, answer: HookAnswer) -> bool:
    """As the client would understand it: exit 0 and the dialect's yes."""
    if answer.status != 0:
        return False
    if client == "codex" and not answer.stdout:
        return True
    said = json.loads(answer.stdout)
    return said.get("decision") == "allow" or said["hookSpecificOutput"]["permissionDecision"] == "allow"


def gate(client: str, data: bytes) -> HookCall:
    return call(client, GATES[client], data)


def desk_of(service: Recording, settings: DeskSettings = SETTINGS) -> HookDesk:
    return HookDesk(service, settings)


def edit(path: Path) -> HookCall:
    given = {"file_path": str(path), "old_string": "a", "new_string": "b"}
    return call("claude-code", "PreToolUse", tool("claude-code", "Edit", given, str(path.parent)))
