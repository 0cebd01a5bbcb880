"""Odd, huge and deep content: answered, never raised, in bounded time and size."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from readers_cases import AROUND

from keyturn.actions import Content, FileEdit, HttpRequest, Reading, Shell, ToolCall
from keyturn.readers import READER_FAILED, ReadingCache, read, read_afresh, read_shell
from keyturn.readers.sentence import _LONGEST
from keyturn.resources import Surroundings

_SHELLISH = st.lists(
    st.sampled_from(
        list("abx -=;&|<>(){}[]$`'\"\\\n\t#*?~!/,.:0@%^+")
        + [
            "rm",
            "ls",
            "if",
            "then",
            "fi",
            "for",
            "in",
            "do",
            "done",
            "case",
            "esac",
            "<<E\n",
            "\nE\n",
            "${",
            "$(",
            "[[",
            "]]",
        ]
    ),
    max_size=40,
).map("".join)

_ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


def _sane(reading: Reading) -> None:
    assert not any(READER_FAILED in unread.why for unread in reading.unread), reading
    assert len(reading.sentence) <= _LONGEST
    assert len(reading.steps) <= 400
    assert reading.complete or reading.unread
    assert not (reading.complete and reading.unread)


@settings(max_examples=250, deadline=None)
@given(_SHELLISH | _ANY_TEXT)
@example("\ud800")
@example("a\\")
@example("$")
def test_any_text_as_a_script_is_answered(script: str) -> None:
    _sane(read_afresh(Shell(script), AROUND))


@settings(max_examples=150, deadline=None)
@given(_SHELLISH)
def test_what_is_emitted_is_a_fixed_point(script: str) -> None:
    reading = read_shell(script, AROUND)
    if reading.canonical is not None:
        again = read_shell(reading.canonical, AROUND)
        assert again.complete
        assert again.canonical == reading.canonical


@settings(max_examples=150, deadline=None)
@given(_ANY_TEXT, st.sampled_from(["create", "write", "edit", "delete", "read"]))
def test_any_path_is_answered(path: str, operation: str) -> None:
    _sane(read_afresh(FileEdit(path, operation), AROUND))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(
    _ANY_TEXT | st.from_regex(r"https?://[^ ]{0,30}", fullmatch=True),
    st.sampled_from(["GET", "POST", "get", "", "\n"]),
)
def test_any_url_is_answered(url: str, method: str) -> None:
    _sane(read_afresh(HttpRequest(url, method), AROUND))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=10), st.text(max_size=10), st.dictionaries(st.text(max_size=4), _JSON, max_size=4))
def test_any_tool_call_is_answered(tool: str, server: str, arguments: dict[str, object]) -> None:
    _sane(read_afresh(ToolCall(tool, arguments, server), AROUND))


@pytest.mark.parametrize(
    "script",
    [
        "a" * 1_000_000,
        "ls;" * 350_000,
        "(" * 10_000,
        "$(" * 10_000 + ")" * 10_000,
        "$(" * 5_000 + "a" + ")" * 5_000,
        "((" * 4_000 + "1" + "))" * 4_000,
        "{" * 10_000,
        "`" * 10_000,
        "${a:-" * 3_000 + "}" * 3_000,
        '"$(' * 200 + ')"' * 200,
        "if " * 5_000,
        "! " * 8_000 + "ls",
        "echo $((" + "1+" * 8_000 + "1))",
        "[[ " + "( " * 4_000 + "a" + " )" * 4_000 + " ]]",
        "ls" + " && ls" * 2_500,
        "cat " + "<<E " * 3_000,
        "echo " + "{1..9}" * 60,
        "echo " + "{a,b}" * 200,
        "env " * 3_000 + "ls",
        "xargs " * 2_700,
        "find . " + "-exec " * 2_000 + "\\;",
        "ls " + "*" * 15_000,
        "cat " + "*a" * 4_000,
        "awk '" + "/" * 15_000 + "'",
        "sed '" + "{" * 15_000 + "'",
    ],
    ids=range(25),
)
def test_huge_and_deep_scripts_are_answered_within_bounds(script: str) -> None:
    reading = read_afresh(Shell(script), AROUND)
    _sane(reading)
    assert len(reading.canonical or "") < 40_000


def test_deep_arguments_are_answered() -> None:
    deep: dict[str, object] = {}
    for _ in range(50_000):
        deep = {"a": deep}
    reading = read(ToolCall("t", deep), AROUND)
    assert reading.steps[0].program == "t"
    while deep:  # taken apart by hand: freeing it at once would recurse as deep as it is nested
        deep = deep.pop("a")  # type: ignore[assignment]


def test_a_reading_seen_before_comes_from_memory_and_memory_is_bounded() -> None:
    asked: list[Content] = []

    def count(content: Content, around: Surroundings) -> Reading:
        asked.append(content)
        return read_afresh(content, around)

    cache = ReadingCache(count, capacity=4)
    for _ in range(3):
        assert cache.read(ToolCall("a"), AROUND).complete
    assert len(asked) == 1
    other = Surroundings(cwd="/elsewhere", workspace="/elsewhere")
    cache.read(ToolCall("a"), other)
    assert len(asked) == 2, "the same content elsewhere is another reading"
    for number in range(20):
        cache.read(ToolCall(f"t{number}"), AROUND)
    assert len(cache) == 4


def test_many_threads_may_read_at_once() -> None:
    seen: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: seen.append(read(Shell(f"ls a{n % 5}"), AROUND).complete))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 20


def test_no_descriptor_is_left_open() -> None:
    read_afresh(Shell("ls"), AROUND)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(20):
        read_afresh(Shell(f"ls {number} ("), AROUND)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before
