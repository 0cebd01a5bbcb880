"""GitHub Copilot CLI (proven with 1.0.102): a hooks file of its own below `~/.copilot/hooks/`.

- The payload doesn't name its event, so each event's command names it as an argument.
- A denial is JSON on standard output with exit status 0; exit status 2 denies too, but loses the reason.
- A crash denies. A timeout or an answer that is no JSON falls through to Copilot's own permission flow, which ends
  as a denial unless `--allow-all-tools` is given. So Keyturn's *allow* is the only grant, and that flag defeats it.
- For edits and MCP tools Copilot asks a second time (`permissionRequest`), after `preToolUse` was allowed. That
  question names what is to be done in other words and without an id. It is a proposal in its own right, unless it
  is about exactly what was just allowed (`hooks.confirmations`).
- There is no call id and no transcript path before the end of the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from keyturn.actions import FileEdit, HttpRequest, ToolCall
from keyturn.gates.hooks import tools
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
from keyturn.gates.hooks.payload import HookMalformed, Payload, cut, joined, searched
from keyturn.gates.hooks.rendering import answer_json, spoken, warning

NAME = "copilot"
HOOKS_FILE = ".copilot/hooks/keyturn.json"
MCP_SERVER = "mcp:copilot"
"""Copilot names an MCP tool `<server>-<tool>`, which can't be taken apart again; no server can have this name."""

_MOMENTS: dict[str, Moment] = {
    "sessionStart": "session-start",
    "userPromptSubmitted": "instruction",
    "preToolUse": "proposal",
    "permissionRequest": "proposal",
    "postToolUse": "result",
    "postToolUseFailure": "result",
    "sessionEnd": "session-end",
}


def _replace(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    change = Replacement(given.text("old_str"), given.text("new_str"))
    if not change.old:
        raise HookMalformed("An edit replaces nothing.")
    return tools.edited(joined(cwd, given.word("path")), "edit", Edit(replacements=(change,)), tool)


def _search(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    paths = given.members.get("paths")
    roots = [paths] if isinstance(paths, str) else paths if paths is not None else ["."]
    if not isinstance(roots, list) or not roots or not all(isinstance(root, str) for root in roots):
        raise HookMalformed("The search's paths are neither text nor a list of texts.")
    return tuple(
        Proposal(FileEdit(joined(cwd, root), "read", diff=f"{tool}: {given.text('pattern')}"), tool)
        for root in roots
    )


def _grepped(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    found = [item.content for item in _search(given, cwd, tool)]
    return tuple(
        Proposal(replace(content, path=searched(content.path, given)), tool)
        for content in found
        if isinstance(content, FileEdit)
    )


def _globbed(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    from keyturn.gates.hooks.payload import search_root

    found = _search(given, cwd, tool)
    contents = [item.content for item in found if isinstance(item.content, FileEdit)]
    return tuple(
        Proposal(FileEdit(search_root(c.path, given.text("pattern")), "read", diff=c.diff), tool)
        for c in contents
    )


_GREP = (
    "pattern", "paths", "output_mode", "glob", "type", "-i", "-A", "-B", "-C", "-n", "head_limit", "multiline",
)  # fmt: skip

TOOLS: dict[str, tools.Tool] = {
    "bash": tools.shell("command", "description", "shellId", "mode", "detach", "initial_wait", "timeout"),
    "view": tools.read("path", "view_range", "forceReadLargeFiles"),
    "create": tools.write("path", "file_text"),
    "edit": tools.Tool(frozenset({"path", "old_str", "new_str"}), _replace),
    "grep": tools.Tool(frozenset(_GREP), _grepped),
    "glob": tools.Tool(frozenset({"pattern", "paths"}), _globbed),
    "web_fetch": tools.fetch("url", "max_length", "start_index", "raw"),
    "read_bash": tools.own(NAME, "shellId", "delay"),
    "stop_bash": tools.own(NAME, "shellId"),
    "list_bash": tools.own(NAME),
    "sql": tools.own(NAME, "description", "query", "database"),
    "task": tools.own(
        NAME,
        "description",
        "prompt",
        "agent_type",
        "name",
        "model",
        "reasoning_effort",
        "context_tier",
        "mode",
    ),
    "read_agent": tools.own(NAME, "agent_id", "wait", "timeout", "since_turn"),
    "list_agents": tools.own(NAME, "include_completed", "scope"),
    "write_agent": tools.own(NAME, "agent_id", "agent_ids", "scope", "message"),
    "report_intent": tools.own(NAME, "intent"),
    "skill": tools.own(NAME, "skill"),
}  # `write_bash` types into a running shell: nobody can read what that does, so it is unknown on purpose.


def proposed(tool: str, given: Payload, cwd: str) -> tuple[tuple[Proposal, ...], str | None]:
    """What calling *tool* would do, and why it is unknown."""
    if tool not in TOOLS and "-" in tool:
        return tools.one(ToolCall(tool, given.members, MCP_SERVER), tool), None
    return tools.proposed(NAME, TOOLS, tool, given, cwd)


def _confirmed(tool: str, given: Payload, cwd: str) -> tuple[tuple[Proposal, ...], str | None]:
    """What a `permissionRequest` is about: other names for the same tools."""
    server, slash, name = tool.partition("/")
    if slash:
        return tools.one(ToolCall(f"{server}-{name}", given.members, MCP_SERVER), tool), None
    if tool == "edit" and set(given.members) == {"file_path", "diff"}:
        diff, path = given.text("diff"), joined(cwd, given.word("file_path"))
        operation = "create" if "\ncreate file mode " in diff else "edit"
        return tools.one(FileEdit(path, operation, diff=diff), tool), None  # type: ignore[arg-type]
    if tool in ("url", "web_fetch") and set(given.members) == {"url"}:
        return tools.one(HttpRequest(given.word("url")), tool), None
    return proposed(tool, given, cwd)


def parse(call: HookCall) -> HookEvent:
    """The event in *call*, which the hook's argument names. Raises `HookMalformed`."""
    given = Payload.of(call)
    moment = _MOMENTS.get(call.event, "other")
    cwd = given.word("cwd")
    common: dict[str, Any] = {
        "moment": moment, "client_session": given.word("sessionId"), "cwd": cwd, "event": call.event,
    }  # fmt: skip
    if call.event == "userPromptSubmitted":
        return HookEvent(instruction=cut(given.text("prompt")), **common)
    if moment in ("session-start", "session-end"):
        return HookEvent(**common)
    if moment == "other":
        why = f"{call.event[:40]} is not an event that is known of {NAME}."
        return HookEvent(proposals=tools.unknown_call(NAME, call.event, given), unknown=why, **common)
    name = given.word("toolName")
    arguments = given.object("toolInput" if call.event == "permissionRequest" else "toolArgs")
    find = _confirmed if call.event == "permissionRequest" else proposed
    proposals, unknown = find(name, arguments, cwd)
    return HookEvent(
        again=call.event == "permissionRequest",
        proposals=proposals,
        unknown=unknown,
        arguments=arguments.members,
        result=_result(call.event, given),
        **common,
    )


def _result(event: str, given: Payload) -> dict[str, Any] | None:
    if event == "postToolUseFailure":
        return {"outcome": "failed", "output": given.members.get("error")}
    if event != "postToolUse":
        return None
    result = given.object("toolResult")
    outcome = "done" if result.maybe("resultType") == "success" else "failed"
    return {"outcome": outcome, "output": result.members.get("textResultForLlm")}


def render(event: HookEvent, verdict: HookVerdict) -> HookAnswer:
    """The verdict in Copilot's words: always JSON with exit status 0, so that the reason arrives."""
    if event.moment in ("session-start", "session-end", "instruction", "result"):
        return HookAnswer() if verdict.allow else warning(verdict.words)
    if event.event == "permissionRequest":
        if verdict.allow:
            return answer_json({"behavior": "allow"})
        return answer_json({"behavior": "deny", "message": spoken(verdict.words)})
    if not verdict.allow:
        return answer_json({"permissionDecision": "deny", "permissionDecisionReason": spoken(verdict.words)})
    answer: dict[str, Any] = {"permissionDecision": "allow"}
    if verdict.canonical is not None and event.arguments is not None and "command" in event.arguments:
        answer["modifiedArgs"] = {**event.arguments, "command": verdict.canonical}
    return answer_json(answer)


def transcript(event: HookEvent, home: str) -> str | None:
    """`~/.copilot/session-state/<session>/events.jsonl`; a session id that is no plain word names no file."""
    if not event.client_session.replace("-", "").isalnum():
        return None
    return f"{home}/.copilot/session-state/{event.client_session}/events.jsonl"


def reasoning(records: Sequence[dict[str, Any]], event: HookEvent) -> str | None:
    """What the last message that asks for these very arguments says of its reasons; without a call id, nothing else tells."""
    for record in reversed(records):
        data = record.get("data")
        if record.get("type") != "assistant.message" or not isinstance(data, dict):
            continue
        requests = data.get("toolRequests")
        if not isinstance(requests, list) or not any(
            isinstance(asked, dict) and asked.get("arguments") == event.arguments for asked in requests
        ):
            continue
        said = [data.get("reasoningText"), data.get("content")]
        return "\n".join(part for part in said if isinstance(part, str) and part.strip())
    return None


def hooks_file(commands: dict[str, str]) -> dict[str, Any]:
    """The hooks file, given each event's command line. One invalid hook would make Copilot drop the whole file."""
    timeouts = {hooked.event: hooked.timeout for hooked in DIALECT.events}
    return {
        "version": 1,
        "hooks": {
            event: [{"type": "command", "bash": command, "timeoutSec": timeouts[event]}]
            for event, command in commands.items()
        },
    }


DIALECT = Dialect(
    name=NAME,
    title="GitHub Copilot CLI",
    events=(
        Hooked("sessionStart"),
        Hooked("userPromptSubmitted"),
        Hooked("preToolUse", gate=True, timeout=LONGEST_WAIT),
        Hooked("permissionRequest", gate=True, timeout=LONGEST_WAIT),
        Hooked("postToolUse"),
        Hooked("postToolUseFailure"),
        Hooked("sessionEnd"),
    ),
    parse=parse,
    render=render,
    can_rewrite=True,
    grants=True,
    asks_again=True,
    holes=(
        "With --allow-all-tools, --yolo or COPILOT_ALLOW_ALL a hook that runs out of time or prints no JSON lets the "
        "action run. Never give them: Keyturn's allow is the only grant needed.",
        "A hooks file with one invalid hook is dropped whole, and the agent runs ungated.",
        "Reading outside the work folder is refused by Copilot itself when nobody is at the keyboard (use --add-dir).",
    ),
    reasoning=reasoning,
    transcript=transcript,
    loads=(
        "AGENTS.md", ".github/copilot-instructions.md", ".github/instructions/*.instructions.md",
        ".github/agents/*.md", ".github/hooks/*.json", ".github/skills/*/SKILL.md", "~/.copilot/mcp-config.json",
        "~/.copilot/copilot-instructions.md", "~/.copilot/agents/*.md", "~/.copilot/hooks/*.json",
        "~/.copilot/skills/*/SKILL.md",
    ),
    wiring=(".github/hooks", "~/.copilot/hooks", "~/.copilot/config.json", "~/.copilot/settings.json"),
)  # fmt: skip
