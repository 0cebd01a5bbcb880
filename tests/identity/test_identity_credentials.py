"""Signed tokens: what is not ours, altered, late, another log's or another algorithm's opens nothing. Each with its good twin."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OKPKey

from keyturn.errors import Malformed
from keyturn.identity import credentials as rules
from keyturn.identity.credentials import Claims

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
ORIGIN = "keyturn.example/log"
NOW = 1_800_000_000_000
AGENT = Claims(
    "c_1", "agent:coder", NOW, NOW + 60_000, "dana", ("agent:coder", "agent:planner"), ("shell",), "A" * 43
)
GATE = Claims("c_2", "gate:ci", NOW, NOW + 60_000)


@pytest.mark.parametrize(
    "claims", [AGENT, GATE, Claims("c_3", "agent:x", NOW, NOW + 1000, None, ("agent:x",))]
)
def test_what_was_signed_is_read_again(claims: Claims) -> None:
    token = rules.sign(claims, KEY, ORIGIN)
    assert rules.open_token(token, KEY.public_key(), ORIGIN, NOW) == claims
    assert rules.looks_signed(token)


def test_the_chain_is_that_of_rfc_8693() -> None:
    body = json.loads(_b64(rules.sign(AGENT, KEY, ORIGIN).split(".")[1]))
    assert body["sub"] == "person:dana"
    assert body["act"] == {"sub": "agent:coder", "act": {"sub": "agent:planner"}}
    assert body["cnf"] == {"x5t#S256": "A" * 43}


@pytest.mark.parametrize(
    ("key", "origin", "now", "code"),
    [
        (OTHER, ORIGIN, NOW, "credential.forged"),
        (KEY, "another.example/log", NOW, "credential.forged"),
        (KEY, ORIGIN, NOW + 60_000, "credential.expired"),
    ],
)
def test_another_key_another_log_and_a_late_one_open_nothing(
    key: Ed25519PrivateKey, origin: str, now: int, code: str
) -> None:
    token = rules.sign(GATE, key, origin)
    with pytest.raises(rules.CredentialRefused) as refused:
        rules.open_token(token, KEY.public_key(), ORIGIN, now)
    assert refused.value.code == code
    assert rules.open_token(rules.sign(GATE, KEY, ORIGIN), KEY.public_key(), ORIGIN, NOW + 59_999), "the twin"


def _b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def body(**changes: Any) -> dict[str, Any]:
    good = {
        "iss": ORIGIN,
        "aud": ORIGIN,
        "jti": "c_2",
        "iat": NOW // 1000,
        "exp": NOW // 1000 + 60,
        "sub": "gate:ci",
        "scope": "",
    }
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def signed(payload: dict[str, Any], **header: Any) -> str:
    key = OKPKey.import_key(rules._private(KEY).as_dict(private=True))
    return jwt.encode({"alg": "Ed25519", "typ": "at+jwt", **header}, payload, key, algorithms=["Ed25519"])


def _hmac(secret: bytes) -> str:
    """By hand: no library helps with this attack any more."""
    head = f"{_text({'alg': 'HS256', 'typ': 'at+jwt'})}.{_text(body())}"
    mac = hmac.digest(secret, head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_an_algorithm_named_in_the_token_is_never_obeyed() -> None:
    """alg none, and HMAC with the public key as secret (RFC 8725 §2.1)."""
    public = rules._public(KEY.public_key())
    none = f"{_text({'alg': 'none', 'typ': 'at+jwt'})}.{_text(body())}."
    secrets = [public.as_pem(), KEY.public_key().public_bytes_raw(), json.dumps(public.as_dict()).encode()]
    confused = [_hmac(secret) for secret in secrets]
    for token in (none, *confused):
        with pytest.raises(rules.CredentialForged):
            rules.open_token(token, KEY.public_key(), ORIGIN, NOW)
    assert rules.open_token(signed(body()), KEY.public_key(), ORIGIN, NOW) == GATE, "negative control"


@pytest.mark.parametrize(
    "payload",
    [
        body(aud="elsewhere"), body(aud=[ORIGIN]), body(iss=None), body(exp=None), body(exp="1"), body(exp=True), body(jti=None),
        body(jti=7), body(act="x"), body(act={}), body(act={"sub": 1}), body(cnf="x"), body(cnf={"x5t#S256": 1}), body(scope=1),
        body(exp=1.5), body(iat=None),
        body(act={"sub": "agent:1", "act": {"sub": "agent:2", "act": {"sub": "agent:3", "act": {"sub": "agent:4",
             "act": {"sub": "agent:5", "act": {"sub": "agent:6"}}}}}}),
    ],
)  # fmt: skip
def test_claims_of_another_shape_are_refused_though_the_signature_is_ours(payload: dict[str, Any]) -> None:
    with pytest.raises(rules.CredentialForged):
        rules.open_token(signed(payload), KEY.public_key(), ORIGIN, NOW)


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "at+jwt", "crit": ["b64"], "b64": True}])
def test_a_token_of_another_type_is_none(header: dict[str, Any]) -> None:
    with pytest.raises(rules.CredentialForged):
        rules.open_token(signed(body(), **header), KEY.public_key(), ORIGIN, NOW)


@given(
    st.text(max_size=300)
    | st.binary(max_size=300).map(lambda raw: base64.urlsafe_b64encode(raw).decode() + ".e30.x")
)
def test_no_text_is_taken_for_a_token(text: str) -> None:
    with pytest.raises(rules.CredentialRefused):
        rules.open_token(text, KEY.public_key(), ORIGIN, NOW)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_altered_byte_goes_unnoticed(place: int, change: int) -> None:
    token = rules.sign(AGENT, KEY, ORIGIN)
    raw = bytearray(token.encode())
    raw[place % len(raw)] ^= change
    altered = raw.decode("latin-1")
    try:
        same = rules.open_token(altered, KEY.public_key(), ORIGIN, NOW)
    except rules.CredentialRefused:
        return
    # The last character of base64url has spare bits: another spelling of the same bytes says the same.
    assert same == AGENT
    assert _b64(altered.split(".")[2]) == _b64(token.split(".")[2])


SCOPES = st.lists(st.sampled_from(rules.AGENT_SCOPES), unique=True)


@given(SCOPES, SCOPES, st.integers(0, 10**13), st.integers(0, 10**13))
def test_an_exchange_never_widens(have: list[str], asked: list[str], ends: int, asked_end: int) -> None:
    try:
        scopes, end = rules.narrowed(have, asked, ends, asked_end)
    except rules.CredentialScope:
        assert not set(asked) <= set(have)
        return
    assert set(scopes) <= set(have)
    assert set(scopes) == set(asked or have)
    assert end <= ends
    assert end <= asked_end


def test_a_chain_has_an_end() -> None:
    actors: tuple[str, ...] = ()
    for number in range(rules.MAX_DEPTH):
        actors = rules.deeper(actors, f"agent:{number}")
    with pytest.raises(rules.CredentialTooDeep):
        rules.deeper(actors, "agent:more")
    assert actors[0] == f"agent:{rules.MAX_DEPTH - 1}", "who acts now is the first"


def test_no_agent_and_no_gate_can_be_given_a_scope_with_which_people_decide() -> None:
    """Promise 6, with the person as negative control."""
    for kind in ("agent", "gate"):
        for scope in rules.PERSON_SCOPES:
            with pytest.raises(Malformed):
                rules.check_scopes(kind, [scope])  # type: ignore[arg-type]
    assert rules.check_scopes("person", ["approve", "read"]) == ("read", "approve")


def test_a_token_bound_to_a_certificate_is_nothing_without_it() -> None:
    with pytest.raises(rules.CredentialUnbound):
        rules.check_binding("A" * 43, "")
    with pytest.raises(rules.CredentialUnbound):
        rules.check_binding("A" * 43, "B" * 43)
    rules.check_binding("A" * 43, "A" * 43)
    rules.check_binding("", "B" * 43)


@pytest.mark.parametrize(
    ("scopes", "wanted", "may"),
    [
        (("read",), "read", True), (("read",), "approve", False), (("approve",), "read", True), (("approve",), "deny", False),
        (("deny",), "approve", False), (("deny",), "manage", False), (("manage",), "approve", False), (("delegate",), "read", False),
    ],
)  # fmt: skip
def test_what_a_persons_scopes_allow(scopes: tuple[str, ...], wanted: str, may: bool) -> None:
    assert rules.permits(scopes, wanted) is may


@pytest.mark.parametrize("seconds", [0, -1, 8 * 86_400])
def test_nothing_lasts_for_ever(seconds: int) -> None:
    with pytest.raises(Malformed):
        rules.lifetime("gate", seconds)
    assert rules.lifetime("gate", None) == 86_400_000
    assert rules.lifetime("person", 8 * 86_400) == 8 * 86_400_000
