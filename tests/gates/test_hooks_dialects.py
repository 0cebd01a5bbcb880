"""The dialect tables of Claude Code, Codex and Gemini: what is read from a call, and what a verdict sounds like."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hooks_captured import CLIENTS, GATES, encoded, payload, prompt, shell, tool
from hooks_recording import call
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import FileEdit, HttpRequest, Shell, ToolCall
from keyturn.errors import KeyturnError
from keyturn.gates.hooks.dialects import DIALECTS, UnknownClient, dialect_of
from keyturn.gates.hooks.model import HookEvent, HookVerdict
from keyturn.gates.hooks.payload import HookMalformed


def parsed(client: str, data: bytes, event: str | None = None) -> HookEvent:
    return dialect_of(client).parse(call(client, event or GATES[client], data))


def contents(client: str, name: str, arguments: dict[str, Any], **members: Any) -> list[Any]:
    return [
        proposal.content for proposal in parsed(client, tool(client, name, arguments, **members)).proposals
    ]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_command_is_read_exactly(client: str) -> None:
    event = parsed(client, shell(client, "echo RAN > proof.txt && cat proof.txt"))
    assert [p.content for p in event.proposals] == [Shell("echo RAN > proof.txt && cat proof.txt")]
    assert (event.moment, event.cwd, event.unknown) == ("proposal", "/srv", None)
    assert event.call == (None if client == "gemini" else "toolu_c9437db4318c")


@pytest.mark.parametrize("client", CLIENTS)
def test_an_instruction_is_read_exactly(client: str) -> None:
    data = prompt(client, "please create proof.txt")
    event = parsed(client, data, json.loads(data)["hook_event_name"])
    assert (event.moment, event.instruction) == ("instruction", "please create proof.txt")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_tool_that_is_not_in_the_table_is_unknown_and_no_rule_for_own_tools_matches_it(client: str) -> None:
    event = parsed(client, tool(client, "FormatDisk", {"disk": 1}))
    assert event.unknown
    assert [p.content for p in event.proposals] == [ToolCall("FormatDisk", {"disk": 1}, f"unknown:{client}")]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_known_tool_with_a_member_nobody_has_read_is_unknown(client: str) -> None:
    name = "Bash" if client != "gemini" else "run_shell_command"
    event = parsed(client, tool(client, name, {"command": "ls", "interpreter": "perl"}))
    assert event.unknown
    assert isinstance(event.proposals[0].content, ToolCall)


def test_claude_code_file_tools_are_file_edits() -> None:
    write = contents("claude-code", "Write", {"file_path": "/srv/a.txt", "content": "x\n"})
    assert write == [FileEdit("/srv/a.txt", "write", diff="+x\n")]
    change = {"file_path": "sub/b.txt", "old_string": "x", "new_string": "y", "replace_all": True}
    (edit,) = contents("claude-code", "Edit", change)
    assert (edit.path, edit.operation) == ("/srv/sub/b.txt", "edit")
    assert "-x\n+y\n" in edit.diff
    assert contents("claude-code", "Read", {"file_path": "/etc/passwd"}) == [FileEdit("/etc/passwd", "read")]
    (search,) = contents("claude-code", "Glob", {"pattern": "/etc/**/*.conf"})
    assert (search.path, search.operation) == ("/etc", "read")
    assert contents("claude-code", "WebFetch", {"url": "https://x.test/", "prompt": "?"}) == [
        HttpRequest("https://x.test/")
    ]


def test_codex_patches_are_one_file_edit_for_each_file() -> None:
    patch = "*** Begin Patch\n*** Add File: b.txt\n+hello\n*** Update File: a.txt\n@@\n-hello\n+bye\n*** End Patch\n"
    edits = contents("codex", "apply_patch", {"command": patch})
    assert [(e.path, e.operation) for e in edits] == [("/srv/b.txt", "write"), ("/srv/a.txt", "edit")]


def test_gemini_commands_run_where_they_say() -> None:
    event = parsed("gemini", tool("gemini", "run_shell_command", {"command": "rm x", "dir_path": "../etc"}))
    assert event.cwd == "/etc"
    with pytest.raises(HookMalformed):
        parsed(
            "gemini", tool("gemini", "run_shell_command", {"command": "x", "dir_path": "a", "directory": "b"})
        )


def test_mcp_tools_carry_server_tool_and_arguments() -> None:
    expected = [ToolCall("write_file", {"path": "/x"}, "fs")]
    assert (
        contents("claude-code", "mcp__fs__write_file", {"path": "/x"}, mcp_server={"name": "fs"}) == expected
    )
    assert contents("codex", "mcp__fs__write_file", {"path": "/x"}) == expected
    context = {"server_name": "fs", "tool_name": "write_file", "command": "npx", "args": []}
    assert contents("gemini", "mcp_fs_write_file", {"path": "/x"}, mcp_context=context) == expected


@pytest.mark.parametrize("server", ["client:gemini", "unknown:gemini", ""])
def test_an_mcp_server_cant_take_the_name_of_a_clients_own_tools(server: str) -> None:
    context = {"server_name": server, "tool_name": "write_todos"}
    with pytest.raises(HookMalformed):
        contents("gemini", "mcp_x", {}, mcp_context=context)
    assert contents("gemini", "mcp_x", {}, mcp_context={**context, "server_name": "fs"})  # the control


@pytest.mark.parametrize("path", ["~/.ssh/id_rsa", " /etc/shadow", "/etc/shadow ", "a\0b", "cafe\u0301.txt"])
def test_a_path_that_can_be_understood_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(HookMalformed):
        contents("claude-code", "Read", {"file_path": path})
    assert contents("claude-code", "Read", {"file_path": "caf\u00e9.txt"})  # the control


def test_slash_commands_skills_and_changed_settings_are_asked_about() -> None:
    said = payload("claude-code", "UserPromptExpansion", command_name="bb", command_source="projectSettings")
    (expansion,) = parsed("claude-code", encoded(said), "UserPromptExpansion").proposals
    assert expansion.content == ToolCall(
        "UserPromptExpansion",
        {"command_name": "bb", "command_source": "projectSettings"},
        "client:claude-code",
    )
    said = payload(
        "claude-code", "ConfigChange", source="local_settings", file_path="/w/.claude/settings.local.json"
    )
    assert parsed("claude-code", encoded(said), "ConfigChange").moment == "configuration"
    assert contents("claude-code", "Skill", {"skill": "deploy"})[0].server == "client:claude-code"


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
def test_no_is_exit_status_2_with_words_on_standard_error(client: str) -> None:
    event = parsed(client, shell(client, "rm -rf /"))
    answer = dialect_of(client).render(event, HookVerdict(False, "keyturn: refused by policy."))
    assert (answer.status, answer.stdout, answer.stderr) == (2, b"", b"keyturn: refused by policy.\n")


@pytest.mark.parametrize("client", CLIENTS)
def test_no_without_words_still_has_words(client: str) -> None:
    answer = dialect_of(client).render(parsed(client, shell(client, "x")), HookVerdict(False, "\x1b\x00"))
    assert answer.status == 2
    assert answer.stderr.strip()


def test_yes_in_each_dialect() -> None:
    said = {}
    for client in CLIENTS:
        answer = dialect_of(client).render(parsed(client, shell(client, "ls")), HookVerdict(True))
        assert (answer.status, answer.stderr) == (0, b"")
        said[client] = json.loads(answer.stdout) if answer.stdout else None
    allow = {"hookEventName": "PreToolUse", "permissionDecision": "allow"}
    assert said == {
        "claude-code": {"hookSpecificOutput": allow},
        "codex": None,
        "gemini": {"decision": "allow"},
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_a_rewrite_changes_the_command_and_nothing_else(client: str) -> None:
    name = "run_shell_command" if client == "gemini" else "Bash"
    given = {"command": "ls  -l"} if client == "codex" else {"command": "ls  -l", "description": "list"}
    event = parsed(client, tool(client, name, given))
    answer = json.loads(dialect_of(client).render(event, HookVerdict(True, canonical="ls -l")).stdout)
    said = answer["hookSpecificOutput"]
    assert said["tool_input" if client == "gemini" else "updatedInput"] == {**given, "command": "ls -l"}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_dialect_says_what_it_cant_stop_and_which_events_are_gates(client: str) -> None:
    dialect = dialect_of(client)
    assert dialect.holes
    assert dialect.assurance == "cooperative"
    assert dialect.is_gate(GATES[client])
    assert dialect.is_gate("AnEventOfTheFuture")
    assert not dialect.is_gate("SessionStart")


def test_an_unknown_client_is_named() -> None:
    with pytest.raises(UnknownClient):
        dialect_of("cursor")
    assert len(DIALECTS) == 5


# --- malformed ------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("client", CLIENTS)
@given(data=st.binary(max_size=200) | JSON.map(encoded))
def test_what_is_not_a_clients_call_is_refused_with_a_code(client: str, data: bytes) -> None:
    with pytest.raises(KeyturnError) as raised:
        parsed(client, data)
    assert raised.value.code == "hooks.malformed"


@pytest.mark.parametrize("client", CLIENTS)
@given(name=st.text(max_size=12), value=JSON, where=st.sampled_from(["top", "input"]))
def test_a_call_with_any_member_replaced_is_refused_or_read_as_something_to_ask_about(
    client: str, name: str, value: Any, where: str
) -> None:
    said = json.loads(shell(client, "ls"))
    part = said if where == "top" else said["tool_input"]
    part[name] = value
    try:
        event = parsed(client, encoded(said))
    except KeyturnError:
        return
    assert event.moment != "proposal" or event.proposals
    assert event.moment in ("proposal", "other")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("member", ["session_id", "cwd", "hook_event_name", "tool_name", "tool_input"])
@given(value=JSON)
def test_a_needed_member_of_another_type_is_refused(client: str, member: str, value: Any) -> None:
    said = json.loads(shell(client, "ls"))
    wanted = dict if member == "tool_input" else str
    if isinstance(value, wanted):
        value = 7
    said[member] = value
    with pytest.raises(HookMalformed):
        parsed(client, encoded(said))
