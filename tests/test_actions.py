"""Promise 4: the action digest covers all that decides what happens, and nothing that does not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from keyturn.actions import (
    MAX_CONTENT_BYTES,
    Action,
    Agent,
    Attribution,
    FileEdit,
    Gate,
    HttpRequest,
    Human,
    Shell,
    Text,
    ToolCall,
    action_digest,
    content_from_json,
    content_kind,
)
from keyturn.canonical import NotCanonical
from keyturn.errors import Malformed, TooLarge

POLICY = "sha256:policy"
WHO = Attribution(
    Agent("claude", owner="ana"),
    Human("ana", "token"),
    Text("do it", "hook"),
    Text("because", "hook"),
    "sha256:d",
)
ACTION = Action(
    Shell("ls -la"),
    WHO,
    Gate("hooks:claude-code@host"),
    "s_1",
    cwd="/w",
    environment={"PATH": "/bin"},
    call="c_1",
)
EDIT = FileEdit("/w/a", "edit", "sha256:1", "sha256:2", "-a\n+b\n")
CALL = ToolCall("query", {"sql": "select 1", "limit": 1}, "db")
REQUEST = HttpRequest("https://example.org/", "POST", "sha256:1")


def digest(action: Action, policy: str = POLICY) -> str:
    return action_digest(action, policy)


@pytest.mark.parametrize(
    "changed",
    [
        {"content": Shell("ls -la ")},
        {"content": Shell("ls -la", "posix")},
        {"content": ToolCall("ls -la")},
        {"cwd": "/w/"},
        {"environment": {"PATH": "/bin:/tmp"}},
        {"environment": {"PATH": "/bin", "LD_PRELOAD": "/tmp/x.so"}},
        {"environment": {}},
        {"target": "prod"},
        {"executes": {"/bin/ls": "sha256:1"}},
        {"attribution": replace(WHO, definition="sha256:other")},
        {"attribution": replace(WHO, definition=None)},
    ],
    ids=lambda changed: ",".join(changed),
)
def test_a_change_of_what_would_happen_changes_the_digest(changed: dict[str, Any]) -> None:
    assert digest(replace(ACTION, **changed)) != digest(ACTION)


def test_another_policy_version_is_another_digest() -> None:
    assert digest(ACTION, "sha256:other") != digest(ACTION)


@pytest.mark.parametrize(
    "changed",
    [
        {"session": "s_2"},
        {"call": None},
        {"gate": Gate("hooks:codex@host", "enforced")},
        {"attribution": replace(WHO, reasoning=Text("another story", "hook"))},
        {"attribution": replace(WHO, reasoning=None, instruction=None)},
        {"attribution": replace(WHO, human=Human("ben", "token"), agent=Agent("codex"), parents=("a_0",))},
    ],
    ids=lambda changed: ",".join(changed),
)
def test_who_asked_and_why_does_not_change_the_digest(changed: dict[str, Any]) -> None:
    assert digest(replace(ACTION, **changed)) == digest(ACTION)


@pytest.mark.parametrize(
    "content, changes",
    [
        (EDIT, {"path": "/w/b", "operation": "write", "before": None, "after": None, "diff": ""}),
        (CALL, {"tool": "exec", "arguments": {"sql": "select 2", "limit": 1}, "server": ""}),
        (REQUEST, {"url": "https://example.org/x", "method": "PUT", "body": None}),
    ],
)
def test_every_field_of_the_content_is_covered(content: Any, changes: dict[str, Any]) -> None:
    assert set(changes) == set(content.__struct_fields__)
    for field, value in changes.items():
        changed = replace(content, **{field: value})
        assert digest(replace(ACTION, content=changed)) != digest(replace(ACTION, content=content)), field


ALL_CONTENTS = [Shell("ls"), EDIT, CALL, REQUEST]


def test_contents_of_different_kinds_never_share_a_digest() -> None:
    assert len({digest(replace(ACTION, content=content)) for content in ALL_CONTENTS}) == len(ALL_CONTENTS)
    assert [content_kind(content) for content in ALL_CONTENTS] == ["shell", "file", "tool", "http"]


@pytest.mark.parametrize(
    "value",
    [
        b"select",
        bytearray(b"select"),
        datetime(2026, 1, 1, tzinfo=UTC),
        Decimal(1),
        UUID(int=1),
        {1: 2},
        2**53,
        float("nan"),
    ],
)
def test_arguments_that_json_cant_write_are_refused_and_not_written_as_text(value: Any) -> None:
    """Else bytes and their base64 text, which tools take for different things, would share an approval."""
    with pytest.raises((NotCanonical, Malformed)):
        digest(replace(ACTION, content=ToolCall("query", {"sql": value})))


def test_a_script_that_is_not_unicode_has_no_digest() -> None:
    with pytest.raises(NotCanonical):
        digest(replace(ACTION, content=Shell("rm \udcff")))


def test_content_has_a_named_limit() -> None:
    digest(replace(ACTION, content=Shell("x" * (MAX_CONTENT_BYTES - 1000))))
    with pytest.raises(TooLarge):
        digest(replace(ACTION, content=Shell("x" * MAX_CONTENT_BYTES)))


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_scripts_have_one_digest_exactly_if_they_are_the_same_bytes(one: str, other: str) -> None:
    """No normalisation: a different spelling of the same letter is other bytes."""
    digests = [digest(replace(ACTION, content=Shell(script))) for script in (one, other)]
    assert (digests[0] == digests[1]) == (one.encode() == other.encode())


def test_a_composed_letter_is_not_its_decomposed_form() -> None:
    assert digest(replace(ACTION, content=Shell("echo é"))) != digest(
        replace(ACTION, content=Shell("echo e\u0301"))
    )


def test_an_unknown_kind_is_refused_by_name() -> None:
    assert content_from_json({"kind": "shell", "script": "ls"}) == Shell("ls")
    with pytest.raises(Malformed, match="sql"):
        content_from_json({"kind": "sql", "text": "select 1"})
    with pytest.raises(Malformed):
        content_from_json({"kind": "shell"})


def test_what_a_client_does_not_give_is_named_as_missing() -> None:
    assert Attribution(Agent("x")).missing == ("definition", "human", "instruction", "reasoning")
    assert WHO.missing == ()
