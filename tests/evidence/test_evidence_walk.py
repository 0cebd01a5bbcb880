"""How `verify.py` takes a bundle apart: what is read of many disclosures at once is what is read of each alone."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_folder import small_world, write_log

from keyturn.evidence.program import columns
from keyturn.evidence.program import log as walk
from keyturn.evidence.program.checks import Verification, fields_of
from keyturn.evidence.program.rows import MAKERS

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


def plainly(parts: list[bytes]) -> dict[bytes, walk.Opened]:
    """What is opened of these together."""
    return walk._plainly([part[36:] for part in parts])


def alone(part: bytes) -> object:
    """What the disclosure says when it is opened by itself; None if it can't be."""
    walk._seen.clear()
    try:
        return walk._opened(part[36:])
    except (ValueError, RecursionError):
        return None


@given(st.lists(st.one_of(DISCLOSURES, DISCLOSURES, BENT), max_size=12))
def test_what_is_opened_together_is_what_each_says_alone(parts: list[bytes]) -> None:
    for after, opened in plainly(parts).items():
        one = next(part for part in parts if part[36:] == after)
        assert opened == alone(one)


def test_what_is_plain_is_opened_together() -> None:
    """The negative control: the test above would hold of a program that opens nothing."""
    parts = [
        written(json.dumps([SALT, name, value], separators=(",", ":")))
        for name in ("id", "ran")
        for value in ("x" * n for n in range(9))
    ]
    assert len(plainly(parts)) == len(parts)
    held = written(json.dumps([SALT, "action", {"kind": "shell"}], separators=(",", ":")))
    assert len(plainly([*parts, held])) == len(parts)


def test_one_that_is_cut_in_two_leaves_all_to_be_opened_alone() -> None:
    sound = written(f'["{SALT}","id","a"]')
    for text in (f'["{SALT}","id","a"]\0action","b"]', f'["{SALT}","id","a\0"]'):
        assert plainly([sound, written(text)]) == {}
    assert plainly([sound, sound[:36] + b'"' + sound[36:]]).keys() <= {sound[36:]}


@pytest.mark.parametrize("value", ["", "x", "xy"])
@pytest.mark.parametrize("more", ["\0", "\0\0", "\0\0\0"])
def test_a_zero_byte_behind_one_is_its_own_and_no_room_between_two(value: str, more: str) -> None:
    sound, bent = (written(f'["{SALT}","id","{value}"]{end}') for end in ("", more))
    assert sound[36:] in plainly([sound, bent])
    assert bent[36:] not in plainly([sound, bent])
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
    assert found.span is not None
    assert any("entry 7" in where and f"version {version}" in words for where, words in found.span.problems)


# --- a whole bundle ----------------------------------------------------------------------------------------------


class Made(NamedTuple):
    """An entry: its type, its session with its number, how much later it is, its disclosures, and what it withholds."""

    kind: str
    session: tuple[str, int] | None
    later: int
    parts: list[bytes]
    hidden: list[bytes]


ENTRIES = st.builds(
    Made,
    st.sampled_from(("action.receipt", "permit.consumed", "gate.heartbeat", "session.closed", "no.such")),
    st.none() | st.tuples(st.sampled_from(("s-1", "s]{", 'q"')), st.sampled_from((0, 0, 0, 0, 1, -1))),
    st.sampled_from((0, 0, 1, 7, -1)),
    st.lists(st.one_of(DISCLOSURES, DISCLOSURES, DISCLOSURES, BENT), max_size=5),
    st.lists(st.binary(min_size=1, max_size=2), max_size=3, unique=True),
)
SOUND = st.builds(
    lambda kind, parts, hidden: Made(kind, ("s-1", 0), 1, parts, hidden),
    st.sampled_from(("action.receipt", "permit.consumed", "gate.heartbeat")),
    st.lists(DISCLOSURES, max_size=5, unique=True),
    st.lists(st.binary(min_size=1, max_size=2), max_size=3, unique=True),
)


def digest(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=")


def bundle(entries: list[Made], first: int) -> tuple[bytes, bytes]:
    """The leaves with their lengths, and the lines."""
    data, lines, numbers, time = b"", b"", dict[str, int](), 1000
    for index, one in enumerate(entries, first):
        time += one.later
        digests = sorted({digest(part) for part in (*one.parts, *one.hidden)})
        place = b""
        if one.session:
            name, off = one.session
            numbers[name] = numbers.get(name, 0) + 1 + off
            place = b',"n":%d,"session":%s' % (numbers[name], json.dumps(name).encode())
        quoted = b",".join(b'"%s"' % each for each in digests)
        leaf = b'{"_sd":[%s],"_sd_alg":"sha-256","index":%d%s,"time":%d,"type":"%s","v":1}' % (
            quoted, index, place, time, one.kind.encode(),
        )  # fmt: skip
        data += len(leaf).to_bytes(2, "big") + leaf
        lines += (b'["' + b'","'.join(one.parts) + b'"]\n') if one.parts else b"[]\n"
    return data, lines


class Bundles:
    """A log's files that are some bundles, with tiles that are empty."""

    def __init__(self, made: list[tuple[bytes, bytes]]) -> None:
        self._made = made

    def read(self, name: str, limit: int) -> bytes:
        kind, number = name.split("/")[1], int(name.split("/")[2][:3])
        return b"" if kind == "0" else self._made[number][kind == "disclosures"]


def walked(made: list[tuple[bytes, bytes]], size: int, *, together: bool) -> Any:
    """All that comes of walking through them, at once where that can be or entry by entry."""
    seen: list[Any] = []
    wanted = {kind: fields_of(kind) for kind in MAKERS}
    walk._seen.clear()
    with pytest.MonkeyPatch.context() as patch:
        if not together:
            patch.setattr(walk, "columns_of", lambda *given: None)
        one = walk.Walk(Bundles(made), size, wanted, lambda *shown: seen.append(shown))
        for number in range(len(made)):
            one.bundle(number)
    return seen, vars(one.span)


@given(
    st.lists(ENTRIES, min_size=1, max_size=6),
    st.none() | st.tuples(st.booleans(), st.integers(0, 10**6), st.integers(0, 2), st.binary(max_size=3)),
)
def test_what_is_found_of_a_bundle_at_once_is_what_is_found_entry_by_entry(
    entries: list[Made], bent: tuple[bool, int, int, bytes] | None
) -> None:
    made = list(bundle(entries, 0))
    if bent:
        which, at, gone, put = bent
        text = made[which]
        at %= len(text)
        made[which] = text[:at] + put + text[at + gone :]
    files = [(made[0], made[1])]
    assert walked(files, len(entries), together=True) == walked(files, len(entries), together=False)


@given(st.lists(SOUND, min_size=1, max_size=6))
def test_a_sound_bundle_is_taken_apart_at_once(entries: list[Made]) -> None:
    """The negative control: the test above would hold of a program that takes nothing apart at once."""
    data, lines = bundle(entries, 0)
    found = columns.columns_of(data, lines, 0, len(entries), 1000)
    digests = [part for one in entries for part in (*one.parts, *one.hidden)]
    assert (found is not None) == (len(set(digests)) == len(digests))
    assert columns.columns_of(data, lines, 0, len(entries), 1002) is None
    assert columns.columns_of(data, lines, 1, len(entries), 1000) is None
    assert columns.columns_of(data, lines[:-1], 0, len(entries), 1000) is None
    assert columns.columns_of(data + b"\0", lines, 0, len(entries), 1000) is None


def test_a_disclosure_of_the_entry_beside_it_is_found_at_once_and_refused() -> None:
    parts = [written(json.dumps([SALT, name, 1], separators=(",", ":"))) for name in ("id", "ran")]
    entries = [Made("action.receipt", None, 1, [part], []) for part in parts]
    data, lines = bundle(entries, 0)
    first, second = lines.splitlines(keepends=True)
    assert columns.columns_of(data, lines, 0, 2, 0) is not None
    for bent in (second + first, first + first, second + second, first + b"[]\n" + second):
        assert columns.columns_of(data, bent, 0, 2, 0) is None
        _, span = walked([(data, bent)], 2, together=True)
        assert [where for where, _ in span["problems"] if not where.startswith("tile/0/")]


def test_many_beginnings_of_leaves_without_an_end_cost_no_more_than_their_length() -> None:
    data = columns._BEGINS * 300_000
    assert columns.columns_of(data, b"[]\n" * 256, 0, 256, 0) is None
