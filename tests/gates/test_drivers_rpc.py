"""Lines of JSON-RPC: what is no message is dropped, wherever the bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.gates.drivers import rpc


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_in_any_pieces_give_objects_only(data: bytes, size: int) -> None:
    lines = rpc.Lines()
    found = [m for at in range(0, len(data), size) for m in lines.feed(data[at : at + size])]
    assert all(isinstance(message, dict) for message in found)
    assert found == rpc.Lines().feed(data)


def test_a_message_is_found_between_junk() -> None:
    data = b'warning: x\n\xff\xfe\n[1]\n"s"\n{"id": 1}\r\n' + b"[" * 100_000 + b'\n{"id": 2}\n{"cut'
    assert rpc.Lines().feed(data) == [{"id": 1}, {"id": 2}]


def test_a_line_without_an_end_is_dropped_and_so_is_its_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "MAX_LINE", 100)
    lines = rpc.Lines()
    assert lines.feed(b'{"a": "' + b"x" * 200) == []
    assert lines.feed(b'"}\n{"id": 3}\n') == [{"id": 3}]


@pytest.mark.parametrize("number", [None, True, 1.5, [1], {"a": 1}])
def test_a_request_needs_an_id_that_can_be_answered(number: object) -> None:
    assert not rpc.is_request({"method": "session/request_permission", "id": number})
    assert rpc.is_request({"method": "session/request_permission", "id": 0})


def test_an_answer_is_taken_once_and_only_to_what_was_asked() -> None:
    calls = rpc.Calls()
    asked = calls.request("initialize", {}).message
    assert calls.answered({"id": True}) is None
    assert calls.answered({"id": asked["id"], "method": "x"}) is None
    assert calls.answered({"id": asked["id"]}) == "initialize"
    assert calls.answered({"id": asked["id"]}) is None


def test_lone_surrogates_do_not_break_the_line() -> None:
    line = rpc.encode({"words": "\ud800\n"})
    assert line.count(b"\n") == 1
    assert json.loads(line)["words"].endswith("\n")
