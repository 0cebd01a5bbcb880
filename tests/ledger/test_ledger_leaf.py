"""Leaves and disclosures: the permanent format, and that nothing else passes for it."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn import canonical
from keyturn.canonical import NotCanonical
from keyturn.ledger import leaf, values
from keyturn.ledger.entries import ENTRY_TYPES, MAX_FIELD_BYTES, MAX_LEAF_BYTES, Draft
from keyturn.ledger.errors import (
    DraftMalformed,
    EntryMalformed,
    EntryTooLarge,
    UnknownType,
    UnknownVersion,
)
from keyturn.ledger.storage import StoredEntry

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda f: not 2**53 <= abs(f) < 1e21)
    | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20).filter(
    lambda name: name not in ("_sd", "_sd_alg", "...")
)


def unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@settings(deadline=None, max_examples=200)
@given(JSON)
def test_fast_encoding_is_rfc8785(value: Any) -> None:
    plain, data = values.normal(value)
    assert data == canonical.dumps(value) == rfc8785.dumps(value)
    assert plain == json.loads(data)
    assert values.encode(plain) == data


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        b"x",
        {1: 2},
        object(),
        "\ud800",
        {"\ud800": 1},
        [[object()]],
    ],
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonical):
        values.encode(value)


def test_deep_values_take_the_exact_way_and_too_deep_ones_are_refused() -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    assert values.normal({"a": deep}) == ({"a": deep}, canonical.dumps({"a": deep}))
    for _ in range(100):
        deep = [deep]
    with pytest.raises(NotCanonical):
        values.encode(deep)
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(NotCanonical):
        values.encode(deep)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(NAMES, JSON, max_size=8),
    st.sampled_from(sorted(ENTRY_TYPES)),
    st.none() | st.integers(1, 10**9),
)
def test_an_entry_reads_back_as_it_was_made(fields: dict[str, Any], kind: str, n: int | None) -> None:
    session = "s_1" if n else None
    made = leaf.make(Draft(kind, fields, session), 41, 1_763_671_234_567, n)
    assert leaf.read(made.stored) == made.entry
    assert made.entry.fields == {name: json.loads(canonical.dumps(value)) for name, value in fields.items()}
    assert list(made.entry.fields) == list(fields)


def test_the_leaf_is_the_documented_one_in_canonical_form() -> None:
    salts = bytes(range(32))
    made = leaf.make(
        Draft("action.decided", {"b": "x", "a": [1]}, "s_1"), 41, 1763671234567, 7, lambda size: salts[:size]
    )
    expected = [
        unpadded(b'["' + unpadded(bytes(range(16))).encode() + b'","b","x"]'),
        unpadded(b'["' + unpadded(bytes(range(16, 32))).encode() + b'","a",[1]]'),
    ]
    assert list(made.entry.disclosures) == expected
    digests = sorted(unpadded(sha256(text.encode()).digest()) for text in expected)
    members = {
        "v": 1, "index": 41, "time": 1763671234567, "type": "action.decided", "session": "s_1", "n": 7,
        "_sd_alg": "sha-256", "_sd": digests,
    }  # fmt: skip
    assert made.entry.leaf == rfc8785.dumps(members)
    assert made.stored.disclosures == json.dumps(expected, separators=(",", ":")).encode()


def test_a_leaf_outside_sessions_has_neither_session_nor_number() -> None:
    made = leaf.make(Draft("log.opened"), 0, 5, None)
    assert made.entry.leaf == b'{"_sd":[],"_sd_alg":"sha-256","index":0,"time":5,"type":"log.opened","v":1}'
    assert made.stored.disclosures == b"[]"
    assert leaf.read(made.stored) == made.entry


def test_the_example_of_rfc9901_opens_to_its_digest() -> None:
    disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    opened = leaf.read_disclosure(disclosure)
    assert (opened.salt, opened.name, opened.value) == ("_26bc4LT-ac6q2KI6cBW5es", "family_name", "Möbius")
    assert opened.digest == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


def test_equal_values_leave_no_equal_traces() -> None:
    seen: set[str] = set()
    for index in range(50):
        made = leaf.make(Draft("probe.result", {"a": "same", "b": "same"}), index, 1, None)
        seen.update(leaf.read_header(made.stored.leaf)._sd)
        salts = {leaf.read_disclosure(text).salt for text in made.entry.disclosures}
        assert len(salts) == 2
        assert all(len(urlsafe_b64decode(salt + "==")) == 16 for salt in salts)
    assert len(seen) == 100


def test_no_value_is_in_the_leaf() -> None:
    made = leaf.make(Draft("probe.result", {"name": "Grace Hopper"}, "s"), 0, 1, 1)
    assert b"Grace" not in made.stored.leaf
    assert b"name" not in made.stored.leaf


def test_a_large_field_goes_to_the_blob_store() -> None:
    small, large = "x" * (MAX_FIELD_BYTES - 2), "x" * (MAX_FIELD_BYTES - 1)
    made = leaf.make(Draft("probe.result", {"small": small, "large": large}), 0, 1, None)
    digest = canonical.digest(large)
    assert made.entry.fields == {"small": small, "large": {"blob": digest, "size": MAX_FIELD_BYTES + 1}}
    assert made.blobs == {digest: canonical.dumps(large)}
    assert leaf.read(made.stored) == made.entry


def test_a_blob_under_a_false_name_is_refused() -> None:
    data = b"content"
    assert leaf.make(Draft("probe.result", blobs={canonical.digest_bytes(data): data}), 0, 1, None).blobs
    with pytest.raises(DraftMalformed, match="has the digest"):
        leaf.make(Draft("probe.result", blobs={canonical.digest_bytes(b"other"): data}), 0, 1, None)


def test_a_leaf_that_does_not_fit_is_refused_in_words() -> None:
    fits = {f"f{i}": i for i in range(1420)}
    assert len(leaf.make(Draft("probe.result", fits), 0, 1, None).stored.leaf) <= MAX_LEAF_BYTES
    with pytest.raises(EntryTooLarge, match=r"1430 fields.*65535 is the limit"):
        leaf.make(Draft("probe.result", {f"f{i}": i for i in range(1430)}), 0, 1, None)


@pytest.mark.parametrize("name", ["", "_sd", "_sd_alg", "...", "é", "a\n", "x" * 65, 5])
def test_a_bad_field_name_is_refused(name: Any) -> None:
    with pytest.raises(DraftMalformed):
        leaf.make(Draft("probe.result", {name: 1}), 0, 1, None)


@pytest.mark.parametrize("session", ["", "é", "a\n", "\0", "x" * 129])
def test_a_bad_session_is_refused(session: str) -> None:
    with pytest.raises(DraftMalformed):
        leaf.make(Draft("probe.result", {}, session), 0, 1, 1)


def test_an_unknown_type_is_refused_when_written_and_when_read() -> None:
    with pytest.raises(UnknownType):
        leaf.make(Draft("permit.forged"), 0, 1, None)
    with pytest.raises(UnknownType):
        leaf.read_strictly(LEAF.replace(b"probe.result", b"permit.forged"))


MADE = leaf.make(Draft("probe.result", {"a": 1, "b": 2}, "s"), 3, 5, 2)
LEAF = MADE.stored.leaf


@pytest.mark.parametrize("version", [b"2", b"0", b'"1"', b"1.5", b"null"])
def test_an_unknown_version_is_refused_as_such(version: bytes) -> None:
    leaf.read_strictly(LEAF)
    with pytest.raises(UnknownVersion, match="Entry 3 has format version"):
        leaf.read_strictly(LEAF.replace(b'"v":1', b'"v":' + version))


def test_a_newer_leaf_with_members_we_do_not_know_is_an_unknown_version_not_damage() -> None:
    with pytest.raises(UnknownVersion):
        leaf.read_strictly(b'{"new":{"x":1},"v":2}')


DIGESTS = re.findall(rb'"([\w-]{43})"', LEAF)


@pytest.mark.parametrize(
    "changed",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        LEAF[:-1],
        LEAF + b" ",
        LEAF.replace(b'"v":1', b'"v": 1'),
        LEAF.replace(b'"v":1', b'"v":1,"v":1'),
        LEAF.replace(b'"v":1', b'"v":1,"w":1'),
        LEAF.replace(b'"index":3', b'"index":3.0'),
        LEAF.replace(b'"index":3', b'"index":-3'),
        LEAF.replace(b'"index":3', b'"index":"3"'),
        LEAF.replace(b'"n":2,', b""),
        LEAF.replace(b'"n":2', b'"n":0'),
        LEAF.replace(b'"n":2', b'"n":null'),
        LEAF.replace(b'"session":"s",', b""),
        LEAF.replace(b"sha-256", b"sha-512"),
        LEAF.replace(b"type", b"kind"),
        LEAF.replace(DIGESTS[0], b"~").replace(DIGESTS[1], DIGESTS[0]).replace(b"~", DIGESTS[1]),
        LEAF.replace(DIGESTS[0], DIGESTS[1]),
        LEAF.replace(DIGESTS[0], b"\x2d" + DIGESTS[0]),
        LEAF.replace(b"probe", b"\\u0070robe"),
        b"[" * 100_000,
    ],
)
def test_a_leaf_that_is_not_exactly_one_is_refused(changed: bytes) -> None:
    assert changed != LEAF
    with pytest.raises(EntryMalformed):
        leaf.read_strictly(changed)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200) | JSON.map(lambda value: canonical.dumps(value)))
def test_any_bytes_are_a_leaf_or_refused_in_words(data: bytes) -> None:
    try:
        leaf.read_strictly(data)
    except (EntryMalformed, UnknownVersion, UnknownType):
        pass


def test_withheld_fields_are_absent_and_harm_nothing() -> None:
    header = leaf.read_header(LEAF)
    assert leaf.open_fields(header, MADE.entry.disclosures) == {"a": 1, "b": 2}
    assert leaf.open_fields(header, MADE.entry.disclosures[1:]) == {"b": 2}
    assert leaf.open_fields(header, ()) == {}


def test_a_disclosure_that_was_not_committed_to_is_refused() -> None:
    header = leaf.read_header(LEAF)
    forged = unpadded(json.dumps([leaf.read_disclosure(MADE.entry.disclosures[0]).salt, "a", 9]).encode())
    with pytest.raises(EntryMalformed, match="does not commit to"):
        leaf.open_fields(header, [forged])
    with pytest.raises(EntryMalformed, match="twice"):
        leaf.open_fields(header, [MADE.entry.disclosures[0]] * 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "é",
        "!!!!",
        "W10",
        "WzFd",
        unpadded(b'["s",1,2]'),
        unpadded(b'["s","n"]'),
        unpadded(b"[" * 9999),
        "WyJz",
    ],
)
def test_a_malformed_disclosure_is_refused(text: str) -> None:
    with pytest.raises(EntryMalformed):
        leaf.read_disclosure(text)


@pytest.mark.parametrize(
    "change",
    [
        {"index": 4},
        {"time": 6},
        {"type": "log.opened"},
        {"session": "t"},
        {"n": 3},
        {"session": None, "n": None},
    ],
)
def test_a_store_that_says_otherwise_beside_the_leaf_is_not_believed(change: dict[str, Any]) -> None:
    stored = MADE.stored
    parts = {name: getattr(stored, name) for name in StoredEntry.__struct_fields__} | change
    with pytest.raises(EntryMalformed, match="the store beside it"):
        leaf.read(StoredEntry(**parts))
