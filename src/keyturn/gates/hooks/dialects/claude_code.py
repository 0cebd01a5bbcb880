"""Claude Code: hooks of settings.json (read in 2.1.329; `onFailure` exists since 2.1.295).

Exit status 2 with words on standard error refuses, whole or cut short; JSON `allow` grants without a prompt, so
nothing else needs to be granted in the client, and a hook that says nothing ends as a denial (headless) or a
question (interactive). `updatedInput` replaces the tool's whole input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyturn.actions import FileEdit, ToolCall
from keyturn.gates.hooks.dialects import LONGEST_WAIT, Dialect, Hooked
from keyturn.gates.hooks.model import (
    Edit,
    HookAnswer,
    HookCall,
    HookEvent,
    HookVerdict,
    Moment,
    Proposal,
    Replacement,
)
from keyturn.gates.hooks.payload import Payload, cut, joined
from keyturn.gates.hooks.rendering import answer_json, denial, warning
from keyturn.gates.hooks.tools import (
    Tool,
    edited,
    fetch,
    mcp_call,
    mcp_name,
    one,
    own,
    proposed,
    read,
    replace_text,
    search,
    shell,
    unknown_call,
    write,
)

NAME = "claude-code"

_MOMENTS: dict[str, Moment] = {
    "SessionStart": "session-start",
    "SessionEnd": "session-end",
    "UserPromptSubmit": "instruction",
    "UserPromptExpansion": "proposal",
    "PreToolUse": "proposal",
    "PostToolUse": "result",
    "PostToolUseFailure": "result",
    "ConfigChange": "configuration",
}


def _multi_edit(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    changes = tuple(
        Replacement(change.text("old_string"), change.text("new_string"), change.flag("replace_all"))
        for change in given.objects("edits")
    )
    return edited(joined(cwd, given.word("file_path")), "edit", Edit(replacements=changes), tool)


def _notebook_edit(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    mode = given.maybe("edit_mode") or "replace"
    shown = f"@@ cell {given.maybe('cell_id') or 'first'}: {mode} @@\n{given.maybe('new_source') or ''}\n"
    return one(FileEdit(joined(cwd, given.word("notebook_path")), "edit", diff=shown), tool)


def _own(*members: str) -> Tool:
    return own(NAME, *members)


_GREP = (
    "path",
    "glob",
    "output_mode",
    "-A",
    "-B",
    "-C",
    "-n",
    "-i",
    "-o",
    "type",
    "head_limit",
    "multiline",
    "offset",
)

TOOLS: dict[str, Tool] = {
    "Bash": shell("command", "timeout", "description", "run_in_background"),
    "Read": read("file_path", "offset", "limit", "pages", "allow_large"),
    "LS": read("path", "ignore"),
    "Glob": search("pattern", "path", glob=True),
    "Grep": search("pattern", *_GREP, glob=False),
    "Write": write("file_path", "content"),
    "Edit": replace_text("file_path", "old_string", "new_string", "replace_all"),
    "MultiEdit": Tool(frozenset(("file_path", "edits")), _multi_edit),
    "NotebookEdit": Tool(
        frozenset(("notebook_path", "cell_id", "cell_type", "new_source", "edit_mode")), _notebook_edit
    ),
    "WebFetch": fetch("url", "prompt"),
    "WebSearch": _own("query", "allowed_domains", "blocked_domains"),
    "Agent": _own("description", "prompt", "subagent_type", "model", "effort", "run_in_background", "isolation"),
    "Task": _own("description", "prompt", "subagent_type", "model", "run_in_background"),
    "Skill": _own("skill", "args"),
    "TodoWrite": _own("todos"),
    "TaskCreate": _own("subject", "description", "activeForm", "metadata"),
    "TaskUpdate": _own(
        "taskId", "subject", "description", "activeForm", "status", "addBlocks", "addBlockedBy", "owner", "metadata"
    ),
    "TaskGet": _own("taskId"),
    "TaskList": _own(),
    "TaskOutput": _own("task_id", "block", "timeout"),
    "TaskStop": _own("task_id", "shell_id"),
    "BashOutput": _own("bash_id", "filter"),
    "KillShell": _own("shell_id"),
    "ToolSearch": _own("query", "max_results"),
    "AskUserQuestion": _own("questions", "answers", "metadata", "annotations"),
    "EnterPlanMode": _own(),
    "ExitPlanMode": _own("plan", "allowedPrompts"),
}  # fmt: skip
"""Tools that are not here (Workflow, Monitor, CronCreate, …) are held by name; so is a command that asks to run outside of
the client's own sandbox (`dangerouslyDisableSandbox`), which a reviewer would not see in its script."""


def parse(call: HookCall) -> HookEvent:
    """The event in *call*. Raises `HookMalformed`."""
    given = Payload.of(call)
    name = given.text("hook_event_name")
    cwd = given.word("cwd")
    moment = _MOMENTS.get(name, "other")
    common: dict[str, Any] = {
        "moment": moment,
        "client_session": given.word("session_id"),
        "cwd": cwd,
        "transcript": given.maybe("transcript_path"),
        "model": given.maybe("model") or "" if name == "SessionStart" else "",
        "subagent": given.maybe("agent_id"),
        "event": name,
    }
    if name == "UserPromptSubmit":
        return HookEvent(instruction=cut(given.text("prompt")), **common)
    if name in ("PreToolUse", "PostToolUse", "PostToolUseFailure"):
        return _tool_event(given, name, cwd, common)
    if name in ("UserPromptExpansion", "ConfigChange"):
        return HookEvent(proposals=_client_act(given, name), **common)
    if moment == "other":
        why = f"{name} is not an event that is known of {NAME}."
        return HookEvent(proposals=unknown_call(NAME, name, given), unknown=why, **common)
    return HookEvent(**common)


def _tool_event(given: Payload, event: str, cwd: str, common: dict[str, Any]) -> HookEvent:
    name = given.word("tool_name")
    tool_input = given.object("tool_input")
    server = given.object("mcp_server").maybe("name") if given.members.get("mcp_server") else None
    named = mcp_name(name, given=server)
    unknown: str | None
    if named:
        proposals, unknown = mcp_call(named, tool_input, name), None
    else:
        proposals, unknown = proposed(NAME, TOOLS, name, tool_input, cwd)
    return HookEvent(
        proposals=proposals,
        unknown=unknown,
        call=given.maybe("tool_use_id"),
        arguments=tool_input.members,
        result=None if event == "PreToolUse" else _result(given, event),
        **common,
    )


def _result(given: Payload, event: str) -> dict[str, Any]:
    if event == "PostToolUseFailure":
        return {"outcome": "failed", "output": given.members.get("error")}
    return {"outcome": "done", "output": given.members.get("tool_response")}


def _client_act(given: Payload, name: str) -> tuple[Proposal, ...]:
    """A slash command's expansion (which may run commands of its own), or settings that changed meanwhile."""
    shown = ("expansion_type", "command_name", "command_args", "command_source", "source", "file_path")
    arguments = {member: given.maybe(member) for member in shown if member in given.members}
    return one(ToolCall(tool=name, arguments=arguments, server=f"client:{NAME}"), name)


def render(event: HookEvent, verdict: HookVerdict) -> HookAnswer:
    """The verdict in Claude Code's words."""
    if event.moment in ("session-start", "session-end", "instruction", "result"):
        return HookAnswer() if verdict.allow else warning(verdict.words)
    if not verdict.allow:
        return denial(verdict.words)
    if event.event != "PreToolUse":
        return HookAnswer()
    said: dict[str, Any] = {"hookEventName": "PreToolUse", "permissionDecision": "allow"}
    if verdict.words:
        said["permissionDecisionReason"] = verdict.words
    if verdict.canonical is not None and event.arguments is not None and "command" in event.arguments:
        said["updatedInput"] = {**event.arguments, "command": verdict.canonical}
    return answer_json({"hookSpecificOutput": said})


def reasoning(records: Sequence[dict[str, Any]], event: HookEvent) -> str | None:
    """What the agent thought and said in the message that made this call (transcript lines share a message id)."""
    message = next(
        (message["id"] for message in map(_message, reversed(records)) if _calls(message, event.call)), None
    )
    if message is None:
        return None
    told = [
        block.get(block["type"])
        for other in map(_message, records)
        if other.get("id") == message
        for block in other["content"]
        if isinstance(block, dict) and block.get("type") in ("thinking", "text")
    ]
    return "\n\n".join(text for text in told if isinstance(text, str) and text.strip())


def _message(record: dict[str, Any]) -> dict[str, Any]:
    message = record.get("message")
    usable = isinstance(message, dict) and isinstance(message.get("content"), list) and "id" in message
    return message if usable else {"content": []}  # type: ignore[return-value]


def _calls(message: dict[str, Any], call: str | None) -> bool:
    return call is not None and any(
        isinstance(block, dict) and block.get("type") == "tool_use" and block.get("id") == call
        for block in message["content"]
    )


DIALECT = Dialect(
    fresh_shell=True,
    name=NAME,
    title="Claude Code",
    events=(
        Hooked("SessionStart"),
        Hooked("UserPromptSubmit"),
        Hooked("UserPromptExpansion", gate=True, timeout=LONGEST_WAIT),
        Hooked("PreToolUse", gate=True, timeout=LONGEST_WAIT),
        Hooked("PostToolUse"),
        Hooked("PostToolUseFailure"),
        Hooked("ConfigChange", gate=True),
        Hooked("SessionEnd", timeout=10),
    ),
    parse=parse,
    render=render,
    can_rewrite=True,
    grants=True,
    holes=(
        "--bare, --safe-mode, --setting-sources and --settings start it without user or project hooks; only managed settings survive them",
        "`!` commands inside slash commands and skills run without a tool call: the expansion and the Skill tool are "
        "asked about, the commands are not shown",
        "`@file` in a prompt reads the file without a tool call",
        "versions before 2.1.295 ignore onFailure: a hook that can't start lets a tool run that the client itself "
        "allows; grant nothing there",
        "a process of the same user can edit or kill what lies in the user's home",
    ),
    reasoning=reasoning,
    loads=(
        "CLAUDE.md", "CLAUDE.local.md", ".claude/CLAUDE.md", ".claude/settings.json", ".claude/settings.local.json",
        ".claude/agents/*.md", ".claude/commands/*.md", ".claude/skills/*/SKILL.md", ".claude/rules/*.md", ".mcp.json",
        "~/.claude/CLAUDE.md", "~/.claude/settings.json", "~/.claude/agents/*.md", "~/.claude/commands/*.md",
        "~/.claude/skills/*/SKILL.md", "/etc/claude-code/managed-settings.json", "/etc/claude-code/CLAUDE.md",
    ),
    configures=("~/.claude.json",),
    above=("CLAUDE.md", "CLAUDE.local.md"),
    imports=True,
    wiring=(
        ".claude/settings.json", ".claude/settings.local.json", "~/.claude/settings.json", "~/.claude.json",
        "/etc/claude-code",
    ),
)  # fmt: skip
