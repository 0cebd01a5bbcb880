"""Promise 5: a permit is for one digest at one gate until it expires, and nobody else can write one."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from keyturn import canonical
from keyturn.approvals.permit import (
    DOMAIN,
    Claims,
    PermitExpired,
    PermitForged,
    PermitOtherBytes,
    PermitOtherGate,
    PermitRefused,
    PermitUsed,
    check,
    open_token,
    sign,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key()
CLAIMS = Claims("p_1", "a_1", "sha256:aa", "hooks:claude-code@host", "sha256:bb", 1_000, 2_000, "r_1")
TOKEN = sign(CLAIMS, KEY)


def written(body: bytes, key: Ed25519PrivateKey = KEY, domain: bytes = DOMAIN) -> str:
    """A token over any bytes at all."""
    encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()  # noqa: E731
    return f"{encode(body)}.{encode(key.sign(domain + body))}"


texts = st.text(max_size=20)
times = st.integers(0, 2**52)


@given(st.builds(Claims, texts, texts, texts, texts, texts, times, times, st.none() | texts))
def test_a_permit_reads_back_as_signed(claims: Claims) -> None:
    assert open_token(sign(claims, KEY), PUBLIC) == claims


def test_a_genuine_permit_is_accepted() -> None:
    """Negative control of all refusals below: nothing but the one flipped thing refuses."""
    check(open_token(TOKEN, PUBLIC), digest="sha256:aa", gate="hooks:claude-code@host", now_ms=1_999)
    assert open_token(written(canonical.dumps(to_builtins(CLAIMS))), PUBLIC) == CLAIMS


@pytest.mark.parametrize("field", list(Claims.__struct_fields__))
def test_a_permit_with_a_changed_field_is_forged(field: str) -> None:
    value = getattr(CLAIMS, field)
    changed = replace(CLAIMS, **{field: value + 1 if isinstance(value, int) else f"{value}x"})
    body = base64.urlsafe_b64encode(canonical.dumps(to_builtins(changed))).rstrip(b"=").decode()
    with pytest.raises(PermitForged):
        open_token(body + "." + TOKEN.partition(".")[2], PUBLIC)


def test_every_flipped_bit_of_a_token_is_refused() -> None:
    data = TOKEN.encode()
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            with pytest.raises(PermitForged):
                open_token(flipped.decode("latin-1"), PUBLIC)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        TOKEN.partition(".")[0],
        TOKEN + "=",
        TOKEN + ".x",
        " " + TOKEN,
        TOKEN.replace(".", "=."),
        "x" * 9000,
        "é.é",
    ],
)
def test_what_has_not_the_form_of_a_permit_is_refused(token: str) -> None:
    with pytest.raises(PermitForged):
        open_token(token, PUBLIC)


def test_another_key_or_another_purpose_signs_no_permit() -> None:
    body = canonical.dumps(to_builtins(CLAIMS))
    for token in (
        written(body, OTHER_KEY),
        written(body, domain=b"keyturn/approval/v1\n"),
        written(body, domain=b""),
    ):
        with pytest.raises(PermitForged):
            open_token(token, PUBLIC)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(to_builtins(CLAIMS)).encode(),  # same claims, other spelling
        canonical.dumps({**to_builtins(CLAIMS), "extra": 1}),
        canonical.dumps({**to_builtins(CLAIMS), "v": 2}),
        canonical.dumps({k: v for k, v in to_builtins(CLAIMS).items() if k != "gate"}),
        canonical.dumps({k: v for k, v in to_builtins(CLAIMS).items() if k != "v"}),
        b"\xff",
        b"[]",
    ],
)
def test_claims_of_another_form_are_refused_even_when_signed(body: bytes) -> None:
    with pytest.raises(PermitForged):
        open_token(written(body), PUBLIC)


@pytest.mark.parametrize(
    "asked, refusal",
    [
        ({"digest": "sha256:ab"}, PermitOtherBytes),
        ({"gate": "hooks:codex@host"}, PermitOtherGate),
        ({"now_ms": 2_000}, PermitExpired),
        ({"now_ms": 2_001}, PermitExpired),
    ],
)
def test_other_bytes_another_gate_and_late_use_are_each_refused_by_name(
    asked: dict[str, object], refusal: type[PermitRefused]
) -> None:
    genuine = {"digest": CLAIMS.digest, "gate": CLAIMS.gate, "now_ms": 1_999}
    check(CLAIMS, **genuine)  # type: ignore[arg-type]
    with pytest.raises(refusal):
        check(CLAIMS, **{**genuine, **asked})  # type: ignore[arg-type]


def test_each_refusal_has_its_own_code() -> None:
    kinds = (PermitForged, PermitExpired, PermitOtherBytes, PermitOtherGate, PermitUsed)
    assert [kind.code for kind in kinds] == [
        "permit.forged", "permit.expired", "permit.other_bytes", "permit.other_gate", "permit.used",
    ]  # fmt: skip
