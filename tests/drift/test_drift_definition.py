"""A definition as content: its digest covers what it is and nothing else; differences and what follows from them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift.definition import (
    MAX_TEXT,
    MAX_TEXTS,
    PINNED,
    Definition,
    Part,
    file_part,
    fitting,
    ordered,
    tool_part,
    wrong,
)
from keyturn.drift.definition_diff import changed_tools, compare
from keyturn.drift.definition_may import gains
from keyturn.drift.definition_parts import derived, imports

names = st.text("abc./~", min_size=1, max_size=6)
texts = st.text(max_size=40).map(lambda text: text.encode("utf-8", "ignore"))
kinds = st.sampled_from(("instructions", "settings", "hooks", "servers", "permissions", "tools"))
parts = st.lists(st.builds(file_part, kinds, names, texts), max_size=6).map(ordered)


def text(part: Part) -> str | None:
    return part.text


@given(parts, st.randoms(use_true_random=False))
def test_the_digest_is_that_of_the_content_in_whatever_order_and_wherever(
    found: tuple[Part, ...], rng: Any
) -> None:
    mixed = list(found)
    rng.shuffle(mixed)
    one = Definition("c", parts=found, place="/a")
    bare = tuple(Part(part.kind, part.name, part.digest) for part in mixed)
    assert Definition("c", parts=bare, place="/b").digest == one.digest
    assert Definition("d", parts=found).digest != one.digest
    assert Definition("c", model="m", parts=found).digest != one.digest
    assert Definition("c", parameters={"t": 1}, parts=found).digest != one.digest


@given(parts, parts)
def test_a_comparison_names_exactly_the_parts_that_are_different(
    a: tuple[Part, ...], b: tuple[Part, ...]
) -> None:
    before, after = Definition("c", parts=a), Definition("c", parts=b)
    found = compare(before, after, text)
    old, new = {p.key: p.digest for p in a}, {p.key: p.digest for p in b}
    assert {(p.kind, p.name) for p in found.parts} == {
        k for k in old.keys() | new.keys() if old.get(k) != new.get(k)
    }
    assert (found.parts == ()) == (before.digest == after.digest)
    assert compare(before, before, text).may == ()


@given(st.dictionaries(st.sampled_from(PINNED), st.text(max_size=8), min_size=1), st.sampled_from(PINNED))
def test_every_pinned_member_of_a_tool_is_in_its_digest_and_nothing_else_is(
    tool: dict[str, Any], member: str
) -> None:
    tool = {**tool, "name": "read"}
    one = tool_part("fs", tool)
    assert tool_part("fs", {**tool, "_meta": {"x": 1}}).digest == one.digest
    changed = {**tool, member: "something else that is longer"}
    other = tool_part("fs", changed)
    assert other.digest != one.digest
    if member != "name":
        assert changed_tools(Definition("c", parts=(one,)), Definition("c", parts=(other,))) == (
            (one, other),
        )


def test_texts_that_are_too_large_to_travel_are_left_out_and_the_digest_stays() -> None:
    large = file_part("instructions", "large", b"x" * (MAX_TEXT + 1))
    many = tuple(
        file_part("instructions", f"{n:04}", b"y" * MAX_TEXT) for n in range(MAX_TEXTS // MAX_TEXT + 3)
    )
    one = Definition("c", parts=ordered((large, *many)), place="/p")
    small = fitting(one)
    assert small.digest == one.digest
    assert small.place == "/p"
    assert sum(len(p.text) for p in small.parts if p.text) <= MAX_TEXTS
    assert all(p.text is None for p in small.parts if p.name == "large")


def test_what_can_not_be_recorded_is_told() -> None:
    good = file_part("instructions", "a", b"x")
    assert wrong(Definition("c", parts=(good,))) == ""
    assert wrong(Definition("c", parts=(good, good)))
    assert wrong(Definition("c", parts=(msgspec.structs.replace(good, text="y"),)))
    assert wrong(Definition("c", parts=(Part("instructions", "a\n", good.digest),)))
    assert wrong(Definition("c", parts=tuple(Part("tools", str(n), good.digest) for n in range(1001))))


@given(st.text(max_size=200))
def test_any_text_has_imports_and_settings_without_an_error(given_text: str) -> None:
    assert all(isinstance(name, str) for name in imports(given_text))
    assert isinstance(derived("x.json", given_text), tuple)
    assert isinstance(derived("x.toml", given_text), tuple)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("mcpServers", "hooks", "permissions", "allow", "command", "args", "env", "url", "a")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(("mcpServers", "hooks", "permissions", "mcp", "projects")), JSON, max_size=3
    )
)
def test_any_settings_are_compared_without_an_error(body: dict[str, Any]) -> None:
    said = json.dumps(body)
    found = ordered((file_part("settings", "s.json", said.encode()), *derived("s.json", said, "/w")))
    after = Definition("c", parts=found)
    assert compare(Definition("c"), after, text).text
    assert isinstance(gains(None, after, text), tuple)


def test_a_value_of_a_variable_is_in_no_derived_part() -> None:
    said = json.dumps(
        {"mcpServers": {"fs": {"command": "x", "env": {"TOKEN": "s3cret"}, "headers": {"A": "s3cret"}}}}
    )
    (part,) = derived(".mcp.json", said)
    assert part.text is not None
    assert "s3cret" not in part.text
    assert "TOKEN" in part.text
