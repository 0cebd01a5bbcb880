"""Promise 4: a statement is for one digest, one display, one person, one decision; nothing can be swapped under it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from keyturn.approvals import Statement, display_digest, make_statement, statement_bytes, statement_digest
from keyturn.approvals.statement import reason_digest
from keyturn.canonical import NotCanonical

STATEMENT = make_statement(
    log="log.example/1",
    request="r_1",
    digest="sha256:a",
    display="sha256:b",
    decision="approve",
    person="ana",
    reason="needed for the release",
    policy="sha256:c",
    nonce="n",
)


@pytest.mark.parametrize("field", list(Statement.__struct_fields__))
def test_every_field_is_covered(field: str) -> None:
    value = getattr(STATEMENT, field)
    changed = replace(STATEMENT, **{field: value + 1 if isinstance(value, int) else value + "x"})
    assert statement_digest(changed) != statement_digest(STATEMENT)


def test_the_statement_is_what_any_rfc8785_writer_would_sign() -> None:
    import rfc8785

    expected = b"keyturn/approval/v1\n" + rfc8785.dumps(to_builtins(STATEMENT))
    assert statement_bytes(STATEMENT) == expected
    assert statement_digest(STATEMENT) == "sha256:" + hashlib.sha256(expected).hexdigest()


def test_the_reason_enters_by_a_digest_that_cant_be_guessed_without_the_nonce() -> None:
    assert b"needed" not in statement_bytes(STATEMENT)
    assert STATEMENT.reason == reason_digest("needed for the release", "n")
    assert reason_digest("ok", "n1") != reason_digest("ok", "n2")


documents = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(-10, 10), max_size=4)


@given(documents, documents)
def test_other_documents_have_other_display_digests(one: dict[str, object], other: dict[str, object]) -> None:
    assert (display_digest(one) == display_digest(other)) == (one == other)


def test_a_display_digest_is_no_digest_of_anything_else() -> None:
    from keyturn import canonical

    assert display_digest({"a": 1}) != canonical.digest({"a": 1})


def test_what_cant_be_written_canonically_cant_be_shown_for_approval() -> None:
    with pytest.raises(NotCanonical):
        display_digest({"text": "\ud800"})
