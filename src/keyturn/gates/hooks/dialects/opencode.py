"""opencode (proven with 1.18.33): a plugin asks, and throws on anything but a clear allow.

opencode has no command hooks; `opencode_plugin.js` speaks the hook client's frames itself. Its events are opencode's
own plugin hooks: `chat.message` (the instruction), `tool.execute.before` (the gate), `tool.execute.after`,
`session.created`, `session.deleted`.

A plugin that fails to load is skipped silently. So the installed configuration denies every tool, and the plugin's
own `config` hook lifts that once it runs: without the plugin the model isn't even offered a tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from keyturn.gates import protocol
from keyturn.gates.hooks import tools
from keyturn.gates.hooks.dialects import LONGEST_WAIT, Dialect, Hooked
from keyturn.gates.hooks.model import HookAnswer, HookCall, HookEvent, HookVerdict, Proposal
from keyturn.gates.hooks.payload import HookMalformed, Payload, cut, joined
from keyturn.gates.hooks.rendering import answer_json, denial

NAME = "opencode"
PLUGIN_FILE = ".config/opencode/plugin/keyturn.js"
CONFIG_FILE = ".config/opencode/opencode.json"
DENY_ALL = {"*": "deny"}
"""The `permission` that the installed configuration sets; only the loaded plugin replaces it."""


def _patch(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
    from keyturn.gates.hooks.patches import proposals_of

    return proposals_of(given.text("patchText"), cwd, tool)


TOOLS: Mapping[str, tools.Tool] = {
    "bash": tools.shell("command", "timeout", "workdir", "description"),
    "write": tools.write("filePath", "content"),
    "edit": tools.replace_text("filePath", "oldString", "newString", "replaceAll"),
    "patch": tools.Tool(frozenset({"patchText"}), _patch),
    "apply_patch": tools.Tool(frozenset({"patchText"}), _patch),
    "read": tools.read("filePath", "offset", "limit"),
    "list": tools.read("path", "ignore", optional=True),
    "glob": tools.search("pattern", "path", glob=True),
    "grep": tools.search("pattern", "path", "include", glob=False),
    "webfetch": tools.fetch("url", "format", "timeout"),
    "task": tools.own(NAME, "description", "prompt", "subagent_type", "task_id", "command"),
    "skill": tools.own(NAME, "name"),
    "todowrite": tools.own(NAME, "todos"),
    "todoread": tools.own(NAME),
    "question": tools.own(NAME, "questions"),
    "websearch": tools.own(NAME, "query", "numResults", "livecrawl", "type", "contextMaxCharacters"),
}


def proposed(tool: str, given: Payload, cwd: str) -> tuple[tuple[Proposal, ...], str | None]:
    """What calling *tool* would do, and why it is unknown.

    opencode names an MCP tool `<server>_<tool>`, which can't be taken apart again: it becomes a call of server
    `mcp:opencode`, a name that no server can have.
    """
    if tool not in TOOLS and "_" in tool:
        from keyturn.actions import ToolCall

        return tools.one(ToolCall(tool, given.members, "mcp:opencode"), tool), None
    return tools.proposed(NAME, TOOLS, tool, given, cwd)


def folder(tool: str, given: Payload, cwd: str) -> str:
    """Where *tool* would work: `bash` may name another folder."""
    wanted = given.maybe("workdir") if tool == "bash" else None
    return joined(cwd, wanted) if wanted else cwd


def parse(call: HookCall) -> HookEvent:
    """One frame of the plugin. Raises `HookMalformed`."""
    payload = Payload.of(call)
    session = payload.text("sessionID")
    if call.event == "session.created":
        return HookEvent(
            "session-start", session, call.cwd, event=call.event,
            agent_version=payload.maybe("version") or "", subagent=payload.maybe("parentID") or None,
        )  # fmt: skip
    if call.event == "session.deleted":
        return HookEvent("session-end", session, call.cwd, event=call.event)
    if call.event == "chat.message":
        return HookEvent(
            "instruction", session, call.cwd, event=call.event,
            instruction=cut(payload.text("text")), model=payload.maybe("model") or "",
        )  # fmt: skip
    if call.event == "tool.execute.before":
        return _proposal(call, payload, session)
    if call.event == "tool.execute.after":
        output = payload.text("output")
        result = {"outcome": "done", "output": output, "exit_code": _exit_code(payload)}
        given = payload.object("args")
        proposals, _ = proposed(payload.word("tool"), given, call.cwd)
        return HookEvent(
            "result", session, call.cwd, proposals=proposals, call=payload.word("callID"), event=call.event,
            result=result, arguments=given.members,
        )  # fmt: skip
    raise HookMalformed(f"The plugin has no event {call.event[:40]!r}.")


def _proposal(call: HookCall, payload: Payload, session: str) -> HookEvent:
    tool, given = payload.word("tool"), payload.object("args")
    proposals, unknown = proposed(tool, given, call.cwd)
    return HookEvent(
        "proposal", session, folder(tool, given, call.cwd), proposals=proposals,
        call=payload.word("callID"), unknown=unknown, event=call.event, arguments=given.members,
    )  # fmt: skip


def _exit_code(payload: Payload) -> int | None:
    value = payload.members.get("exit")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def render(event: HookEvent, verdict: HookVerdict) -> HookAnswer:
    """The one thing that the plugin lets pass is `{"decision": "allow"}`; a rewritten command goes with it."""
    if event.moment != "proposal":
        return HookAnswer()
    if not verdict.allow:
        return denial(verdict.words)
    answer: dict[str, object] = {"decision": "allow"}
    if verdict.canonical is not None and "command" in (event.arguments or {}):
        answer["command"] = verdict.canonical
    return answer_json(answer)


def plugin(socket: str) -> str:
    """The plugin's text, for the gates' socket at *socket*. Raises `HookMalformed` for a path JavaScript can't hold."""
    if any(letter in socket for letter in '"\\\n\r\0'):
        raise HookMalformed("The socket's path has a quote, a backslash or a control character.")
    text = resources.files("keyturn.gates.hooks").joinpath("opencode_plugin.js").read_text("utf-8")
    return text.replace("@SOCKET@", socket).replace("@VERSION@", protocol.VERSION)


DIALECT = Dialect(
    fresh_shell=True,
    name=NAME,
    title="opencode",
    events=(
        Hooked("session.created"),
        Hooked("chat.message"),
        Hooked("tool.execute.before", gate=True, timeout=LONGEST_WAIT),
        Hooked("tool.execute.after"),
        Hooked("session.deleted"),
    ),
    parse=parse,
    render=render,
    can_rewrite=True,
    grants=True,
    in_process=True,
    holes=(
        "Configuration in the project folder is merged over the user's: a file there that allows tools, in a run "
        "whose plugin doesn't load, frees the agent. Managed configuration (/etc/opencode) is not overridden.",
        "`opencode --pure` runs without plugins; with the installed configuration it then has no tools.",
        "A plugin beside this one can change a call after it was allowed.",
    ),
    loads=(
        "AGENTS.md", "opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/agent/*.md",
        ".opencode/command/*.md", ".opencode/plugin/*.js", ".opencode/plugin/*.ts", ".opencode/tool/*.ts",
        "~/.config/opencode/opencode.json", "~/.config/opencode/AGENTS.md", "~/.config/opencode/agent/*.md",
        "~/.config/opencode/command/*.md", "~/.config/opencode/plugin/*.js", "~/.config/opencode/plugin/*.ts",
    ),
    wiring=("opencode.json", "opencode.jsonc", ".opencode", "~/.config/opencode", "/etc/opencode"),
)  # fmt: skip
