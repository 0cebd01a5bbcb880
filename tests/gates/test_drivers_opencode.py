"""The opencode server: scripts of the events that 1.18.33 really sends (shortened), and junk."""

from __future__ import annotations

from typing import Any

import pytest
from drivers_playing import asks, contents, ended, grants, play, sent
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import FileEdit, HttpRequest, Shell, ToolCall
from keyturn.gates.drivers import Finished, Observed, Opened, Said, Verdict
from keyturn.gates.drivers.opencode_server import RESPONSE, OpencodeServer

CWD = "/srv/proj"


def response(tag: str, status: int = 200, body: Any = None) -> dict[str, Any]:
    return {"type": RESPONSE, "tag": tag, "status": status, "body": body}


def event(what: str, /, **members: Any) -> dict[str, Any]:
    return {"type": what, "properties": {"sessionID": "ses_1", **members}}


def part(tool: str, status: str, given: Any, call: str = "c1", **state: Any) -> dict[str, Any]:
    told = {
        "type": "tool",
        "id": "p1",
        "callID": call,
        "tool": tool,
        "state": {"status": status, "input": given, **state},
    }
    return event("message.part.updated", part=told)


def asked(call: str = "c1", number: str = "per_1", **metadata: Any) -> dict[str, Any]:
    tool = {"messageID": "msg_1", "callID": call}
    return event(
        "permission.asked", id=number, permission="bash", patterns=["*"], metadata=metadata, tool=tool
    )


def started() -> OpencodeServer:
    """A core whose prompt was sent."""
    core = OpencodeServer(CWD, "please create proof.txt")
    (create,) = sent(core.start())
    assert create["body"]["permission"] == [{"permission": "*", "pattern": "*", "action": "ask"}]
    events = core.receive(response("session", body={"id": "ses_1", "version": "1.18.33"}))
    assert events[0] == Opened("ses_1", "1.18.33")
    assert sent(events)[0]["path"] == "/session/ses_1/prompt_async"
    play(core, response("prompt", 204), event("session.status", status={"type": "busy"}))
    return core


RUNNING = part("bash", "running", {"command": "echo RAN > proof.txt"})


def test_an_action_that_is_allowed() -> None:
    core = started()
    text = {"type": "text", "id": "p0", "text": "I will.", "time": {"start": 1, "end": 2}}
    assert core.receive(event("message.part.updated", part=text)) == [Said("I will.", False)]
    (ask,) = asks(play(core, RUNNING, asked(command="echo RAN > proof.txt")))
    assert contents(ask.proposals) == [Shell("echo RAN > proof.txt")]
    assert (ask.cwd, ask.reasoning) == (CWD, "I will.")
    (reply,) = sent(core.answer(ask.key, Verdict(True)))
    assert (reply["path"], reply["body"]) == ("/permission/per_1/reply", {"reply": "once"})
    assert not play(
        core, response("reply", 200, True), event("permission.replied", requestID="per_1", reply="once")
    )
    done = part("bash", "completed", {"command": "echo RAN > proof.txt"}, output="", metadata={"exit": 0})
    assert core.receive(done) == [Finished("c1", "done", 0, "")]
    assert ended(core.receive(event("session.idle"))).ok  # type: ignore[union-attr]


def test_a_refusal_goes_with_its_words() -> None:
    core = started()
    (ask,) = asks(play(core, RUNNING, asked()))
    (reply,) = sent(core.answer(ask.key, Verdict(False, "keyturn: rule 9 says no.")))
    assert reply["body"] == {"reply": "reject", "message": "keyturn: rule 9 says no."}


def test_a_question_waits_for_its_arguments() -> None:
    core = started()
    assert play(core, part("webfetch", "pending", {}), asked(url="https://example.org/")) == []
    assert core.waiting_for_arguments
    (ask,) = asks(core.receive(part("webfetch", "running", {"url": "https://example.org/"})))
    assert contents(ask.proposals) == [HttpRequest("https://example.org/")]


def test_a_question_whose_arguments_never_come_is_rejected() -> None:
    core = started()
    core.receive(asked("never"))
    (reply,) = sent(core.unclear())
    assert reply["body"]["reply"] == "reject"


@pytest.mark.parametrize("metadata", [{"command": "rm -rf ."}, {"url": "https://elsewhere.example/"}])
def test_what_was_not_announced_is_rejected(metadata: dict[str, str]) -> None:
    events = play(started(), RUNNING, asked(**metadata))
    assert not asks(events)
    assert sent(events)[0]["body"]["reply"] == "reject"


def test_a_question_without_a_call_is_rejected() -> None:
    (reply,) = sent(started().receive(event("permission.asked", id="per_1", permission="doom_loop")))
    assert reply["body"]["reply"] == "reject"


def test_a_question_with_an_id_that_would_leave_its_path_is_never_answered() -> None:
    assert play(started(), RUNNING, asked(number="../../session/x/abort?")) == []


def test_a_command_in_another_folder_is_read_there() -> None:
    (ask,) = asks(play(started(), part("bash", "running", {"command": "ls", "workdir": "/tmp"}), asked()))
    assert ask.cwd == "/tmp"


def test_tools_are_read_by_the_dialects_table() -> None:
    for tool, given_, content in (
        ("read", {"filePath": "a.txt"}, FileEdit(f"{CWD}/a.txt", "read")),
        ("fs_poke", {"a": 1}, ToolCall("fs_poke", {"a": 1}, "mcp:opencode")),
        ("todowrite", {"todos": []}, ToolCall("todowrite", {"todos": []}, "client:opencode")),
        (
            "bash",
            {"command": "ls", "sudo": True},
            ToolCall("bash", {"command": "ls", "sudo": True}, "unknown:opencode"),
        ),
    ):
        (ask,) = asks(play(started(), part(tool, "running", given_), asked()))
        assert contents(ask.proposals) == [content]


def test_an_answer_that_is_not_ours_ends_the_run() -> None:
    for reply in ("once", "always"):
        core = started()
        play(core, RUNNING, asked())
        events = core.receive(event("permission.replied", requestID="per_1", reply=reply))
        assert ended(events).ok is False  # type: ignore[union-attr]
        assert any(message["path"].endswith("/abort") for message in sent(events))
        assert not any(grants(message) for message in sent(events))


def test_what_ran_without_a_question_is_observed() -> None:
    events = started().receive(part("bash", "completed", {"command": "ls"}))
    assert isinstance(events[0], Observed)
    assert contents(events[0].proposals) == [Shell("ls")]


@pytest.mark.parametrize(
    ("tag", "status"), [("session", 500), ("session", 0), ("prompt", 400), ("reply", 500)]
)
def test_a_request_that_fails_ends_the_run(tag: str, status: int) -> None:
    core = OpencodeServer(CWD, "do") if tag == "session" else started()
    if tag == "session":
        core.start()
    assert ended(core.receive(response(tag, status))).ok is False  # type: ignore[union-attr]


WORDS = st.sampled_from([
    "type", "properties", "part", "callID", "tool", "state", "status", "input", "id", "sessionID", "metadata", "command",
    "requestID", "reply", "time", "text", "info", "role", "body", "tag",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)
KINDS = st.sampled_from([
    "permission.asked", "permission.replied", "message.part.updated", "message.part.delta", "message.updated",
    "session.status", "session.error", "session.idle", RESPONSE,
])  # fmt: skip
MESSAGES = st.one_of(
    JSON,
    st.builds(lambda kind, members: {"type": kind, "properties": members}, KINDS, JSON),
    st.builds(lambda state: event("message.part.updated", part={"type": "tool", "callID": "c1", "tool": "bash", "state": state}), JSON),
    st.builds(lambda metadata: event("permission.asked", id="per_1", metadata=metadata, tool={"callID": "c1"}), JSON),
)  # fmt: skip


@given(st.lists(MESSAGES, max_size=8))
def test_junk_is_never_allowed(messages: list[Any]) -> None:
    core = started()
    events = play(core, *messages)
    events += core.unclear()
    assert not any(grants(message) for message in sent(events))
    assert all(ask.proposals for ask in asks(events))
    assert not any(grants(message) for message in sent(core.interrupt()))


def test_the_negative_control_an_allow_is_recognised_as_a_grant() -> None:
    core = started()
    (ask,) = asks(play(core, RUNNING, asked()))
    assert grants(sent(core.answer(ask.key, Verdict(True)))[0])
