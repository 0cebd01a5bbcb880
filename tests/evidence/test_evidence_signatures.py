"""The signatures of `verify.py`: what it works out with doubles that it keeps is what the textbook's way gives, bit by bit."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from keyturn.evidence import verify_approvals as program

P, L = program.P25519, program.L25519
SMALL = (
    b"\1" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes(32),
    bytes(31) + b"\x80",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
)
"""Points of orders 1, 2, 4, 4, 8 and 8."""
BENT = (
    b"\1" + bytes(30) + b"\x80",
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    P.to_bytes(32, "little"),
    (P + 1).to_bytes(32, "little"),
    b"\xff" * 32,
    b"\2" + bytes(31),
)
"""Other spellings of points, and no points."""


def ladder(n: int, point: tuple[int, ...]) -> tuple[int, ...]:
    """n times a point, doubling and adding."""
    found: tuple[int, ...] = (0, 1, 1, 0)
    while n:
        if n & 1:
            found = program._add(found, point)
        point = program._add(point, point)
        n >>= 1
    return found


def textbook(public: bytes, signature: bytes, message: bytes) -> bool:
    """RFC 8032 §5.1.7, without the cofactor: both sides are points, and compared as such."""
    a, r = program._compressed(public), program._compressed(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = ladder(s, program.B25519), program._add(r, ladder(h, a))
    return all((left[at] * right[2] - right[at] * left[2]) % P == 0 for at in (0, 1))


@cache
def key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


@given(st.integers(0, 3), st.integers(0, 3), st.binary(max_size=40), st.integers(0, 511))
def test_a_signature_holds_for_its_own_key_and_text_alone(
    mine: int, other: int, message: bytes, bit: int
) -> None:
    public, signature = key(mine).public_key().public_bytes_raw(), key(mine).sign(message)
    assert program.ed25519(public, signature, message)
    another = key(other).public_key().public_bytes_raw()
    assert program.ed25519(another, signature, message) == (mine == other)
    bent = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not program.ed25519(public, bent, message)


@given(
    st.one_of(st.sampled_from(SMALL + BENT), st.binary(min_size=32, max_size=32)),
    st.one_of(st.sampled_from(SMALL + BENT), st.binary(min_size=32, max_size=32)),
    st.one_of(st.sampled_from((0, 1, 8, L - 1, L, L + 1, 2**256 - 1)), st.integers(0, 2**256 - 1)),
    st.binary(max_size=4),
)
def test_strange_points_and_numbers_are_judged_as_the_textbook_does(
    public: bytes, first: bytes, s: int, message: bytes
) -> None:
    signature = first + s.to_bytes(32, "little")
    assert program.ed25519(public, signature, message) == textbook(public, signature, message)


def test_some_strange_ones_hold_and_others_do_not() -> None:
    """The negative control: the test above would hold of two programs that refuse everything, or nothing."""
    said = {
        program.ed25519(public, first + bytes(32), bytes([text]))
        for public in SMALL
        for first in SMALL + BENT
        for text in range(8)
    }
    assert said == {True, False}
    for first in BENT:
        assert not any(program.ed25519(public, first + bytes(32), b"x") for public in SMALL)


@given(st.integers(0, 2**255 - 1))
def test_many_times_a_point_is_what_adding_gives(n: int) -> None:
    found, wanted = program._times(n, program.B25519), ladder(n, program.B25519)
    assert all((found[at] * wanted[2] - wanted[at] * found[2]) % P == 0 for at in (0, 1))


@pytest.mark.parametrize("seed", range(1, 5))
def test_its_p256_agrees_with_cryptographys(seed: int) -> None:
    secret = ec.derive_private_key(seed**9, ec.SECP256R1())
    point = secret.public_key().public_numbers()
    for text in (b"", b"a", b"b" * 300):
        der = secret.sign(text, ec.ECDSA(SHA256()))
        r, s = utils.decode_dss_signature(der)
        assert program.p256(point.x, point.y, r, s, text)
        for bent in ((r ^ 1, s), (r, s ^ 2), (s, r), (r + program.N256, s), (r, 0)):
            assert not program.p256(point.x, point.y, *bent, text)
        with pytest.raises(InvalidSignature):
            secret.public_key().verify(utils.encode_dss_signature(r, s ^ 2), text, ec.ECDSA(SHA256()))
        assert not program.p256(point.x, point.y ^ 1, r, s, text)
