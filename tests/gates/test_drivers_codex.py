"""The Codex app-server: scripts of the messages that 0.169.0 really sends (shortened), and junk."""

from __future__ import annotations

from typing import Any

import pytest
from drivers_playing import asks, contents, ended, grants, play, sent
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import FileEdit, HttpRequest, Shell, ToolCall
from keyturn.gates.drivers import Finished, Observed, Said, Verdict
from keyturn.gates.drivers.codex_app_server import COMMAND, ELICITATION, FILES, PERMISSIONS, CodexAppServer

CWD = "/srv/proj"
WRAPPED = "/bin/bash -lc 'echo RAN > proof.txt'"


def answer(number: int, result: Any) -> dict[str, Any]:
    return {"id": number, "result": result}


def item(kind: str, number: str = "call_1", when: str = "started", **members: Any) -> dict[str, Any]:
    told = {"item": {"type": kind, "id": number, **members}, "threadId": "t1", "turnId": "u1"}
    return {"method": f"item/{when}", "params": told}


def command(text: str = WRAPPED, **members: Any) -> dict[str, Any]:
    return item("commandExecution", command=text, cwd=CWD, status="inProgress", **members)


def question(method: str = COMMAND, number: int = 0, **members: Any) -> dict[str, Any]:
    told = {"threadId": "t1", "turnId": "u1", "itemId": "call_1", "command": WRAPPED, "cwd": CWD, **members}
    return {"id": number, "method": method, "params": told}


THREAD = {
    "thread": {"id": "t1"},
    "model": "gpt-5.5",
    "approvalPolicy": "untrusted",
    "approvalsReviewer": "user",
    "sandbox": {"type": "dangerFullAccess"},
}


def started() -> CodexAppServer:
    """A core whose turn runs."""
    core = CodexAppServer(CWD, "please create proof.txt")
    assert sent(core.start())[0]["method"] == "initialize"
    hello, start = sent(core.receive(answer(1, {"userAgent": "codex_cli_rs/0.169.0 (Linux)"})))
    assert (hello["method"], start["method"]) == ("initialized", "thread/start")
    asked = (
        start["params"]["approvalPolicy"],
        start["params"]["approvalsReviewer"],
        start["params"]["sandbox"],
    )
    assert asked == ("untrusted", "user", "danger-full-access")
    events = core.receive(answer(2, THREAD))
    assert [m["method"] for m in sent(events)] == ["turn/start"]
    play(core, answer(3, {"turn": {"id": "u1"}}))
    return core


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"approvalPolicy": "on-request"}, "without asking"),
        ({"approvalPolicy": {"granular": {}}}, "without asking"),
        ({"approvalPolicy": None}, "without asking"),
        ({"approvalsReviewer": "auto_review"}, "without asking"),
        ({"sandbox": {"type": "readOnly"}}, "inside it first"),
        ({"sandbox": None}, "inside it first"),
        ({"thread": {}}, "without an id"),
    ],
)
def test_a_thread_that_was_started_otherwise_is_given_no_prompt(changed: dict[str, Any], why: str) -> None:
    core = CodexAppServer(CWD, "please create proof.txt")
    core.start()
    core.receive(answer(1, {"userAgent": "codex_cli_rs/0.169.0 (Linux)"}))
    events = core.receive(answer(2, {**THREAD, **changed}))
    end = ended(events)
    assert end is not None
    assert (end.ok, sent(events)) == (False, [])
    assert why in end.why


@pytest.mark.parametrize(
    ("agent", "driven"),
    [
        ("keyturn/0.169.0 (Debian)", True),
        ("keyturn/0.170.2 (Debian)", True),
        ("keyturn/1.0.0 (Debian)", True),
        ("keyturn/0.168.9 (Debian)", False),
        ("keyturn/0.99.0 (Debian)", False),
        ("keyturn", False),
        (None, False),
    ],
)
def test_a_version_that_may_run_commands_unasked_is_not_driven(agent: Any, driven: bool) -> None:
    core = CodexAppServer(CWD, "please create proof.txt")
    core.start()
    events = core.receive(answer(1, {"userAgent": agent}))
    assert (ended(events) is None) == driven
    assert bool(sent(events)) == driven


def test_a_command_that_is_allowed() -> None:
    core = started()
    assert play(core, item("reasoning", "r1", "completed", summary=["I reason."], content=[])) == [
        Said("I reason.", True)
    ]
    (ask,) = asks(play(core, command(), question()))
    assert contents(ask.proposals) == [Shell("echo RAN > proof.txt")]
    assert (ask.cwd, ask.reasoning, ask.call) == (CWD, "I reason.", "call_1")
    assert sent(core.answer(ask.key, Verdict(True))) == [
        {"jsonrpc": "2.0", "id": 0, "result": {"decision": "accept"}}
    ]
    done = item(
        "commandExecution", when="completed", status="completed", exitCode=0, aggregatedOutput="RAN\n"
    )
    assert core.receive(done) == [Finished("call_1", "done", 0, "RAN\n")]
    over = {
        "method": "turn/completed",
        "params": {"threadId": "t1", "turn": {"id": "u1", "status": "completed"}},
    }
    assert ended(core.receive(over)).ok  # type: ignore[union-attr]


def test_a_refusal_goes_with_its_words_into_the_turn() -> None:
    core = started()
    (ask,) = asks(play(core, command(), question()))
    steer, no = sent(core.answer(ask.key, Verdict(False, "keyturn: rule 9 says no.")))
    assert steer["method"] == "turn/steer"
    assert "rule 9 says no" in steer["params"]["input"][0]["text"]
    assert no["result"] == {"decision": "decline"}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        (WRAPPED, "echo RAN > proof.txt"),
        ("/bin/bash -lc cat", "cat"),
        ("/usr/bin/zsh -lc 'ls'", "/usr/bin/zsh -lc 'ls'"),
        ("/bin/bash -lc 'a' b", "/bin/bash -lc 'a' b"),
        ("/bin/bash -lc 'unfinished", "/bin/bash -lc 'unfinished"),
        ("/bin/bash -lc $(rm -rf .)", "/bin/bash -lc $(rm -rf .)"),
        ("ls -l", "ls -l"),
    ],
)
def test_a_shell_is_taken_off_only_where_that_is_exact(text: str, script: str) -> None:
    (ask,) = asks(play(started(), command(text), question(command=text)))
    assert contents(ask.proposals) == [Shell(script)]


@pytest.mark.parametrize(
    "asked",
    [{"command": "/bin/bash -lc 'rm -rf .'"}, {"cwd": "/"}, {"itemId": "call_2"}],
)
def test_what_was_not_announced_is_declined(asked: dict[str, Any]) -> None:
    events = play(started(), command(), question(**asked))
    assert not asks(events)
    assert sent(events)[-1]["result"] == {"decision": "decline"}


def test_a_patch_is_read_file_by_file() -> None:
    changes = [
        {"path": f"{CWD}/new.txt", "kind": {"type": "add"}, "diff": "one\n"},
        {"path": f"{CWD}/old.txt", "kind": {"type": "delete"}, "diff": "gone\n"},
        {
            "path": f"{CWD}/a.txt",
            "kind": {"type": "update", "move_path": "b.txt"},
            "diff": "@@ -1 +1 @@\n-x\n+y\n",
        },
    ]
    (ask,) = asks(play(started(), item("fileChange", changes=changes), question(FILES)))
    found = [(c.operation, c.path) for c in contents(ask.proposals) if isinstance(c, FileEdit)]
    assert found == [
        ("write", f"{CWD}/new.txt"), ("delete", f"{CWD}/old.txt"), ("delete", f"{CWD}/a.txt"), ("write", f"{CWD}/b.txt"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ([], {}),
        ([{"path": "", "kind": {"type": "add"}, "diff": ""}], {}),
        ([{"path": "a", "kind": {"type": "explode"}, "diff": ""}], {}),
        ([{"path": "a", "kind": {"type": "add"}, "diff": "x"}], {"grantRoot": "/"}),
    ],
)
def test_a_patch_that_is_not_plain_is_declined(changes: Any, asked: dict[str, Any]) -> None:
    events = play(started(), item("fileChange", changes=changes), question(FILES, **asked))
    assert not asks(events)
    assert sent(events)[-1]["result"] == {"decision": "decline"}


def elicitation(**meta: Any) -> dict[str, Any]:
    told = {"codex_approval_kind": "mcp_tool_call", "tool_name": "poke", "tool_params": {"a": 1}, **meta}
    return {"id": 4, "method": ELICITATION, "params": {"threadId": "t1", "serverName": "fs", "_meta": told}}


def test_an_mcp_call_is_asked_about_once_and_as_announced() -> None:
    core = started()
    (ask,) = asks(
        play(core, item("mcpToolCall", server="fs", tool="poke", arguments={"a": 1}), elicitation())
    )
    assert contents(ask.proposals) == [ToolCall("poke", {"a": 1}, "fs")]
    (yes,) = sent(core.answer(ask.key, Verdict(True)))
    assert yes["result"] == {"action": "accept", "content": {}}
    other = play(started(), item("mcpToolCall", server="fs", tool="poke", arguments={"a": 2}), elicitation())
    assert not asks(other)
    assert sent(other)[-1]["result"] == {"action": "decline"}
    nobody = play(started(), elicitation(codex_approval_kind="other"))
    assert sent(nobody)[-1]["result"] == {"action": "decline"}


def test_a_connection_is_a_request_to_its_host() -> None:
    network = {"host": "example.org", "protocol": "https"}
    (ask,) = asks(play(started(), command(), question(networkApprovalContext=network)))
    assert contents(ask.proposals) == [HttpRequest("https://example.org/", "CONNECT")]


def test_permissions_are_never_granted() -> None:
    wanted = {"permissions": {"fileSystem": {"write": ["/"]}}, "cwd": CWD}
    (message,) = sent(started().receive(question(PERMISSIONS, **wanted)))
    assert message["result"]["permissions"] == {}


def test_what_ran_without_a_question_is_observed() -> None:
    core = started()
    (typed,) = core.receive(
        {
            "method": "item/commandExecution/terminalInteraction",
            "params": {"itemId": "call_1", "stdin": "rm -rf .\n"},
        }
    )
    assert isinstance(typed, Observed)
    assert contents(typed.proposals)[0].server == "unknown:codex"
    quiet = play(
        started(),
        command(),
        item("commandExecution", when="completed", status="completed", command=WRAPPED, cwd=CWD),
    )
    assert isinstance(quiet[0], Observed)
    assert contents(quiet[0].proposals) == [Shell("echo RAN > proof.txt")]


def test_other_requests_are_refused_in_words() -> None:
    for method in (
        "item/tool/call",
        "item/tool/requestUserInput",
        "execCommandApproval",
        "applyPatchApproval",
        "x",
    ):
        (message,) = sent(started().receive({"id": 9, "method": method, "params": {}}))
        assert "Nothing ran" in message["error"]["message"]


def test_a_failed_turn_is_a_failed_run() -> None:
    turn = {"status": "failed", "error": {"message": "the model went away"}}
    over = {"method": "turn/completed", "params": {"threadId": "t1", "turn": turn}}
    end = ended(started().receive(over))
    assert end is not None
    assert (end.ok, "went away" in end.why) == (False, True)


WORDS = st.sampled_from([
    "id", "method", "params", "result", "item", "type", "itemId", "command", "cwd", "changes", "path", "kind", "diff",
    "_meta", "serverName", "status", "threadId", "turnId", "networkApprovalContext", "host", "protocol", "tool",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)
MESSAGES = st.one_of(
    JSON,
    st.builds(lambda extra: question(**extra), st.dictionaries(st.sampled_from(["itemId", "cwd", "command"]), JSON)),
    st.builds(
        lambda method, params: {"id": 7, "method": method, "params": params},
        st.sampled_from([COMMAND, FILES, ELICITATION, PERMISSIONS, "execCommandApproval"]),
        st.dictionaries(WORDS, JSON, max_size=5),
    ),
    st.builds(lambda kind, extra: {"method": "item/started", "params": {"item": {**extra, "type": kind}}},
              st.sampled_from(["commandExecution", "fileChange", "mcpToolCall"]), st.dictionaries(WORDS, JSON, max_size=5)),
)  # fmt: skip


@given(st.lists(MESSAGES, max_size=8))
def test_junk_is_never_allowed(messages: list[Any]) -> None:
    core = started()
    events = play(core, *messages)
    assert not any(grants(message) for message in sent(events))
    assert all(ask.proposals for ask in asks(events))
    assert not any(grants(message) for message in sent(core.interrupt()))


def test_the_negative_control_an_accept_is_recognised_as_a_grant() -> None:
    core = started()
    (ask,) = asks(play(core, command(), question()))
    assert grants(sent(core.answer(ask.key, Verdict(True)))[0])
