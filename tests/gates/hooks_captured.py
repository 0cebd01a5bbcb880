"""Hook payloads as the real clients sent them (ids shortened, no transcript), as builders of bytes."""

from __future__ import annotations

import json
from typing import Any

GATES = {"claude-code": "PreToolUse", "codex": "PreToolUse", "gemini": "BeforeTool"}
RESULTS = {"claude-code": "PostToolUse", "codex": "PostToolUse", "gemini": "AfterTool"}
SHELLS = {"claude-code": "Bash", "codex": "Bash", "gemini": "run_shell_command"}
PROMPTS = {"claude-code": "UserPromptSubmit", "codex": "UserPromptSubmit", "gemini": "BeforeAgent"}
CLIENTS = tuple(GATES)


def payload(client: str, event: str, cwd: str = "/srv", **members: Any) -> dict[str, Any]:
    """What all events of *client* carry, and *members*."""
    common: dict[str, Any] = {
        "session_id": "6605205f-191c-42d7",
        "transcript_path": None,
        "cwd": cwd,
        "hook_event_name": event,
    }
    if client == "claude-code":
        common |= {"prompt_id": "2449e480", "permission_mode": "default"}
    elif client == "codex":
        common |= {"turn_id": "01a1fad4", "model": "gpt-5.5", "permission_mode": "bypassPermissions"}
    else:
        common |= {"timestamp": "2026-11-20T21:19:35.401Z"}
    return common | members


def tool(client: str, name: str, given: dict[str, Any], cwd: str = "/srv", **members: Any) -> bytes:
    """A tool call about to happen."""
    extra: dict[str, Any] = {} if client == "gemini" else {"tool_use_id": "toolu_c9437db4318c"}
    return encoded(payload(client, GATES[client], cwd, tool_name=name, tool_input=given, **extra, **members))


def result(client: str, name: str, given: dict[str, Any], response: Any, cwd: str = "/srv") -> bytes:
    """A tool call's result."""
    extra: dict[str, Any] = {} if client == "gemini" else {"tool_use_id": "toolu_c9437db4318c"}
    said = payload(client, RESULTS[client], cwd, tool_name=name, tool_input=given, **extra)
    return encoded(said | {"tool_response": response})


def shell(client: str, script: str, cwd: str = "/srv") -> bytes:
    """A command line about to run."""
    return tool(client, SHELLS[client], {"command": script}, cwd)


def prompt(client: str, words: str) -> bytes:
    """What a human asked for."""
    return encoded(payload(client, PROMPTS[client], prompt=words))


def encoded(value: Any) -> bytes:
    """As JSON."""
    return json.dumps(value).encode()
