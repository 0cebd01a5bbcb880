"""Generic tool calls (MCP and clients' own tools) -> Reading.

Nothing is known of what a tool does: its one effect is `executes:tool`, and a rule must name the tool.
"""

from __future__ import annotations

from typing import Any

from keyturn.actions import Effect, Reading, Step, ToolCall, Unread
from keyturn.readers.odd import odd_text

MAX_NAME = 256
MAX_ARGUMENTS = 200
"""Most arguments that are shown one by one; the action's digest covers them all."""

MAX_SHOWN = 200
"""Longest text of one argument in `Step.argv`."""


def read_tool(call: ToolCall) -> Reading:
    """`server/tool` (or `tool`) with its arguments flattened to `path=value` words."""
    name = f"{call.server}/{call.tool}" if call.server else call.tool
    problem = _problem(call)
    argv = (name, *flattened(call.arguments))
    if problem:
        unread = (Unread(0, len(name), problem),)
        step = Step(name, argv, complete=False)
        return Reading("tool", False, (step,), unread, f"Not understood: {problem}.")
    step = Step(name, argv, effects=(Effect("executes", name, "tool"),))
    return Reading("tool", True, (step,), (), _sentence(name, argv[1:]))


def flattened(arguments: dict[str, Any]) -> tuple[str, ...]:
    """`a.b=1`, `a.c[0]=x`: at most `MAX_ARGUMENTS` words of bounded length, in order."""
    words: list[str] = []
    waiting: list[tuple[str, Any]] = [("", arguments)]
    while waiting and len(words) < MAX_ARGUMENTS:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            members = [(f"{path}.{name}" if path else str(name), member) for name, member in value.items()]
            waiting += reversed(members[:MAX_ARGUMENTS])
        elif isinstance(value, list | tuple) and value:
            waiting += reversed([(f"{path}[{i}]", item) for i, item in enumerate(value[:MAX_ARGUMENTS])])
        elif path:
            words.append(_short(f"{path}={_text(value)}"))
    if waiting:
        words.append("…")
    return tuple(words)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _problem(call: ToolCall) -> str | None:
    if not call.tool or len(call.tool) > MAX_NAME or len(call.server) > MAX_NAME:
        return f"A tool needs a name of 1 to {MAX_NAME} characters"
    if "/" in call.server:
        return "A server's name with a slash could be taken for another server's tool"
    return odd_text(call.tool) or odd_text(call.server)


def _sentence(name: str, words: tuple[str, ...]) -> str:
    shown = ", ".join(words[:3]) + (", …" if len(words) > 3 else "")
    return f"Calls the tool {name}" + (f" with {shown}." if shown else ".")
