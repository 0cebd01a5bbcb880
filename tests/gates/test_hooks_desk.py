"""The hook desk over a recording service: yes only when everything was allowed, and words for every no."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hooks_captured import CLIENTS, GATES, PROMPTS, RESULTS, encoded, payload, prompt, result, shell, tool
from hooks_recording import Recording, call, files_of
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import Action, FileEdit, Shell, ToolCall
from keyturn.canonical import digest_bytes
from keyturn.gates.hooks.desk import DeskSettings, HookDesk
from keyturn.gates.hooks.model import HookAnswer, HookCall
from keyturn.policy.decision import Verdict
from keyturn.service.model import Peer

ME = Peer(os.getuid(), os.getgid(), os.getpid())
SETTINGS = DeskSettings("here", person_of_uid=lambda uid: "dana" if uid == ME.uid else None, longest_wait=1.0)


def ask(desk: HookDesk, *calls: HookCall, peer: Peer = ME) -> list[HookAnswer]:
    async def all_of_them() -> list[HookAnswer]:
        return [await desk.handle(one, peer) for one in calls]

    return asyncio.run(all_of_them())


def allowed(client: str, answer: HookAnswer) -> bool:
    """As the client would understand it: exit 0 and the dialect's yes."""
    if answer.status != 0:
        return False
    if client == "codex" and not answer.stdout:
        return True
    said = json.loads(answer.stdout)
    return said.get("decision") == "allow" or said["hookSpecificOutput"]["permissionDecision"] == "allow"


def gate(client: str, data: bytes) -> HookCall:
    return call(client, GATES[client], data)


def desk_of(service: Recording, settings: DeskSettings = SETTINGS) -> HookDesk:
    return HookDesk(service, settings)


# --- yes and no -----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
def test_an_allowed_command_runs_with_its_permit_used(client: str) -> None:
    service = Recording()
    (answer,) = ask(desk_of(service), gate(client, shell(client, "ls")))
    assert allowed(client, answer)
    (action,) = service.actions
    assert (action.content, action.gate.name, action.gate.assurance) == (
        Shell("ls"),
        f"hooks:{client}@here",
        "cooperative",
    )
    assert len(service.consumed) == 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("verdict", ["refuse", "hold"])
def test_refused_and_still_held_commands_dont_run(client: str, verdict: Verdict) -> None:
    service = Recording(lambda action: verdict)
    (answer,) = ask(desk_of(service), gate(client, shell(client, "ls")))
    assert not allowed(client, answer)
    assert answer.status == 2
    assert b"Nothing ran" in answer.stderr
    if verdict == "hold":
        assert b"held: waiting for 1 of reviewers (request rq_" in answer.stderr
        assert b"Do not retry" in answer.stderr
    assert service.consumed == []


@pytest.mark.parametrize("client", CLIENTS)
def test_a_held_command_runs_once_approved(client: str) -> None:
    service = Recording(lambda action: "hold")
    service.ends = ("approved", "")
    (answer,) = ask(desk_of(service), gate(client, shell(client, "ls")))
    assert allowed(client, answer)
    assert len(service.consumed) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_denial_and_its_reason_reach_the_agent(client: str) -> None:
    service = Recording(lambda action: "hold")
    service.ends = ("denied", "not on a Friday")
    (answer,) = ask(desk_of(service), gate(client, shell(client, "ls")))
    assert not allowed(client, answer)
    assert b"denied by erin: not on a Friday" in answer.stderr


@pytest.mark.parametrize("ended", ["expired", "withdrawn", "superseded"])
def test_a_request_that_ended_otherwise_is_a_no(ended: Any) -> None:
    service = Recording(lambda action: "hold")
    service.ends = (ended, "")
    (answer,) = ask(desk_of(service), gate("codex", shell("codex", "ls")))
    assert answer.status == 2
    assert b"Nothing ran" in answer.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_whatever_breaks_inside_is_a_no(client: str) -> None:
    service = Recording()
    desk = desk_of(service)
    for broken in (RuntimeError("boom"), ValueError(), OSError(28, "no space")):
        service.broken = broken
        (answer,) = ask(desk, gate(client, shell(client, "ls")))
        assert answer.status == 2
        assert b"Nothing ran" in answer.stderr
        assert b"Traceback" not in answer.stderr
    service.broken = None
    assert allowed(client, ask(desk, gate(client, shell(client, "ls")))[0])  # the control


def test_an_unknown_client_and_an_unknown_event_are_a_no() -> None:
    service = Recording(lambda action: "hold")
    desk = desk_of(service)
    assert ask(desk, call("cursor", "preToolUse", b"{}"))[0].status == 2
    said = payload("claude-code", "PreCoffee")
    assert ask(desk, call("claude-code", "PreCoffee", encoded(said)))[0].status == 2
    assert service.actions[-1].content == ToolCall("PreCoffee", said, "unknown:claude-code")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_gate_called_with_another_events_input_is_a_no(client: str) -> None:
    service = Recording()
    (answer,) = ask(desk_of(service), gate(client, encoded(payload(client, "SessionStart"))))
    assert answer.status == 2
    assert service.actions == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("client", CLIENTS)
@given(data=st.binary(max_size=100) | JSON.map(encoded))
def test_junk_never_runs_even_when_everything_is_allowed(client: str, data: bytes) -> None:
    service = Recording()
    (answer,) = ask(desk_of(service), gate(client, data))
    assert not allowed(client, answer)
    assert answer.stderr.strip()
    assert service.actions == []


@pytest.mark.parametrize("client", CLIENTS)
@given(
    cut=st.integers(min_value=0, max_value=400),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255))),
)
def test_a_damaged_call_never_runs_what_was_not_asked_about(
    client: str, cut: int, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(shell(client, "ls -l"))
    for place, mask in flips:
        data[place % len(data)] ^= mask
    service = Recording()
    (answer,) = ask(desk_of(service), gate(client, bytes(data[: max(1, len(data) - cut)])))
    if allowed(client, answer):
        (action,) = service.actions
        given_input = json.loads(data)["tool_input"]
        said = action.content.script if isinstance(action.content, Shell) else action.content.arguments  # type: ignore[union-attr]
        assert said in (given_input.get("command"), given_input)


# --- several things at once -----------------------------------------------------------------------

PATCH = "*** Begin Patch\n*** Add File: one.txt\n+1\n*** Add File: two.txt\n+2\n*** End Patch\n"


def patch(cwd: Path) -> HookCall:
    return call("codex", "PreToolUse", tool("codex", "apply_patch", {"command": PATCH}, str(cwd)))


def second(verdict: Verdict) -> Any:
    def rule(action: Action) -> Verdict:
        content = action.content
        return verdict if isinstance(content, FileEdit) and content.path.endswith("two.txt") else "run"

    return rule


def test_a_patch_runs_only_when_each_file_may_be_changed(tmp_path: Path) -> None:
    service = Recording(second("refuse"))
    (answer,) = ask(desk_of(service), patch(tmp_path))
    assert answer.status == 2
    assert b"does 2 things" in answer.stderr
    assert service.consumed == []
    service.rule = lambda action: "run"
    assert ask(desk_of(service), patch(tmp_path))[0].status == 0  # the control
    assert len(service.consumed) == 2


def test_a_patch_waits_for_the_part_that_is_held(tmp_path: Path) -> None:
    service = Recording(second("hold"))
    service.ends = ("approved", "")
    assert ask(desk_of(service), patch(tmp_path))[0].status == 0
    assert len(service.consumed) == 2


def test_when_one_permit_cant_be_used_the_others_are_reported_as_not_run(tmp_path: Path) -> None:
    class Failing(Recording):
        async def consume(self, token: str, digest: str, gate: str) -> str:
            if self.consumed:
                from keyturn.service.errors import NotClaimable

                raise NotClaimable("Used already.")
            return await super().consume(token, digest, gate)

    service = Failing()
    assert ask(desk_of(service), patch(tmp_path))[0].status == 2
    assert [receipt.outcome for receipt in service.receipts] == ["not-run"]


# --- approvals are for these bytes ----------------------------------------------------------------


def edit(path: Path) -> HookCall:
    given = {"file_path": str(path), "old_string": "a", "new_string": "b"}
    return call("claude-code", "PreToolUse", tool("claude-code", "Edit", given, str(path.parent)))


def test_an_approved_edit_of_a_file_that_changed_meanwhile_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a\n")
    service = Recording(lambda action: "hold")
    service.ends = ("approved", "")
    service.on_wait = lambda: path.write_text("a\nevil\n") and None
    (answer,) = ask(desk_of(service), edit(path))
    assert answer.status == 2
    assert b"other bytes" in answer.stderr
    path.write_text("a\n")
    service.on_wait = lambda: None
    assert allowed("claude-code", ask(desk_of(service), edit(path))[0])  # the control


def test_an_edit_is_shown_as_a_diff_with_both_digests(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a\nkept\n")
    service = Recording()
    ask(desk_of(service), edit(path))
    (content,) = files_of(service)
    assert content.before == digest_bytes(b"a\nkept\n")
    assert content.after == digest_bytes(b"b\nkept\n")
    assert "-a\n+b\n kept\n" in content.diff


def test_a_link_is_asked_about_as_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    service = Recording()
    data = tool(
        "claude-code", "Write", {"file_path": f"{tmp_path}/link/hosts", "content": "x"}, str(tmp_path)
    )
    ask(desk_of(service), gate("claude-code", data))
    assert files_of(service)[0].path == "/etc/hosts"


def test_the_wiring_of_all_gates_is_protected(tmp_path: Path) -> None:
    service = Recording()
    ask(desk_of(service), gate("claude-code", shell("claude-code", "ls", str(tmp_path))))
    protected = service.arounds[0].protected
    for path in ("/etc/claude-code", "/etc/codex", "/etc/gemini-cli"):
        assert path in protected
    assert any(path.endswith("/.claude/settings.json") for path in protected)


def test_a_rewrite_is_given_only_for_a_script_that_was_re_emitted() -> None:
    service = Recording()
    service.canonical = "ls -l"
    desk = desk_of(service)
    (answer,) = ask(desk, gate("claude-code", shell("claude-code", "ls    -l")))
    assert json.loads(answer.stdout)["hookSpecificOutput"]["updatedInput"] == {"command": "ls -l"}
    (answer,) = ask(desk, gate("claude-code", tool("claude-code", "TodoWrite", {"todos": []})))
    assert "updatedInput" not in json.loads(answer.stdout)["hookSpecificOutput"]


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


def test_a_changed_configuration_is_refused_at_once_unless_policy_lets_it_run() -> None:
    said = payload(
        "claude-code", "ConfigChange", source="local_settings", file_path="/w/.claude/settings.local.json"
    )
    service = Recording(lambda action: "hold")
    desk = desk_of(service)
    (answer,) = ask(desk, call("claude-code", "ConfigChange", encoded(said)))
    assert answer.status == 2
    service.rule = lambda action: "run"
    assert ask(desk, call("claude-code", "ConfigChange", encoded(said)))[0] == HookAnswer()
