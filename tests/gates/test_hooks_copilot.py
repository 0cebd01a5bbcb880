"""Copilot CLI's dialect: payloads as 1.0.102 sent them (shortened), and what a verdict sounds like."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hooks_recording import call
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import FileEdit, HttpRequest, Shell, ToolCall
from keyturn.errors import KeyturnError
from keyturn.gates.hooks.dialects.copilot import DIALECT, hooks_file, parse, reasoning, render, transcript
from keyturn.gates.hooks.model import HookEvent, HookVerdict
from keyturn.gates.hooks.payload import HookMalformed

COMMON = {"sessionId": "6ac2ff07-085d-49e0", "timestamp": 1795209658767, "cwd": "/srv"}


def event(name: str, **members: Any) -> HookEvent:
    return parse(call("copilot", name, json.dumps({**COMMON, **members}).encode()))


def tool(name: str, **arguments: Any) -> HookEvent:
    return event("preToolUse", toolName=name, toolArgs=arguments)


def contents(found: HookEvent) -> list[Any]:
    return [proposal.content for proposal in found.proposals]


def spoken(found: HookEvent, verdict: HookVerdict) -> dict[str, Any]:
    answer = render(found, verdict)
    assert (answer.status, answer.stderr) == (0, b"")
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


def test_each_event_is_its_moment() -> None:
    moments = {
        "sessionStart": ("session-start", {"source": "new", "initialPrompt": "x"}),
        "userPromptSubmitted": ("instruction", {"prompt": "please"}),
        "preToolUse": ("proposal", {"toolName": "bash", "toolArgs": {"command": "ls"}}),
        "permissionRequest": ("proposal", {"toolName": "bash", "toolInput": {"command": "ls"}}),
        "sessionEnd": ("session-end", {"reason": "complete"}),
        "agentStop": ("other", {}),
    }
    for name, (moment, members) in moments.items():
        found = event(name, **members)
        assert (found.moment, found.event, found.client_session, found.cwd) == (
            moment, name, "6ac2ff07-085d-49e0", "/srv",
        )  # fmt: skip
    assert event("userPromptSubmitted", prompt="please").instruction == "please"


@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("bash", {"command": "ls", "description": "x", "mode": "sync"}, Shell("ls")),
        ("view", {"path": "a.txt", "view_range": [1, 2]}, FileEdit("/srv/a.txt", "read")),
        ("create", {"path": "/srv/a.txt", "file_text": "one\n"}, FileEdit("/srv/a.txt", "write", diff="+one\n")),
        ("web_fetch", {"url": "https://example.org/"}, HttpRequest("https://example.org/")),
        ("sql", {"description": "d", "query": "select 1"}, ToolCall("sql", {"description": "d", "query": "select 1"}, "client:copilot")),
        ("fs-poke", {"a": 1}, ToolCall("fs-poke", {"a": 1}, "mcp:copilot")),
        ("glob", {"pattern": "/etc/*.conf"}, FileEdit("/etc", "read", diff="glob: /etc/*.conf")),
        ("grep", {"pattern": "x", "paths": ["/srv"]}, FileEdit("/srv/**", "read", diff="grep: x")),
    ],
)  # fmt: skip
def test_a_tool_is_read_exactly(name: str, arguments: dict[str, Any], content: Any) -> None:
    found = tool(name, **arguments)
    assert contents(found) == [content]
    assert found.unknown is None


def test_an_edit_keeps_what_is_replaced() -> None:
    found = tool("edit", path="a.txt", old_str="two", new_str="three")
    assert contents(found) == [FileEdit("/srv/a.txt", "edit", diff="@@ one occurrence @@\n-two\n+three\n")]
    with pytest.raises(HookMalformed):
        tool("edit", path="a.txt", old_str="", new_str="three")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("write_bash", {"shellId": "s1", "input": "rm -rf ."}),
        ("bash", {"command": "ls", "interpreter": "perl"}),
        ("format_disk", {}),
    ],
)
def test_what_nobody_has_read_is_unknown(name: str, arguments: dict[str, Any]) -> None:
    found = tool(name, **arguments)
    assert found.unknown
    assert contents(found) == [ToolCall(name, arguments, "unknown:copilot")]


def test_the_second_question_about_an_edit_is_a_proposal_of_its_own() -> None:
    diff = "\ndiff --git a/srv/a.txt b/srv/a.txt\ncreate file mode 100644\n--- a/dev/null\n+++ b/srv/a.txt\n@@ -1,0 +1 @@\n+one\n"
    found = event("permissionRequest", toolName="edit", toolInput={"file_path": "/srv/a.txt", "diff": diff})
    assert contents(found) == [FileEdit("/srv/a.txt", "create", diff=diff)]
    assert spoken(found, HookVerdict(True)) == {"behavior": "allow"}
    assert spoken(found, HookVerdict(False, "no.")) == {"behavior": "deny", "message": "no."}


def test_the_second_question_about_an_mcp_tool_is_the_same_content() -> None:
    again = event("permissionRequest", toolName="fs/poke", toolInput={"a": 1})
    assert contents(again) == contents(tool("fs-poke", a=1))


def test_a_refusal_is_json_so_that_its_reason_arrives() -> None:
    assert spoken(tool("bash", command="ls"), HookVerdict(False, "rule 9.")) == {
        "permissionDecision": "deny",
        "permissionDecisionReason": "rule 9.",
    }


def test_an_allow_may_rewrite_the_script_and_nothing_else() -> None:
    found = tool("bash", command="ls  -l", description="x")
    assert spoken(found, HookVerdict(True)) == {"permissionDecision": "allow"}
    assert spoken(found, HookVerdict(True, canonical="ls -l"))["modifiedArgs"] == {
        "command": "ls -l",
        "description": "x",
    }
    assert "modifiedArgs" not in spoken(tool("view", path="a"), HookVerdict(True, canonical="ls"))


def test_an_event_that_is_no_gate_is_told_nothing() -> None:
    for name, members in (("sessionEnd", {}), ("userPromptSubmitted", {"prompt": "x"})):
        assert render(event(name, **members), HookVerdict(True)).stdout == b""
        assert not DIALECT.is_gate(name)
    assert DIALECT.is_gate("preToolUse")
    assert DIALECT.is_gate("permissionRequest")
    assert DIALECT.is_gate("somethingNew")


def test_a_result_tells_its_outcome() -> None:
    good = {"resultType": "success", "textResultForLlm": "RAN"}
    done = event("postToolUse", toolName="bash", toolArgs={"command": "ls"}, toolResult=good)
    assert done.result == {"outcome": "done", "output": "RAN"}
    failed = event("postToolUseFailure", toolName="view", toolArgs={"path": "a"}, error="gone")
    assert failed.result == {"outcome": "failed", "output": "gone"}
    assert contents(done) == [Shell("ls")]


def test_reasons_are_those_of_the_message_that_asked_for_these_arguments() -> None:
    def message(why: str, command: str) -> dict[str, Any]:
        asked = {"toolCallId": "c", "name": "bash", "arguments": {"command": command}}
        return {
            "type": "assistant.message",
            "data": {"content": "I will.", "reasoningText": why, "toolRequests": [asked]},
        }

    records = [
        message("for ls", "ls"),
        message("for rm", "rm a"),
        {"type": "assistant.message", "data": None},
        {},
    ]
    assert reasoning(records, tool("bash", command="ls")) == "for ls\nI will."
    assert reasoning(records, tool("bash", command="other")) is None


def test_a_session_id_names_no_other_file() -> None:
    found = event("sessionEnd")
    assert (
        transcript(found, "/home/dana") == "/home/dana/.copilot/session-state/6ac2ff07-085d-49e0/events.jsonl"
    )
    for name in ("../../etc/passwd", "a/b", "", ".."):
        odd = parse(call("copilot", "preToolUse", json.dumps(
            {**COMMON, "sessionId": name or "x/", "toolName": "bash", "toolArgs": {"command": "ls"}}
        ).encode()))  # fmt: skip
        assert transcript(odd, "/home/dana") is None


def test_the_hooks_file_has_every_event_with_its_timeout() -> None:
    written = hooks_file({hooked.event: f"ask {hooked.event}" for hooked in DIALECT.events})
    assert written["version"] == 1
    assert set(written["hooks"]) == {hooked.event for hooked in DIALECT.events}
    (entry,) = written["hooks"]["preToolUse"]
    assert entry == {"type": "command", "bash": "ask preToolUse", "timeoutSec": 3600}


MEMBERS = st.dictionaries(
    st.sampled_from(["sessionId", "cwd", "toolName", "toolArgs", "toolInput", "prompt", "toolResult", "error", "x"]),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                 lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=3), max_leaves=8),
    max_size=7,
)  # fmt: skip


@given(st.sampled_from([hooked.event for hooked in DIALECT.events] + ["x"]), MEMBERS | st.binary(max_size=40))
def test_junk_is_refused_or_unknown_and_never_a_silent_proposal(name: str, given_: Any) -> None:
    data = given_ if isinstance(given_, bytes) else json.dumps(given_).encode()
    try:
        found = parse(call("copilot", name, data))
    except KeyturnError:
        return
    if found.moment in ("proposal", "other"):
        assert found.proposals
    no = render(found, HookVerdict(False, "no"))
    if DIALECT.is_gate(name):
        assert b"deny" in no.stdout
