"""Canonical JSON: the bytes of another RFC 8785 implementation for every value, and refusal outside the profile."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyturn.canonical import MAX_DEPTH, MAX_SAFE_INTEGER, NotCanonical, digest, digest_bytes, dumps

unicode = st.text(st.characters(exclude_categories=["Cs"]))


def looks_like_a_large_integer(value: float) -> bool:
    """Outside the profile: RFC 8785 writes these with the digits of an integer that two readers may read differently."""
    return MAX_SAFE_INTEGER < abs(value) < 1e21


floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not looks_like_a_large_integer(x))
numbers = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | floats
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | unicode,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(unicode, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=400)
@given(values)
@example({"\U00010000": 1, "\uffff": 2})  # UTF-16 order differs from code point order
@example({"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\u0080": 6, "ö": 7})  # RFC 8785 §3.2.3's own
@example([333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001])  # RFC 8785 §3.2.2's own
@example(
    [
        -0.0,
        5e-324,
        1.7976931348623157e308,
        1e21,
        -1e21,
        1e-6,
        1e-7,
        9007199254740991.0,
        4503599627370495.5,
    ]
)
@example("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/\x7f\u2028")
def test_the_bytes_are_those_of_another_implementation(value: Any) -> None:
    assert dumps(value) == rfc8785.dumps(value)


@settings(max_examples=400)
@given(st.integers(0, 2**64 - 1))
def test_every_double_is_written_as_ecmascript_writes_it(bits: int) -> None:
    value = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    if value != value or value in (float("inf"), float("-inf")) or looks_like_a_large_integer(value):
        with pytest.raises(NotCanonical):
            dumps(value)
        return
    assert dumps(value) == rfc8785.dumps(value)
    assert float(dumps(value)) == value


@given(values)
def test_what_was_written_reads_back_and_writes_the_same(value: Any) -> None:
    assert dumps(json.loads(dumps(value))) == dumps(value)


@given(st.dictionaries(unicode, numbers, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_members_makes_no_difference(value: dict[str, Any], random: Any) -> None:
    shuffled = list(value.items())
    random.shuffle(shuffled)
    assert dumps(dict(shuffled)) == dumps(value)


class _Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        MAX_SAFE_INTEGER + 1,
        2.0**53,
        -1e20,
        -MAX_SAFE_INTEGER - 1,
        10**4000,
        "\ud800",
        {"\udfff": 1},
        ["ok", {"deep": ["\ud800x"]}],
        {1: 2},
        {None: 1},
        b"bytes",
        {1, 2},
        object(),
        _Text("subclass"),
        1j,
    ],
)
@pytest.mark.parametrize("beside", [[], [0.5], [{"é": 1}]])  # the fast and the slow way refuse alike
def test_what_has_no_canonical_form_is_refused(value: Any, beside: list[Any]) -> None:
    for placed in (value, [*beside, value], {"é": beside, "x": value}):
        with pytest.raises(NotCanonical) as refused:
            dumps(placed)
        assert refused.value.code == "input.not_canonical"


def nested(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


def test_nesting_has_a_named_limit() -> None:
    dumps(nested(MAX_DEPTH, 1.5))
    for depth in (MAX_DEPTH + 1, 10_000):
        with pytest.raises(NotCanonical):
            dumps(nested(depth, 1))


def test_a_digest_is_the_sha256_of_the_canonical_bytes() -> None:
    assert digest({"b": 1, "a": []}) == digest_bytes(b'{"a":[],"b":1}')
    assert digest_bytes(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
