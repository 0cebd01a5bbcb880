"""ACP: scripts of the messages that Gemini CLI, opencode and Copilot CLI really send (shortened), and junk."""

from __future__ import annotations

from typing import Any

import pytest
from drivers_playing import asks, contents, ended, grants, play, sent
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import FileEdit, Shell, ToolCall
from keyturn.gates.drivers import Ask, Finished, Observed, Opened, Said, Verdict
from keyturn.gates.drivers.acp import MAX_FOLLOW_UPS, Acp

CWD = "/srv/proj"
OPTIONS = [
    {"optionId": "proceed_always", "name": "Allow for this session", "kind": "allow_always"},
    {"optionId": "proceed_once", "name": "Allow", "kind": "allow_once"},
    {"optionId": "cancel", "name": "Reject", "kind": "reject_once"},
]
COMMAND = "echo RAN > proof.txt"
HERE = [{"type": "content", "content": {"type": "text", "text": f"[current working directory {CWD}]"}}]


def answer(number: int, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def update(what: str, /, **members: Any) -> dict[str, Any]:
    told = {"sessionUpdate": what, **members}
    return {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s1", "update": told}}


def question(
    tool: dict[str, Any], number: int = 0, options: Any = None, session: str = "s1"
) -> dict[str, Any]:
    params = {"sessionId": session, "options": OPTIONS if options is None else options, "toolCall": tool}
    return {"jsonrpc": "2.0", "id": number, "method": "session/request_permission", "params": params}


def gemini_shell(title: str = COMMAND, **members: Any) -> dict[str, Any]:
    call = {"toolCallId": "run_shell_command__fc86a8", "status": "pending", "title": title, "kind": "execute"}
    return {**call, "content": HERE, "locations": [], **members}


def prompted(client: str = "gemini", opened: dict[str, Any] | None = None) -> Acp:
    """A core whose prompt was sent (as request 3)."""
    core = Acp(client, CWD, "please create proof.txt")
    assert sent(core.start())[0]["method"] == "initialize"
    info = {"name": client, "version": "0.61.0"}
    play(core, answer(1, {"protocolVersion": 1, "agentInfo": info}))
    events = core.receive(answer(2, {"sessionId": "s1", **(opened or {})}))
    assert [m["method"] for m in sent(events)] == ["session/prompt"]
    return core


def test_a_whole_turn_that_is_allowed() -> None:
    core = prompted()
    said = play(
        core,
        update("agent_thought_chunk", content={"type": "text", "text": "I reason."}),
        update("agent_message_chunk", content={"type": "text", "text": "I will."}),
    )
    assert said == [Said("I reason.", True), Said("I will.", False)]
    (ask,) = asks(core.receive(question(gemini_shell())))
    assert contents(ask.proposals) == [Shell(COMMAND)]
    assert (ask.cwd, ask.reasoning) == (CWD, "I reason.I will.")
    assert sent(core.answer(ask.key, Verdict(True))) == [
        answer(0, {"outcome": {"outcome": "selected", "optionId": "proceed_once"}})
    ]
    done = update("tool_call_update", toolCallId=ask.call, status="completed", content=[])
    assert core.receive(done) == [Finished(ask.call, "done")]
    assert ended(core.receive(answer(3, {"stopReason": "end_turn"}))).ok  # type: ignore[union-attr]


def test_a_refusal_is_rejected_and_its_words_follow_as_the_next_prompt() -> None:
    core = prompted()
    (ask,) = asks(core.receive(question(gemini_shell())))
    (rejection,) = sent(core.answer(ask.key, Verdict(False, "keyturn: rule 9 says no.")))
    assert not grants(rejection)
    (follow,) = sent(core.receive(answer(3, {"stopReason": "end_turn"})))
    assert follow["method"] == "session/prompt"
    assert "rule 9 says no" in follow["params"]["prompt"][0]["text"]
    assert ended(core.receive(answer(4, {"stopReason": "end_turn"}))).ok  # type: ignore[union-attr]


def test_an_agent_that_is_refused_for_ever_is_not_prompted_for_ever() -> None:
    core = prompted()
    prompts = 0
    for number in range(3, 20):
        found = asks(core.receive(question(gemini_shell(), number=number)))
        if not found:
            break
        core.answer(found[0].key, Verdict(False, "no"))
        prompts += len(sent(core.receive(answer(number, {"stopReason": "end_turn"}))))
    assert prompts == MAX_FOLLOW_UPS


@pytest.mark.parametrize(
    "options",
    [
        [],
        "junk",
        [{"optionId": "a", "kind": "allow_always"}],
        [{"optionId": "a", "kind": "allow_once"}, {"optionId": "b", "kind": "allow_once"}],
        [{"optionId": "a", "kind": "allow_once"}, {"optionId": "a", "kind": "allow_always"}],
        [{"kind": "allow_once"}],
    ],
)
def test_a_question_that_can_only_be_allowed_for_more_than_once_is_rejected(options: Any) -> None:
    events = prompted().receive(question(gemini_shell(), options=options))
    assert not asks(events)
    assert len(sent(events)) == 1
    assert not grants(sent(events)[0])


@pytest.mark.parametrize(
    "explanation",
    [
        "",
        "[in /elsewhere] ] (x)",
        "[in /srv/a] (note]",
        "in /work",
        f"[current working directory {CWD}/other]",
    ],
)
def test_a_command_whose_folder_is_not_plain_is_rejected(explanation: str) -> None:
    told = [{"type": "content", "content": {"type": "text", "text": explanation}}]
    events = prompted().receive(question(gemini_shell(content=told)))
    assert not asks(events)
    assert not grants(sent(events)[0])


def test_a_command_in_another_folder_is_read_there() -> None:
    told = [{"type": "content", "content": {"type": "text", "text": "[in sub] (what it does)"}}]
    (ask,) = asks(prompted().receive(question(gemini_shell(content=told))))
    assert ask.cwd == f"{CWD}/sub"


def test_an_edit_is_read_from_its_diff() -> None:
    diff = {"type": "diff", "path": f"{CWD}/a.txt", "oldText": "one\n", "newText": "two\n"}
    call = {"toolCallId": "replace__f1", "title": "a.txt: one => two", "kind": "edit", "content": [diff]}
    (ask,) = asks(prompted().receive(question(call)))
    (proposal,) = ask.proposals
    assert isinstance(proposal.content, FileEdit)
    assert (proposal.content.path, proposal.edit.text) == (f"{CWD}/a.txt", "two\n")  # type: ignore[union-attr]


def test_arguments_that_gemini_left_out_are_rejected() -> None:
    told = [{"type": "content", "content": {"type": "text", "text": "[Payload omitted due to length]"}}]
    call = {
        "toolCallId": "mcp_fs_poke__f1",
        "title": "poke (fs MCP Server)",
        "kind": "other",
        "content": told,
    }
    events = prompted().receive(question(call))
    assert not asks(events)
    told = [{"type": "content", "content": {"type": "text", "text": '{"a":1}'}}]
    (ask,) = asks(prompted().receive(question({**call, "content": told})))
    assert contents(ask.proposals) == [ToolCall("poke", {"a": 1}, "fs")]


def test_an_opencode_question_waits_for_its_arguments() -> None:
    core = prompted("opencode")
    core.receive(
        update("tool_call", toolCallId="c1", title="read", kind="read", status="pending", rawInput={})
    )
    assert core.receive(question({"toolCallId": "c1", "title": "read", "rawInput": {}})) == []
    assert core.waiting_for_arguments
    running = update(
        "tool_call_update", toolCallId="c1", status="in_progress", rawInput={"filePath": "a.txt"}
    )
    (ask,) = asks(core.receive(running))
    assert contents(ask.proposals) == [FileEdit(f"{CWD}/a.txt", "read")]


def test_a_question_whose_arguments_never_come_is_rejected() -> None:
    core = prompted("opencode")
    core.receive(question({"toolCallId": "c1", "title": "read", "rawInput": {}}))
    (rejection,) = sent(core.unclear())
    assert not grants(rejection)
    assert not core.waiting_for_arguments


@pytest.mark.parametrize("client", ["opencode", "copilot"])
def test_another_command_than_the_one_announced_is_rejected(client: str) -> None:
    core = prompted(client)
    announced = update(
        "tool_call_update",
        toolCallId="c1",
        title="bash",
        kind="execute",
        status="in_progress",
        rawInput={"command": "ls"},
    )
    core.receive(announced)
    events = core.receive(
        question({"toolCallId": "c1", "kind": "execute", "rawInput": {"command": "rm -rf ."}})
    )
    assert not asks(events)
    assert not grants(sent(events)[0])
    same = prompted(client)
    same.receive(announced)
    assert asks(
        same.receive(question({"toolCallId": "c1", "kind": "execute", "rawInput": {"command": "ls"}}))
    )


def test_an_mcp_tool_of_copilot_is_not_taken_for_a_tool_with_the_same_arguments() -> None:
    core = prompted("copilot")
    told = update(
        "tool_call", toolCallId="c1", title="fs-wipe", kind="other", status="pending", rawInput={"path": "a"}
    )
    core.receive(told)
    (ask,) = asks(core.receive(question({"toolCallId": "c1", "title": "fs-wipe", "kind": "other"})))
    assert contents(ask.proposals) == [ToolCall("fs-wipe", {"path": "a"}, "unknown:copilot")]


MODES = {"currentModeId": "yolo", "availableModes": [{"id": "default"}, {"id": "yolo"}]}


def test_a_mode_that_grants_by_itself_is_left_before_the_prompt() -> None:
    core = Acp("gemini", CWD, "do")
    core.start()
    play(core, answer(1, {"protocolVersion": 1}))
    events = core.receive(answer(2, {"sessionId": "s1", "modes": MODES}))
    assert events[0] == Opened("s1")
    (change,) = sent(events)
    assert (change["method"], change["params"]["modeId"]) == ("session/set_mode", "default")
    assert [m["method"] for m in sent(core.receive(answer(3, {})))] == ["session/prompt"]


def test_a_mode_that_can_not_be_left_ends_the_run() -> None:
    core = Acp("gemini", CWD, "do")
    core.start()
    play(core, answer(1, {"protocolVersion": 1}))
    modes = {"currentModeId": "yolo", "availableModes": [{"id": "yolo"}]}
    events = core.receive(answer(2, {"sessionId": "s1", "modes": modes}))
    assert not sent(events)
    assert ended(events).ok is False  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        update("current_mode_update", currentModeId="autopilot"),
        update("config_option_update", configOptions=[{"id": "allow_all", "currentValue": "on"}]),
    ],
)
def test_a_mode_that_grants_by_itself_later_ends_the_run(change: dict[str, Any]) -> None:
    core = prompted("copilot")
    core.receive(question(gemini_shell()))
    events = core.receive(change)
    assert ended(events).ok is False  # type: ignore[union-attr]
    assert not any(grants(message) for message in sent(events))
    assert "session/cancel" in [message.get("method") for message in sent(events)]


def test_what_ran_without_a_question_is_observed() -> None:
    core = prompted()
    place = [{"path": f"{CWD}/a.txt"}]
    told = update(
        "tool_call",
        toolCallId="read_file__f1",
        status="in_progress",
        title="a.txt",
        kind="read",
        locations=place,
    )
    (seen,) = core.receive(told)
    assert isinstance(seen, Observed)
    assert contents(seen.proposals) == [FileEdit(f"{CWD}/a.txt", "read")]
    asked = prompted()
    (ask,) = asks(asked.receive(question(gemini_shell())))
    done = update("tool_call_update", toolCallId=ask.call, status="completed")
    assert not [event for event in asked.receive(done) if isinstance(event, Observed)]


def test_other_requests_are_refused_in_words() -> None:
    for method in ("fs/write_text_file", "terminal/create", "fs/read_text_file", "anything"):
        request = {"jsonrpc": "2.0", "id": 5, "method": method, "params": {"path": "/etc/shadow"}}
        (message,) = sent(prompted().receive(request))
        assert message["error"]["code"] == -32601


def test_a_question_of_another_session_or_before_the_prompt_is_refused() -> None:
    (message,) = sent(prompted().receive(question(gemini_shell(), session="s2")))
    assert "error" in message
    early = Acp("gemini", CWD, "do")
    early.start()
    (message,) = sent(early.receive(question(gemini_shell())))
    assert "error" in message


def test_an_answer_is_used_once() -> None:
    core = prompted()
    (ask,) = asks(core.receive(question(gemini_shell())))
    assert core.answer("nobody", Verdict(True)) == []
    assert sent(core.answer(ask.key, Verdict(True)))
    assert core.answer(ask.key, Verdict(True)) == []


def test_interrupting_rejects_what_is_open_and_a_late_allow_does_nothing() -> None:
    core = prompted()
    (ask,) = asks(core.receive(question(gemini_shell())))
    messages = sent(core.interrupt())
    assert len(messages) == 2
    assert not any(grants(message) for message in messages)
    assert core.answer(ask.key, Verdict(True)) == []


WORDS = st.sampled_from([
    "id", "method", "params", "result", "toolCall", "toolCallId", "options", "optionId", "kind", "sessionId", "update",
    "sessionUpdate", "title", "content", "rawInput", "status", "locations", "configOptions", "text", "command", "path",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)
MESSAGES = JSON | st.builds(
    lambda tool, options, number: question(tool, number, options),
    st.dictionaries(WORDS, JSON, max_size=5) | st.just(gemini_shell()),
    JSON,
    st.integers(),
)


@given(st.sampled_from(["gemini", "copilot", "opencode"]), st.lists(MESSAGES, max_size=8))
def test_junk_is_never_allowed(client: str, messages: list[Any]) -> None:
    core = prompted(client)
    events = play(core, *messages)
    events += core.unclear()
    assert not any(grants(message) for message in sent(events))
    for ask in asks(events):
        assert isinstance(ask, Ask)
        assert ask.proposals
    assert not any(grants(message) for message in sent(core.interrupt()))


def test_the_negative_control_an_allow_is_recognised_as_a_grant() -> None:
    core = prompted()
    (ask,) = asks(core.receive(question(gemini_shell())))
    assert grants(sent(core.answer(ask.key, Verdict(True)))[0])
