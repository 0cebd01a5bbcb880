"""What the scripted model says: which turn answers a request, and with which of the client's own tools.

The server keeps no state: a request carries its whole conversation, so the number of tool results in it says
which turn comes next. A script is JSON:

    {"turns": [{"reasoning": "why", "text": "words", "shell": "echo hello", "calls": [{"tool": "Read", "arguments": {…}}]}],
     "final": "the last words"}

`shell` is run with whichever shell tool the client offers. A command that a client says still runs is waited for, as a
model does; with `"waits": false` the script goes on without it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

SHELL_TOOLS = ("Bash", "bash", "exec_command", "shell_command", "shell", "run_shell_command")
SCRIPT_ARGUMENTS = ("command", "cmd", "script")
FILLERS: dict[str, Any] = {
    "string": "scripted", "boolean": False, "number": 0, "integer": 0, "array": [], "object": {}
}  # fmt: skip


def new_id(prefix: str) -> str:
    """A fresh identifier as the providers make them."""
    return prefix + uuid.uuid4().hex[:24]


@dataclass(frozen=True)
class Call:
    """One tool call: `raw` is the input of a free-form (custom) tool, which has no JSON arguments."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    raw: str | None = None


@dataclass(frozen=True)
class Turn:
    """One answer of the model."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()


def turn_for(script: dict[str, Any], results: int, tools: dict[str, dict[str, Any]]) -> Turn:
    """The turn that follows *results* tool results, for a client that offers *tools* (name → JSON schema).

    A request without tools is a side question (a title, a summary): it gets the words `a scripted title`.
    """
    if not tools:
        return Turn(text="a scripted title")
    answered = 0
    for turn in script["turns"]:
        calls = _calls(turn, tools)
        if results <= answered:
            return Turn(turn.get("text", ""), turn.get("reasoning", ""), calls)
        answered += len(calls)
    return Turn(text=script.get("final", "Done as scripted."))


def _calls(turn: dict[str, Any], tools: dict[str, dict[str, Any]]) -> tuple[Call, ...]:
    calls = [_shell_call(turn["shell"], tools)] if "shell" in turn else []
    for call in turn.get("calls", ()):
        calls.append(Call(call["tool"], call.get("arguments", {}), call.get("raw")))
    return tuple(calls)


def _shell_call(command: str, tools: dict[str, dict[str, Any]]) -> Call:
    name = next((tool for tool in SHELL_TOOLS if tool in tools), "run_shell_command")
    schema = tools.get(name, {})
    properties = schema.get("properties") or {}
    argument = next((a for a in SCRIPT_ARGUMENTS if a in properties), "command")
    wants_words = properties.get(argument, {}).get("type") == "array"
    arguments: dict[str, Any] = {argument: ["bash", "-lc", command] if wants_words else command}
    for required in schema.get("required", ()):
        kind = (properties.get(required) or {}).get("type", "string")
        arguments.setdefault(required, FILLERS.get(kind, "scripted"))
    return Call(name, arguments)


def offered(tools: list[dict[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """Name → JSON schema of the tools in a request of any of the four protocols."""
    found: dict[str, dict[str, Any]] = {}
    for tool in tools or []:
        for declared in tool.get("functionDeclarations", ()):
            found[declared["name"]] = declared.get("parametersJsonSchema") or declared.get("parameters") or {}
        if "function" in tool:
            found[tool["function"]["name"]] = tool["function"].get("parameters") or {}
        elif tool.get("type") == "namespace":
            for inner in tool.get("tools", ()):
                found[f"{tool['name']}.{inner['name']}"] = inner.get("parameters") or {}
        elif "name" in tool:
            found[tool["name"]] = tool.get("input_schema") or tool.get("parameters") or {}
    return found
