"""Codex CLI: hooks.json, config.toml `[hooks]` or managed requirements.toml (read in 0.169.0).

Only exit status 2 *with* words on standard error (or JSON `deny` with a reason) refuses; exit 2 alone, `ask`,
`defer`, a crash and a timeout let the action run. `allow` says nothing new to Codex, so a plain allow is an empty
answer; with `updatedInput` it replaces the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyturn.actions import FileEdit
from keyturn.gates.hooks.dialects import LONGEST_WAIT, Dialect, Hooked
from keyturn.gates.hooks.model import HookAnswer, HookCall, HookEvent, HookVerdict, Moment, Proposal
from keyturn.gates.hooks.patches import proposals_of
from keyturn.gates.hooks.payload import Payload, cut, joined
from keyturn.gates.hooks.rendering import answer_json, denial, warning
from keyturn.gates.hooks.tools import Tool, mcp_call, mcp_name, one, own, proposed, shell, unknown_call

NAME = "codex"

_MOMENTS: dict[str, Moment] = {
    "SessionStart": "session-start",
    "SessionEnd": "session-end",
    "UserPromptSubmit": "instruction",
    "PreToolUse": "proposal",
    "PostToolUse": "result",
}

_SPAWNING = "multi_agent_v1"
"""Prefix under which Codex names the tools of this namespace to its hooks."""


def _patch(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    return proposals_of(given.text("command"), cwd, tool)


def _view(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    return one(FileEdit(joined(cwd, given.word("path")), "read"), tool)


def _own(*members: str) -> Tool:
    return own(NAME, *members)


_AGENTS = {
    "spawn_agent": _own(
        "message", "items", "fork_context", "model", "reasoning_effort", "agent_type", "task_name"
    ),
    "send_input": _own("target", "message", "items", "interrupt"),
    "resume_agent": _own("id"),
    "wait_agent": _own("targets", "timeout_ms"),
    "close_agent": _own("target"),
}

TOOLS: dict[str, Tool] = {
    "Bash": shell("command"),
    "apply_patch": Tool(frozenset(("command",)), _patch),
    "view_image": Tool(frozenset(("path", "detail")), _view),
    "update_plan": _own("plan", "explanation"),
    "get_goal": _own(),
    "create_goal": _own("objective", "token_budget"),
    "update_goal": _own("status"),
    "request_user_input": _own("questions"),
    **_AGENTS,
}  # fmt: skip


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
        "model": given.maybe("model") or "",
        "subagent": given.maybe("agent_id"),
        "event": name,
    }
    if name == "UserPromptSubmit":
        return HookEvent(instruction=cut(given.text("prompt")), **common)
    if name in ("PreToolUse", "PostToolUse"):
        return _tool_event(given, name, cwd, common)
    if moment == "other":
        why = f"{name} is not an event that is known of {NAME}."
        return HookEvent(proposals=unknown_call(NAME, name, given), unknown=why, **common)
    return HookEvent(**common)


def _tool_event(given: Payload, event: str, cwd: str, common: dict[str, Any]) -> HookEvent:
    name = given.word("tool_name").removeprefix(_SPAWNING)
    tool_input = given.object("tool_input")
    named = mcp_name(name)
    unknown: str | None
    if named:
        proposals, unknown = mcp_call(named, tool_input, name), None
    else:
        proposals, unknown = proposed(NAME, TOOLS, name, tool_input, cwd)
    result = None
    if event == "PostToolUse":
        result = {"outcome": "done", "output": given.members.get("tool_response")}
    return HookEvent(
        proposals=proposals,
        unknown=unknown,
        call=given.maybe("tool_use_id"),
        arguments=tool_input.members,
        result=result,
        **common,
    )


def render(event: HookEvent, verdict: HookVerdict) -> HookAnswer:
    """The verdict in Codex's words. An allow without a rewrite is silence: JSON `allow` is reported as unsupported."""
    if event.moment in ("session-start", "session-end", "instruction", "result"):
        return HookAnswer() if verdict.allow else warning(verdict.words)
    if not verdict.allow:
        return denial(verdict.words)
    if verdict.canonical is None or event.arguments is None or "command" not in event.arguments:
        return HookAnswer()
    said = {
        "hookEventName": "PreToolUse",
        "permissionDecision": "allow",
        "updatedInput": {**event.arguments, "command": verdict.canonical},
    }
    return answer_json({"hookSpecificOutput": said})


def reasoning(records: Sequence[dict[str, Any]], event: HookEvent) -> str | None:
    """Reasoning and words between the previous tool call's output and this call, in the rollout file."""
    told: list[str] = []
    items = [item for record in records if isinstance(item := record.get("payload"), dict)]
    at = next((n for n, item in enumerate(items) if item.get("call_id") == event.call and event.call), None)
    if at is None:
        return None
    for item in reversed(items[:at]):
        kind = str(item.get("type", ""))
        if kind.endswith("_output") or kind in ("user_message", "task_started"):
            break
        if kind == "message" and item.get("role") != "assistant":
            break
        told = [*_words(item), *told]
    return "\n\n".join(told)


def _words(item: dict[str, Any]) -> list[str]:
    if item.get("type") not in ("reasoning", "message"):
        return []
    blocks = [*(item.get("summary") or ()), *(item.get("content") or ())]
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    return [text for text in texts if isinstance(text, str) and text.strip()]


DIALECT = Dialect(
    fresh_shell=True,
    name=NAME,
    title="Codex CLI",
    events=(
        Hooked("SessionStart"),
        Hooked("UserPromptSubmit"),
        Hooked("PreToolUse", gate=True, timeout=LONGEST_WAIT),
        Hooked("PostToolUse"),
        Hooked("SessionEnd", timeout=3),
    ),
    parse=parse,
    render=render,
    can_rewrite=True,
    grants=False,
    holes=(
        "write_stdin types into a shell that is already open, and asks nobody: what is typed is not seen",
        "user and project hooks run only when they are trusted; `codex exec` skips untrusted ones without a word",
        "--disable hooks and -c features.hooks=false start it without user hooks; managed requirements survive them",
        "a hook that crashes or is too slow counts as yes: the installed command "
        "turns every failure into a no, except that the client kills it",
        "the hook is told the command and where it runs, not which shell, sandbox or terminal was asked for",
        "its own web search runs at the provider and is not asked about",
        "Keyturn's allow grants nothing by itself: run it with a read-only or workspace sandbox, never with danger-full-access alone",
    ),
    reasoning=reasoning,
    loads=(
        "AGENTS.md", "AGENTS.override.md", ".codex/config.toml", ".codex/hooks.json", ".codex/rules/*.rules",
        ".agents/skills/*/SKILL.md", "~/.codex/AGENTS.md", "~/.codex/config.toml", "~/.codex/hooks.json",
        "~/.codex/rules/*.rules", "~/.codex/prompts/*.md", "~/.codex/skills/*/SKILL.md", "/etc/codex/requirements.toml",
        "/etc/codex/config.toml",
    ),
    above=("AGENTS.md", "AGENTS.override.md"),
    tells_model=True,
    wiring=(
        ".codex", "~/.codex", "/etc/codex",
    ),
)  # fmt: skip
