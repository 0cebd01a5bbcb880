"""Who stands behind a hooked action, and what its client says it ran: recorded as given, missing when not."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hooks_at_desk import ME, allowed, ask, desk_of, edit, gate
from hooks_captured import CLIENTS, PROMPTS, RESULTS, encoded, payload, prompt, result, shell, tool
from hooks_recording import Recording, call

from keyturn.canonical import digest_bytes
from keyturn.gates.hooks.model import HookCall
from keyturn.service.model import Peer

# --- sessions and attribution ---------------------------------------------------------------------


def start(client: str, session: str = "6605205f-191c-42d7") -> HookCall:
    return call(client, "SessionStart", encoded(payload(client, "SessionStart", session_id=session)))


@pytest.mark.parametrize("client", CLIENTS)
def test_actions_carry_human_instruction_agent_and_definition(client: str) -> None:
    service = Recording()
    desk = desk_of(service)
    ask(
        desk,
        start(client),
        call(client, PROMPTS[client], prompt(client, "please")),
        gate(client, shell(client, "ls")),
    )
    (action,) = service.actions
    who = action.attribution
    assert who.human is not None
    assert (who.human.person, who.human.how, who.human.os_uid) == ("dana", "os-uid", ME.uid)
    assert who.instruction is not None
    assert (who.instruction.text, who.instruction.source) == ("please", f"hook:{PROMPTS[client]}")
    assert who.agent.name == client
    assert (who.definition or "").startswith("sha256:")
    assert service.instructions == [("s_1", who.instruction)]
    assert len(service.opened) == 1


def test_what_the_client_does_not_give_is_missing_never_invented() -> None:
    service = Recording()
    ask(desk_of(service), gate("gemini", shell("gemini", "ls")), peer=Peer(ME.uid + 1, 0, ME.pid))
    assert service.actions[0].attribution.missing == ("human", "instruction", "reasoning")


def test_users_never_share_a_session_whatever_they_claim() -> None:
    service = Recording()
    desk = desk_of(service)
    ask(desk, start("codex"))
    ask(desk, start("codex"), peer=Peer(ME.uid + 1, 0, ME.pid))
    assert len({one["id"] for one in service.opened}) == 2


def test_a_session_ends_and_a_resumed_one_is_a_new_session() -> None:
    service = Recording()
    desk = desk_of(service)
    end = call("codex", "SessionEnd", encoded(payload("codex", "SessionEnd", reason="exit")))
    ask(desk, start("codex"), end)
    assert service.closed == {"s_1"}
    ask(desk, gate("codex", shell("codex", "ls")))
    assert service.actions[0].session != "s_1"


def test_a_session_closed_by_others_is_opened_again() -> None:
    service = Recording()
    desk = desk_of(service)
    ask(desk, start("codex"))
    service.closed.add("s_1")
    (answer,) = ask(desk, gate("codex", shell("codex", "ls")))
    assert allowed("codex", answer)
    assert len(service.opened) == 2


def test_concurrent_first_calls_open_one_session() -> None:
    service = Recording()
    desk = desk_of(service)

    async def together() -> None:
        await asyncio.gather(*(desk.handle(gate("codex", shell("codex", f"ls {n}")), ME) for n in range(8)))

    asyncio.run(together())
    assert len(service.opened) == 1
    assert len(service.actions) == 8


def test_a_subagent_is_named_below_its_session() -> None:
    service = Recording()
    data = tool("claude-code", "Bash", {"command": "ls"}, agent_id="a1", agent_type="Explore")
    ask(desk_of(service), gate("claude-code", data))
    assert service.actions[0].attribution.parents == ("s_1", "subagent:a1")


# --- reasoning ------------------------------------------------------------------------------------


def transcript(path: Path, client: str) -> dict[str, Any]:
    lines: list[dict[str, Any]]
    if client == "claude-code":
        blocks: list[dict[str, Any]] = [
            {"type": "thinking", "thinking": "I think"},
            {"type": "text", "text": "I say"},
            {"type": "tool_use", "id": "toolu_c9437db4318c", "name": "Bash", "input": {}},
        ]
        lines = [{"type": "assistant", "message": {"id": "m1", "content": [block]}} for block in blocks]
        lines.insert(
            0, {"type": "assistant", "message": {"id": "m0", "content": [{"type": "text", "text": "older"}]}}
        )
    elif client == "codex":
        items: list[dict[str, Any]] = [
            {"type": "function_call_output", "call_id": "c0"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I think"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I say"}]},
            {"type": "function_call", "call_id": "toolu_c9437db4318c"},
        ]
        lines = [{"type": "response_item", "payload": item} for item in items]
    else:
        lines = [
            {"type": "user", "content": "x"},
            {"type": "gemini", "content": "I say", "thoughts": [{"description": "I think"}]},
            {"$set": {}},
        ]
    path.write_text("no json\n" + "".join(json.dumps(line) + "\n" for line in lines))
    return {"transcript_path": str(path)}


@pytest.mark.parametrize("client", CLIENTS)
def test_reasoning_is_taken_from_the_transcript(client: str, tmp_path: Path) -> None:
    service = Recording()
    where = transcript(tmp_path / "t.jsonl", client)
    said = json.loads(shell(client, "ls")) | where
    ask(desk_of(service), gate(client, encoded(said)))
    reasoning = service.actions[0].attribution.reasoning
    assert reasoning is not None
    assert (reasoning.text, reasoning.source) == ("I think\n\nI say", "transcript")


def test_another_calls_reasoning_is_not_taken(tmp_path: Path) -> None:
    service = Recording()
    said = json.loads(shell("claude-code", "ls")) | transcript(tmp_path / "t.jsonl", "claude-code")
    ask(desk_of(service), gate("claude-code", encoded(said | {"tool_use_id": "toolu_other"})))
    assert service.actions[0].attribution.reasoning is None


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "absent"])
def test_a_transcript_that_is_no_file_is_left_alone(kind: str, tmp_path: Path) -> None:
    path = {"device": Path("/dev/zero"), "folder": tmp_path, "absent": tmp_path / "x"}.get(
        kind, tmp_path / "pipe"
    )
    if kind == "pipe":
        os.mkfifo(path)
    service = Recording()
    said = json.loads(shell("codex", "ls")) | {"transcript_path": str(path)}
    (answer,) = ask(desk_of(service), gate("codex", encoded(said)))
    assert allowed("codex", answer)
    assert service.actions[0].attribution.reasoning is None


# --- receipts -------------------------------------------------------------------------------------


def test_a_result_is_paired_by_call_and_compared_with_what_was_allowed() -> None:
    service = Recording()
    desk = desk_of(service)
    ask(
        desk,
        gate("codex", shell("codex", "ls")),
        call("codex", RESULTS["codex"], result("codex", "Bash", {"command": "ls"}, "a\nb\n")),
    )
    (receipt,) = service.receipts
    assert receipt.outcome == "done"
    assert receipt.permit == service.consumed[0]
    assert (receipt.output, receipt.output_bytes) == (digest_bytes(b"a\nb\n"), 4)
    assert receipt.ran is not None
    assert receipt.note == ""


def test_a_client_that_ran_something_else_says_so_in_its_receipt() -> None:
    service = Recording()
    desk = desk_of(service)
    ask(
        desk,
        gate("codex", shell("codex", "ls")),
        call("codex", RESULTS["codex"], result("codex", "Bash", {"command": "rm -rf ."}, "")),
    )
    honest = Recording()
    ask(
        desk_of(honest),
        gate("codex", shell("codex", "ls")),
        call("codex", RESULTS["codex"], result("codex", "Bash", {"command": "ls"}, "")),
    )
    assert service.receipts[0].ran != honest.receipts[0].ran
    assert "something else" in service.receipts[0].note


def test_gemini_results_are_paired_by_what_was_done() -> None:
    service = Recording()
    ask(
        desk_of(service),
        gate("gemini", shell("gemini", "ls")),
        call("gemini", "AfterTool", result("gemini", "run_shell_command", {"command": "ls"}, {"error": "x"})),
        call("gemini", "AfterTool", result("gemini", "run_shell_command", {"command": "other"}, {})),
    )
    assert [receipt.outcome for receipt in service.receipts] == ["failed"]


def test_without_a_call_id_a_result_is_paired_as_proposed_or_as_rewritten_but_once() -> None:
    for reported in ("ls    -l", "ls -l"):
        service = Recording()
        service.canonical = "ls -l"
        done = call("gemini", "AfterTool", result("gemini", "run_shell_command", {"command": reported}, {}))
        other = "ls -l" if reported != "ls -l" else "ls    -l"
        again = call("gemini", "AfterTool", result("gemini", "run_shell_command", {"command": other}, {}))
        ask(desk_of(service), gate("gemini", shell("gemini", "ls    -l")), done, again)
        assert len(service.receipts) == 1
        assert service.receipts[0].note == ("" if reported != "ls -l" else "it ran in its re-emitted form")


def test_a_file_that_is_not_as_shown_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a\n")
    given = {"file_path": str(path), "old_string": "a", "new_string": "b"}
    done = call("claude-code", "PostToolUse", result("claude-code", "Edit", given, {}, str(tmp_path)))
    service = Recording()
    desk = desk_of(service)
    ask(desk, edit(path))
    path.write_text("b\n")
    ask(desk, done)
    path.write_text("a\n")
    ask(desk, edit(path))
    path.write_text("c\n")
    ask(desk, done)
    assert service.receipts[0].ran is not None
    assert service.receipts[1].ran is None
    assert "not what was shown" in service.receipts[1].note
