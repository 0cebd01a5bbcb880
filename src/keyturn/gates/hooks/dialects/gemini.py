"""Gemini CLI: hooks of settings.json (read in 0.61.0). Timeouts are in milliseconds.

Exit status 2 with words on standard error refuses. Exit 1, a signal, a timeout and an answer that is no JSON count as
yes, and so does exit 2 without words. An allow grants nothing that the client's own policy denies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from keyturn.gates.hooks.dialects import LONGEST_WAIT, Dialect, Hooked
from keyturn.gates.hooks.model import HookAnswer, HookCall, HookEvent, HookVerdict, Moment
from keyturn.gates.hooks.payload import HookMalformed, Payload, cut, joined
from keyturn.gates.hooks.rendering import answer_json, denial, warning
from keyturn.gates.hooks.tools import (
    Named,
    Tool,
    mcp_call,
    own,
    proposed,
    read,
    replace_text,
    search,
    shell,
    unknown_call,
    write,
)

NAME = "gemini"

_MOMENTS: dict[str, Moment] = {
    "SessionStart": "session-start",
    "SessionEnd": "session-end",
    "BeforeAgent": "instruction",
    "BeforeTool": "proposal",
    "AfterTool": "result",
}

_WAIT = "wait_for_previous"
"""A member that the client may add to any tool: it orders calls and changes none."""


def _own(*members: str) -> Tool:
    return own(NAME, _WAIT, *members)


_GREP = (
    "dir_path", "include", "include_pattern", "exclude_pattern", "names_only", "max_matches_per_file",
    "total_max_matches", "case_sensitive", "fixed_strings", "context", "after", "before", "no_ignore", _WAIT,
)  # fmt: skip

TOOLS: dict[str, Tool] = {
    "run_shell_command": shell(
        "command", "description", "dir_path", "directory", "is_background", "delay_ms", _WAIT
    ),
    "write_file": write("file_path", "content", "modified_by_user", "ai_proposed_content", _WAIT),
    "replace": replace_text(
        "file_path", "old_string", "new_string", "allow_multiple", "instruction", "expected_replacements", _WAIT
    ),
    "read_file": read("file_path", "offset", "limit", "start_line", "end_line", _WAIT),
    "list_directory": read("dir_path", "ignore", "file_filtering_options", "respect_git_ignore", _WAIT),
    "glob": search(
        "pattern", "dir_path", "case_sensitive", "respect_git_ignore", "respect_gemini_ignore", _WAIT, glob=True
    ),
    "grep_search": search("pattern", *_GREP, glob=False),
    "search_file_content": search("pattern", *_GREP, glob=False),
    "read_many_files": _own("include", "exclude", "recursive", "useDefaultExcludes", "file_filtering_options"),
    "web_fetch": _own("prompt", "url"),
    "google_web_search": _own("query"),
    "invoke_agent": _own("agent_name", "prompt"),
    "activate_skill": _own("name"),
    "save_memory": _own("fact", "scope"),
    "write_todos": _own("todos"),
    "update_topic": _own("title", "summary", "strategic_intent"),
    "ask_user": _own("questions"),
    "enter_plan_mode": _own("reason"),
    "exit_plan_mode": _own("plan_path", "plan_filename"),
    "complete_task": _own("result", "output"),
    "get_internal_docs": _own("path"),
    "list_background_processes": _own(),
    "read_background_output": _own("pid", "lines", "delay_ms"),
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
        "event": name,
    }
    if name == "BeforeAgent":
        return HookEvent(instruction=cut(given.text("prompt")), **common)
    if name in ("BeforeTool", "AfterTool"):
        return _tool_event(given, name, cwd, common)
    if moment == "other":
        why = f"{name} is not an event that is known of {NAME}."
        return HookEvent(proposals=unknown_call(NAME, name, given), unknown=why, **common)
    return HookEvent(**common)


def _tool_event(given: Payload, event: str, cwd: str, common: dict[str, Any]) -> HookEvent:
    name = given.word("tool_name")
    tool_input = given.object("tool_input")
    unknown: str | None = None
    if given.members.get("mcp_context") is not None:
        context = given.object("mcp_context")
        proposals = mcp_call(Named(context.word("server_name"), context.word("tool_name")), tool_input, name)
    else:
        where = _where(tool_input, cwd) if name == "run_shell_command" else cwd
        proposals, unknown = proposed(NAME, TOOLS, name, tool_input, where)
        common = {**common, "cwd": where}
    found = HookEvent(proposals=proposals, unknown=unknown, arguments=tool_input.members, **common)
    return replace(found, result=_result(given)) if event == "AfterTool" else found


def _where(tool_input: Payload, cwd: str) -> str:
    """The folder that a command runs in: `dir_path` (`directory` before 0.20), below the session's."""
    names = [name for name in ("dir_path", "directory") if tool_input.maybe(name)]
    if len(names) > 1:
        raise HookMalformed("The command names two working directories.")
    return joined(cwd, tool_input.word(names[0])) if names else cwd


def _result(given: Payload) -> dict[str, Any]:
    response = given.members.get("tool_response")
    failed = isinstance(response, dict) and bool(response.get("error"))
    return {"outcome": "failed" if failed else "done", "output": response}


def render(event: HookEvent, verdict: HookVerdict) -> HookAnswer:
    """The verdict in Gemini's words."""
    if event.moment in ("session-start", "session-end", "instruction", "result"):
        return HookAnswer() if verdict.allow else warning(verdict.words)
    if not verdict.allow:
        return denial(verdict.words)
    said: dict[str, Any] = {"decision": "allow"}
    if verdict.canonical is not None and event.arguments is not None and "command" in event.arguments:
        rewritten = {**event.arguments, "command": verdict.canonical}
        said["hookSpecificOutput"] = {"hookEventName": "BeforeTool", "tool_input": rewritten}
    return answer_json(said)


def reasoning(records: Sequence[dict[str, Any]], event: HookEvent) -> str | None:
    """The last thing the model thought and said; the transcript holds no call id before the call has ended."""
    for record in reversed(records):
        if record.get("type") == "user":
            return None
        if record.get("type") == "gemini" and not record.get("toolCalls"):
            thoughts = [t.get("description") for t in record.get("thoughts") or () if isinstance(t, dict)]
            texts = [*thoughts, record.get("content")]
            return "\n\n".join(text for text in texts if isinstance(text, str) and text.strip())
    return None


DIALECT = Dialect(
    fresh_shell=True,
    name=NAME,
    title="Gemini CLI",
    events=(
        Hooked("SessionStart", matcher="*"),
        Hooked("BeforeAgent", matcher="*"),
        Hooked("BeforeTool", gate=True, timeout=LONGEST_WAIT, matcher="*"),
        Hooked("AfterTool", matcher="*"),
        Hooked("SessionEnd", matcher="*", timeout=10),
    ),
    parse=parse,
    render=render,
    unit="milliseconds",
    can_rewrite=True,
    grants=False,
    holes=(
        'a project\'s .gemini/settings.json with `"hooksConfig": {"enabled": false}` turns user hooks off in a trusted folder',
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH moves the system settings: they bind only where the environment is controlled",
        "a hook that ends by a signal or is too slow counts as yes: the installed command "
        "turns every failure into a no, except that the client kills it",
        "hooks carry no call id: two equal calls of one session are told apart only by their order",
        "its file edits may be corrected by a model after they were asked about; the receipt says when the file is not what was shown",
        "Keyturn's allow grants nothing by itself: headless runs need --yolo or a policy file, and then the hook is the only gate",
    ),
    reasoning=reasoning,
    loads=(
        "GEMINI.md", "AGENTS.md", ".gemini/settings.json", ".gemini/commands/*.toml", ".gemini/agents/*.md",
        ".gemini/skills/*/SKILL.md", ".gemini/policies/*.toml", ".gemini/.env", "~/.gemini/GEMINI.md", "~/.gemini/settings.json",
        "~/.gemini/commands/*.toml", "~/.gemini/agents/*.md", "~/.gemini/skills/*/SKILL.md", "~/.gemini/policies/*.toml",
        "/etc/gemini-cli/settings.json", "/etc/gemini-cli/system-defaults.json",
    ),
    above=("GEMINI.md",),
    imports=True,
    wiring=(
        ".gemini/settings.json", "~/.gemini/settings.json", "~/.gemini/trustedFolders.json", "/etc/gemini-cli",
    ),
)  # fmt: skip
