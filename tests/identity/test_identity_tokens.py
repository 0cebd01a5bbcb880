"""Tokens are unguessable, kept hashed, told apart by purpose; login codes open one session, in time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.identity import (
    LoginRefused,
    check_person_id,
    hash_token,
    matches,
    new_token,
    open_login,
    redeem,
    token_prefix,
)
from keyturn.identity.names import InvalidName
from keyturn.identity.tokens import LOGIN_CODE_MS, PREFIXES


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_token_has_256_bits_and_says_what_it_is_for(prefix: str) -> None:
    tokens = {new_token(prefix) for _ in range(100)}  # type: ignore[arg-type]
    assert len(tokens) == 100
    for token in tokens:
        assert re.fullmatch(prefix + r"_[A-Za-z0-9_-]{43}", token)
        assert token_prefix(token) == prefix


def test_all_the_randomness_is_in_the_token() -> None:
    drawn: list[int] = []

    def source(size: int) -> bytes:
        drawn.append(size)
        return b"\xff" * size

    assert new_token("ktp", source) != new_token("ktp", bytes)
    assert drawn == [32]
    with pytest.raises(ValueError):
        new_token("kt")  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_text_of_another_form_is_no_token(text: str) -> None:
    assert token_prefix(text) is None
    assert token_prefix(new_token("ktp") + "\n") is None


@given(st.text(max_size=50), st.text(max_size=50))
def test_only_the_token_itself_matches_its_hash(one: str, other: str) -> None:
    assert matches(one, hash_token(one))
    assert matches(other, hash_token(one)) == (one == other)
    assert not matches(one, one)


def test_a_hash_does_not_hold_the_token() -> None:
    token = new_token("ktg")
    assert token[4:] not in hash_token(token)
    assert hash_token(token).startswith("sha256:")


def test_a_token_with_lone_surrogates_matches_nothing_and_breaks_nothing() -> None:
    assert not matches("ktp_\ud800", hash_token("ktp_"))
    assert not matches("ktp_", "\ud800")


def test_a_login_code_opens_one_session() -> None:
    code, kept = open_login("ana", 1_000)
    assert code not in repr(kept)
    used = redeem(kept, code, 2_000)
    assert (used.person, used.used_ms) == ("ana", 2_000)
    with pytest.raises(LoginRefused) as again:
        redeem(used, code, 2_001)
    assert again.value.why == "used"


@pytest.mark.parametrize(
    "now, opens",
    [(999, False), (1_000, True), (1_000 + LOGIN_CODE_MS - 1, True), (1_000 + LOGIN_CODE_MS, False)],
)
def test_a_login_code_expires_at_the_exact_instant(now: int, opens: bool) -> None:
    code, kept = open_login("ana", 1_000)
    if opens:
        assert redeem(kept, code, now).used_ms == now
    else:
        with pytest.raises(LoginRefused):
            redeem(kept, code, now)


def test_a_wrong_code_learns_nothing_about_why() -> None:
    code, kept = open_login("ana", 1_000)
    other, _ = open_login("ana", 1_000)
    said = set()
    for login, tried, now in [
        (kept, other, 1_001),
        (None, code, 1_001),
        (kept, code, 10**9),
        (redeem(kept, code, 1_001), code, 1_002),
    ]:
        with pytest.raises(LoginRefused) as refused:
            redeem(login, tried, now)
        said.add(str(refused.value.as_json()))
    assert len(said) == 1


def test_a_persons_id_that_is_no_name_is_refused_in_words() -> None:
    assert check_person_id("dana") == "dana"
    with pytest.raises(InvalidName, match=r"name\.invalid"):
        check_person_id("Dana Doe")
