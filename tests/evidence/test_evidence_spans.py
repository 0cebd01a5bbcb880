"""How a pack reads entries: what it heard before changes nothing of what it makes of an entry."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_evidence_walk import BENT, SALT, written

from keyturn.evidence import spans
from keyturn.evidence.log_reading import Log

VALUES = st.one_of(
    st.text(max_size=3),
    st.sampled_from(("action", "plan", "key")),
    st.fixed_dictionaries({"blob": st.sampled_from(("sha256:" + "0" * 64, "x")), "size": st.just(1)}),
    st.fixed_dictionaries({"policy": st.just("sha256:" + "a" * 64), "n": st.integers(0, 2)}),
)
DISCLOSURES = st.builds(
    lambda salt, name, value: written(json.dumps([salt, name, value], separators=(",", ":"))),
    st.sampled_from((SALT, SALT[::-1], "short")),
    st.sampled_from(("subject", "content", "action", "reason", "shown", "policy", "id", "no\u00fcr")),
    VALUES,
)
ENTRIES = st.tuples(
    st.sampled_from(("request.opened", "approval.given", "finding.opened", "session.opened")),
    st.lists(st.one_of(DISCLOSURES, DISCLOSURES, DISCLOSURES, BENT), max_size=5),
)


class NoBlobs:
    """A log that has no contents."""

    def blob(self, digest: str) -> bytes | None:
        return None


def reader(*, whole: bool) -> spans.Reader:
    return spans.Reader(cast(Log, NoBlobs()), 0, whole, "")


def made(one: spans.Reader, kind: str, texts: list[bytes]) -> Any:
    """What comes of an entry: fields, disclosures, blobs; or what is wrong with it."""
    one._blobs = (set(), set(), set())
    try:
        fields, kept = one._thoroughly(kind, texts)
    except Exception as error:
        return type(error), str(error)
    return dict(fields), kept, one._blobs


@given(st.lists(ENTRIES, max_size=5), st.booleans())
def test_what_was_heard_before_changes_nothing(entries: list[tuple[str, list[bytes]]], whole: bool) -> None:
    hears, forgets = reader(whole=whole), reader(whole=whole)
    for kind, texts in [*entries, *entries]:
        forgets._heard.clear()
        assert made(hears, kind, texts) == made(forgets, kind, texts)


def test_what_was_heard_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the test above would hold of a reader that remembers nothing."""
    one = reader(whole=True)
    first, second = (
        written(json.dumps([salt, "policy", {"n": 1}], separators=(",", ":"))) for salt in (SALT, SALT[::-1])
    )
    expected = made(one, "finding.opened", [first])
    monkeypatch.setattr(one, "_named", None)
    assert made(one, "finding.opened", [second])[0] == expected[0] == {"policy": {"n": 1}}
    assert made(one, "finding.opened", [second])[1] == [second]
