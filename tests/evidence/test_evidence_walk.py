"""How `verify.py` takes a bundle apart: what is read of many disclosures at once is what is read of each alone."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_folder import small_world, write_log

from keyturn.evidence.program import log as walk
from keyturn.evidence.program.checks import Verification

SALT = "c2FsdHNhbHRzYWx0c2FsdA"
NAMES = (
    "action",
    "actor",
    "call",
    "digest",
    "id",
    "idle",
    "number",
    "permit",
    "ran",
    "request",
    "since",
    "verdict",
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from('ab"],\0\\\n'), max_size=12),
    st.integers(-5, 10**16),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just({"blob": "sha256:" + "0" * 64, "size": 1}),
)
DISCLOSURES = st.builds(
    lambda name, value, plain: written(
        json.dumps([SALT, name, value], separators=(",", ":"), ensure_ascii=plain)
    ),
    st.sampled_from(NAMES),
    VALUES,
    st.booleans(),
)
BENT = st.builds(
    lambda part, at, put, tail: part[: max(40, at)] + put + part[max(40, at) :] + tail,
    DISCLOSURES,
    st.integers(40, 90),
    st.sampled_from([b"", b"A", b"AA", b'"', b"\0", b"=", b"AAAA", b" "]),
    st.sampled_from([b"", b"A", b"AB", b'"', b"="]),
)
"""What nobody wrote by accident: letters, quotes and bytes put in behind a name's beginning."""


def written(text: str) -> bytes:
    """A disclosure as leaves commit to it."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=")


def alone(part: bytes) -> object:
    """What the disclosure says when it is opened by itself; None if it can't be."""
    walk._seen.clear()
    try:
        return walk._opened(part)
    except (ValueError, RecursionError):
        return None


@given(st.lists(st.one_of(DISCLOSURES, DISCLOSURES, BENT), max_size=12))
def test_what_is_opened_together_is_what_each_says_alone(parts: list[bytes]) -> None:
    for after, opened in walk._plainly(parts).items():
        one = next(part for part in parts if part[36:] == after)
        assert opened == alone(one)


def test_what_is_plain_is_opened_together() -> None:
    """The negative control: the test above would hold of a program that opens nothing."""
    parts = [
        written(json.dumps([SALT, name, value], separators=(",", ":")))
        for name in ("id", "ran")
        for value in ("x" * n for n in range(9))
    ]
    assert len(walk._plainly(parts)) == len(parts)
    held = written(json.dumps([SALT, "action", {"kind": "shell"}], separators=(",", ":")))
    assert len(walk._plainly([*parts, held])) == len(parts)


def test_one_that_is_cut_in_two_leaves_all_to_be_opened_alone() -> None:
    sound = written(f'["{SALT}","id","a"]')
    for text in (f'["{SALT}","id","a"]\0action","b"]', f'["{SALT}","id","a\0"]'):
        assert walk._plainly([sound, written(text)]) == {}
    assert walk._plainly([sound, sound[:36] + b'"' + sound[36:]]).keys() <= {sound[36:]}


@pytest.mark.parametrize("value", ["", "x", "xy"])
@pytest.mark.parametrize("more", ["\0", "\0\0", "\0\0\0"])
def test_a_zero_byte_behind_one_is_its_own_and_no_room_between_two(value: str, more: str) -> None:
    sound, bent = (written(f'["{SALT}","id","{value}"]{end}') for end in ("", more))
    assert sound[36:] in walk._plainly([sound, bent])
    assert bent[36:] not in walk._plainly([sound, bent])
    assert alone(bent) is None


@pytest.mark.parametrize("version", ["0", "2", "11"])
def test_an_entry_of_another_format_version_is_refused_in_words(tmp_path: Path, version: str) -> None:
    world = small_world(4)
    leaves = [one.stored.leaf for one in world.made]
    lines = [one.stored.disclosures for one in world.made]
    blobs = {digest: data for one in world.made for digest, data in one.blobs.items()}
    write_log(tmp_path / "sound", leaves, lines, blobs)
    sound = Verification(None, [])
    sound.run(str(tmp_path / "sound"))
    assert sound.code == 0  # negative control
    assert leaves[7].endswith(b'"v":1}')
    leaves[7] = leaves[7][: -len(b"1}")] + version.encode() + b"}"
    write_log(tmp_path / "log", leaves, lines, blobs)
    found = Verification(None, [])
    found.run(str(tmp_path / "log"))
    assert found.code == 7
    assert any("entry 7" in where and f"version {version}" in words for where, words in found.span.problems)
