"""A second question is answered by the first one's verdict only when it is about exactly the same thing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hooks_recording import Recording, call

from keyturn.actions import FileEdit, Shell, ToolCall
from keyturn.gates.hooks.confirmations import Confirmations, changed_lines
from keyturn.gates.hooks.desk import DeskSettings, HookDesk
from keyturn.gates.hooks.model import Proposal
from keyturn.service.model import Peer

DIFF = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"


def proposal(content: Any) -> tuple[Proposal, ...]:
    return (Proposal(content, "t"),)


def test_headings_are_not_changes_and_changes_that_look_like_headings_are() -> None:
    assert changed_lines(DIFF) == ["-two", "+three"]
    assert changed_lines("--- a\n+++ b\n@@ -1 +1 @@\n--- x\n+++ y\n") == ["--- x", "+++ y"]
    assert changed_lines("") == []


@pytest.mark.parametrize(
    ("first", "second", "confirms"),
    [
        (FileEdit("/x", "edit", diff=DIFF), FileEdit("/x", "create", diff="@@\n-two\n+three\n"), True),
        (FileEdit("/x", "edit", diff=DIFF), FileEdit("/y", "edit", diff=DIFF), False),
        (FileEdit("/x", "edit", diff=DIFF), FileEdit("/x", "edit", diff="@@\n-two\n+four\n"), False),
        (FileEdit("/x", "edit", diff=""), FileEdit("/x", "edit", diff=""), False),
        (ToolCall("t", {"a": 1}, "s"), ToolCall("t", {"a": 1}, "s"), True),
        (ToolCall("t", {"a": 1}, "s"), ToolCall("t", {"a": 2}, "s"), False),
        (ToolCall("t", {"a": 1}, "s"), ToolCall("t", {"a": 1}, "other"), False),
        (Shell("ls"), Shell("ls"), False),
    ],
)
def test_exactly_the_same_thing_is_confirmed_once(first: Any, second: Any, confirms: bool) -> None:
    kept = Confirmations()
    kept.allowed((first,))
    assert kept.confirm(proposal(second)) is confirms
    assert not kept.confirm(proposal(second))


def test_asking_anew_about_the_same_thing_voids_what_was_left_over() -> None:
    kept = Confirmations()
    kept.allowed((FileEdit("/x", "edit", diff=DIFF),))
    kept.allowed((ToolCall("t", {}, "s"),))
    kept.asked(proposal(FileEdit("/x", "edit")))
    assert not kept.confirm(proposal(FileEdit("/x", "edit", diff=DIFF)))
    assert kept.confirm(proposal(ToolCall("t", {}, "s")))


def test_copilots_second_question_about_an_edit_is_no_second_action(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("one\ntwo\n")
    service = Recording()
    desk = HookDesk(service, DeskSettings())

    def asked(event: str, **members: Any) -> dict[str, Any]:
        payload = {"sessionId": "s-1", "cwd": str(tmp_path), **members}
        answer = asyncio.run(desk.handle(call("copilot", event, json.dumps(payload).encode()), Peer(0, 0, 1)))
        return json.loads(answer.stdout)  # type: ignore[no-any-return]

    edit = {"path": str(target), "old_str": "two", "new_str": "three"}
    diff = "\ndiff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+three\n \n"
    second = {"toolName": "edit", "toolInput": {"file_path": str(target), "diff": diff}}
    assert asked("preToolUse", toolName="edit", toolArgs=edit)["permissionDecision"] == "allow"
    assert asked("permissionRequest", **second) == {"behavior": "allow"}
    assert len(service.actions) == 1
    service.rule = lambda action: "refuse"
    assert asked("permissionRequest", **second)["behavior"] == "deny", "nothing is confirmed twice"
    assert len(service.actions) == 2
