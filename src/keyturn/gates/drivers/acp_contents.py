"""What an ACP tool call would do, per agent: each puts the arguments elsewhere. Pure.

- opencode and Copilot give `rawInput`: it is read with the tool tables of their hook dialects.
- Gemini gives none: a command is the whole title (0.61: `getDisplayTitle` returns it unchanged), its folder stands in the
  explanation, an edit is a diff with both texts, an MCP call's arguments stand in the explanation unless too long.

What can't be read exactly raises `HookMalformed`, and the call is rejected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from keyturn.actions import FileEdit, Shell, ToolCall
from keyturn.gates.hooks import tools
from keyturn.gates.hooks.dialects import copilot, opencode
from keyturn.gates.hooks.model import Edit, Proposal
from keyturn.gates.hooks.payload import HookMalformed, Payload, joined

Found = tuple[tuple[Proposal, ...], str]
"""Proposals and the folder they work in."""


class Announced(Protocol):
    """What the agent said about a call before it asked."""

    announced: str
    title: str
    kind: str
    raw: dict[str, Any]
    content: list[Any]
    locations: list[Any]


def proposals_of(client: str, number: str, call: Announced, asked: Mapping[str, Any], cwd: str) -> Found:
    """What call *number* would do, from what was announced and what is *asked* (empty when nobody asked)."""
    return _READERS[client](number, call, asked, cwd)


def _opencode(number: str, call: Announced, asked: Mapping[str, Any], cwd: str) -> Found:
    given = dict(call.raw)
    if call.announced == "bash":
        given.pop("cwd", None)  # the agent's own note of where it is, not one of the tool's arguments
    _agree(asked, given, "command", "url")
    payload = Payload(given)
    proposals, _ = opencode.proposed(call.announced, payload, cwd)
    return proposals, opencode.folder(call.announced, payload, cwd)


def _copilot(number: str, call: Announced, asked: Mapping[str, Any], cwd: str) -> Found:
    _agree(asked, call.raw, "command", "path", "url")
    kind = str(asked.get("kind") or call.kind)
    payload = Payload(call.raw)
    tool = next((t for t, of, needs in _COPILOT_SHAPES if kind == of and needs <= set(call.raw)), None)
    if tool is None:
        return tools.unknown_call(copilot.NAME, call.announced, payload), cwd
    file_name = _raw(asked).get("fileName")
    if isinstance(file_name, str) and joined(cwd, file_name) != joined(cwd, payload.text("path")):
        raise HookMalformed("The agent announced one file and asks about another.")
    proposals, _ = copilot.proposed(tool, payload, cwd)
    return proposals, cwd


_COPILOT_SHAPES: tuple[tuple[str, str, set[str]], ...] = (
    ("bash", "execute", {"command"}),
    ("create", "edit", {"path", "file_text"}),
    ("edit", "edit", {"path", "old_str", "new_str"}),
    ("web_fetch", "fetch", {"url"}),
    ("grep", "search", {"pattern"}),
    ("view", "read", {"path"}),
)
"""Copilot's titles are descriptions, not names: a tool is known by its kind and arguments (an MCP tool's kind is `other`)."""


def _agree(asked: Mapping[str, Any], raw: Mapping[str, Any], *names: str) -> None:
    """What is asked must be what was announced, member by member."""
    for name in names:
        value = _raw(asked).get(name)
        if value is not None and value != raw.get(name):
            raise HookMalformed(f"The agent announced one {name} and asks about another.")


def _raw(asked: Mapping[str, Any]) -> dict[str, Any]:
    value = asked.get("rawInput")
    return value if isinstance(value, dict) else {}


# --- Gemini --------------------------------------------------------------------------------------

_CALL_ID = re.compile(r"(?P<made>[A-Za-z0-9_.-]+)-\d{10,}-\d+\Z|(?P<given>[A-Za-z0-9_.-]+?)__.+\Z", re.DOTALL)
"""`TOOL-MILLISECONDS-N` where the model's API gave no id, else `TOOL__ID`: Gemini puts the tool's name first either way."""
_HERE = "[current working directory "
_THERE = "[in "
_MCP_TITLE = re.compile(r"(?P<tool>[^()]+) \((?P<server>[^():]+) MCP Server\)\Z")


def _gemini(number: str, call: Announced, asked: Mapping[str, Any], cwd: str) -> Found:
    title, kind = str(asked.get("title") or call.title), str(asked.get("kind") or call.kind)
    content = asked.get("content") if isinstance(asked.get("content"), list) else call.content
    found = _CALL_ID.match(number)
    tool = (found["made"] or found["given"]) if found else ""
    if tool == "run_shell_command" and kind == "execute":
        return tools.one(Shell(title), tool), _gemini_folder(_text(content), cwd)
    if kind == "edit" and (diff := _diff(content)) is not None:
        path = joined(cwd, diff[0])
        return tools.edited(path, "write", Edit(text=diff[1]), tool or "edit"), cwd
    locations = asked.get("locations") if isinstance(asked.get("locations"), list) else call.locations
    if kind == "read" and (paths := _paths(locations)):
        return tuple(Proposal(FileEdit(joined(cwd, path), "read"), tool or "read") for path in paths), cwd
    if tool.startswith("mcp_"):
        return _gemini_mcp(tool, title, _text(content)), cwd
    arguments = {"title": title, "explanation": _text(content)}
    return tools.one(
        ToolCall(tool or "unnamed", arguments, "client:gemini" if tool else "unknown:gemini"), tool
    ), cwd


def _gemini_folder(explanation: str, cwd: str) -> str:
    """`[in DIR]` or `[current working directory DIR]`, then an optional description in parentheses.

    A folder's name may hold a bracket, and the description is the model's: with more than one the text is ambiguous.
    """
    if explanation.startswith(_HERE + cwd + "]"):
        return cwd
    if explanation.startswith(_THERE) and explanation.count("]") == 1 + explanation.endswith(" [background]"):
        return joined(cwd, explanation[len(_THERE) : explanation.index("]")])
    raise HookMalformed("Gemini does not say plainly in which folder the command would run.")


def _gemini_mcp(tool: str, title: str, explanation: str) -> tuple[Proposal, ...]:
    named = _MCP_TITLE.match(title)
    try:
        arguments = json.loads(explanation)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise HookMalformed(
            "Gemini leaves out the arguments of an MCP call that are longer than 500 characters."
        )
    if named is None:
        return tools.one(ToolCall(tool, arguments, "unknown:gemini"), tool)
    return tools.mcp_call(tools.Named(named["server"], named["tool"]), Payload(arguments), tool)


def _text(content: Any) -> str:
    parts = (
        [part.get("content") for part in content if isinstance(part, dict)]
        if isinstance(content, list)
        else []
    )
    return "".join(
        part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def _diff(content: Any) -> tuple[str, str] | None:
    diffs = (
        [part for part in content if isinstance(part, dict) and part.get("type") == "diff"]
        if isinstance(content, list)
        else []
    )
    if len(diffs) != 1:
        return None
    path, text = diffs[0].get("path"), diffs[0].get("newText")
    return (path, text) if isinstance(path, str) and path and isinstance(text, str) else None


def _paths(locations: Any) -> list[str]:
    if not isinstance(locations, list):
        return []
    return [
        where["path"] for where in locations if isinstance(where, dict) and isinstance(where.get("path"), str)
    ]


_READERS: dict[str, Callable[[str, Announced, Mapping[str, Any], str], Found]] = {
    "gemini": _gemini,
    "copilot": _copilot,
    "opencode": _opencode,
}
