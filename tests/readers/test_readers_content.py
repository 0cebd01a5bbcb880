"""File edits, tool calls and HTTP requests."""

from __future__ import annotations

import pytest
from readers_cases import AROUND

from keyturn.actions import FileEdit, HttpRequest, ToolCall
from keyturn.readers import read


@pytest.mark.parametrize(
    ("path", "operation", "keys"),
    [
        ("src/a.py", "write", ["writes:workspace"]),
        ("src/a.py", "read", ["reads:workspace"]),
        ("src/a.py", "edit", ["reads:workspace", "writes:workspace"]),
        ("src/a.py", "delete", ["deletes:workspace"]),
        ("../other/a", "write", ["writes:outside"]),
        ("/etc/hosts", "create", ["writes:system"]),
        ("/tmp/a", "create", ["writes:temporary"]),
        (".git/hooks/pre-commit", "create", ["configures:workspace", "writes:workspace"]),
        ("sub/.git/config", "edit", ["configures:workspace", "reads:workspace", "writes:workspace"]),
        (".github/workflows/ci.yml", "write", ["configures:workspace", "writes:workspace"]),
        (".github/hooks/x.json", "write", ["configures:workspace", "writes:workspace"]),
        (".claude/settings.json", "write", ["configures:workspace", "writes:workspace"]),
        ("AGENTS.md", "write", ["configures:workspace", "writes:workspace"]),
        ("docs/CLAUDE.md", "delete", ["configures:workspace", "deletes:workspace"]),
        ("~/.bashrc", "write", ["configures:home", "writes:home"]),
        ("/home/dev/.keyturn/policy/a.cedar", "write", ["configures:keyturn", "writes:keyturn"]),
        ("src/../../../etc/passwd", "write", ["writes:system"]),
    ],
)
def test_an_edit_does_what_its_path_says(path: str, operation: str, keys: list[str]) -> None:
    reading = read(FileEdit(path, operation), AROUND)  # type: ignore[arg-type]
    assert reading.complete
    assert sorted({effect.key for effect in reading.effects}) == keys
    assert reading.steps[0].program == operation


def test_a_secret_file_carries_its_label() -> None:
    assert read(FileEdit("config/.env", "read"), AROUND).effects[0].labels == ("secret",)


@pytest.mark.parametrize(
    "path", ["", "a\0b", "a\u202eb", "a\nb", "~root/x", "a" * 5000, "a\u200bb", "\ud800"]
)
def test_an_odd_path_is_not_understood(path: str) -> None:
    assert not read(FileEdit(path, "write"), AROUND).complete


def test_a_tool_call_executes_that_tool_and_nothing_is_assumed_of_it() -> None:
    reading = read(
        ToolCall("create_issue", {"repo": "a/b", "labels": ["x", "y"], "n": {"m": 1}}, "github"), AROUND
    )
    assert reading.complete
    (step,) = reading.steps
    assert step.program == "github/create_issue"
    assert [effect.key for effect in step.effects] == ["executes:tool"]
    assert step.argv == ("github/create_issue", "repo=a/b", "labels[0]=x", "labels[1]=y", "n.m=1")
    assert read(ToolCall("WebSearch"), AROUND).steps[0].program == "WebSearch"


@pytest.mark.parametrize(
    ("tool", "server"), [("", "s"), ("a\u202e", "s"), ("a", "x/y"), ("a" * 300, ""), ("a\n", "")]
)
def test_a_tool_whose_name_could_be_taken_for_another_is_not_understood(tool: str, server: str) -> None:
    assert not read(ToolCall(tool, {}, server), AROUND).complete


@pytest.mark.parametrize(
    ("url", "method", "keys"),
    [
        ("https://example.org/a?b=c", "GET", ["connects:network"]),
        ("https://example.org:8443/", "HEAD", ["connects:network"]),
        ("http://localhost:3000/x", "POST", ["connects:loopback", "sends:loopback"]),
        ("http://127.0.0.1/", "DELETE", ["connects:loopback", "sends:loopback"]),
        ("http://[::1]:80/", "GET", ["connects:loopback"]),
        ("https://EXAMPLE.org", "PUT", ["connects:network", "sends:network"]),
    ],
)
def test_a_request_connects_and_perhaps_sends(url: str, method: str, keys: list[str]) -> None:
    reading = read(HttpRequest(url, method), AROUND)
    assert reading.complete
    assert sorted(effect.key for effect in reading.effects) == keys


def test_a_body_sends_whatever_the_method_says() -> None:
    reading = read(HttpRequest("https://example.org/", "GET", body="sha256:" + "0" * 64), AROUND)
    assert [effect.verb for effect in reading.effects] == ["connects", "sends"]


@pytest.mark.parametrize(
    "url",
    [
        "https://good.org@evil.org/", "https://good.org:pw@evil.org/", "file:///etc/passwd", "ftp://example.org/", "//example.org/",
        "https:///x", "https://exa mple.org/", "https://example.org\\@evil.org/",
        "https://ex\u0430mple.org/", "https://xn--exmple-4nf.org/",
        "https://example.org/\n", "https://example.org/\u202e", "http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/", "http://127.1/",
        "https://example.org:99999/", "https://example.org:0/", "https://[::1/", "https://[::1]x/",
        "https://-evil.org/", "https://a..b/", "",
        "javascript:alert(1)", "https://example.org" + "/a" * 5000, "HTTPS://example.org/", "https://example.org%2f@evil.org/", "https://1.2.3.4.5/",
    ],
)  # fmt: skip
def test_a_url_that_could_lead_elsewhere_is_not_understood(url: str) -> None:
    assert not read(HttpRequest(url), AROUND).complete


@pytest.mark.parametrize("method", ["get", "", "GET\r\nX: y", "G" * 30, "GET "])
def test_an_odd_method_is_not_understood(method: str) -> None:
    assert not read(HttpRequest("https://example.org/", method), AROUND).complete
