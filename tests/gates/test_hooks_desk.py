"""The hook desk over a recording service: yes only when everything was allowed, and words for every no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hooks_at_desk import allowed, ask, desk_of, edit, gate
from hooks_captured import CLIENTS, encoded, payload, shell, tool
from hooks_recording import Recording, call, files_of
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import Action, FileEdit, Shell, ToolCall
from keyturn.canonical import digest_bytes
from keyturn.gates.hooks.model import HookAnswer, HookCall
from keyturn.policy.decision import Verdict

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
