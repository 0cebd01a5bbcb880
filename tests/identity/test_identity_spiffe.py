"""JWT-SVIDs with keys made here: each refusal beside the twin that is accepted."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from keyturn.errors import Malformed
from keyturn.identity import spiffe
from keyturn.identity.credentials import CredentialExpired, CredentialRefused

DOMAIN = "example.org"
US = "keyturn.example/log"
NOW = 1_800_000_000_000
RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
STRANGER = RSAKey.generate_key(2048)
WORKLOAD = "spiffe://example.org/ns/ci/sa/runner"


def public(key: RSAKey | ECKey, kid: str, use: str = "jwt-svid") -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": kid, "use": use}


def bundle(*keys: dict[str, Any]) -> spiffe.Bundle:
    listed = keys or (public(RSA, "rsa"), public(EC, "ec"), public(STRANGER, "x509", "x509-svid"))
    return spiffe.read_bundle(DOMAIN, json.dumps({"keys": list(listed)}).encode())


def svid(key: RSAKey | ECKey = RSA, header: dict[str, Any] | None = None, **claims: Any) -> str:
    body = {"sub": WORKLOAD, "aud": [US], "exp": NOW // 1000 + 60, **claims}
    head = {"alg": "RS256", "kid": "rsa", **(header or {})}
    body = {k: v for k, v in body.items() if v is not None}
    head = {k: v for k, v in head.items() if v is not None}
    return jwt.encode(head, body, key, algorithms=list(spiffe.ALGORITHMS))


@pytest.mark.parametrize(
    ("key", "header"),
    [(RSA, {}), (RSA, {"alg": "PS512"}), (EC, {"alg": "ES256", "kid": "ec"}), (RSA, {"typ": "JOSE"})],
)
def test_a_workload_of_the_domain_is_known(key: RSAKey | ECKey, header: dict[str, Any]) -> None:
    token = svid(key, header)
    assert spiffe.is_svid(token)
    assert spiffe.open_svid(token, bundle(), US, NOW) == spiffe.Svid(WORKLOAD, NOW + 60_000)
    assert spiffe.open_svid(svid(key, header, aud=US), bundle(), US, NOW).id == WORKLOAD


@pytest.mark.parametrize(
    "token",
    [
        svid(sub="spiffe://other.org/ns/ci/sa/runner"), svid(sub="spiffe://example.org.evil.org/x"), svid(sub="person:dana"),
        svid(sub="spiffe://example.org"), svid(sub="spiffe://example.org/"), svid(sub="spiffe://example.org/a//b"),
        svid(sub="spiffe://example.org/a/../b"), svid(sub="spiffe://user@example.org/a"), svid(sub="spiffe://example.org:443/a"),
        svid(sub="spiffe://example.org/a?b"), svid(sub="SPIFFE://example.org/a"), svid(sub=None), svid(sub=["a"]),
        svid(aud=["someone.else"]), svid(aud=None), svid(aud=[]), svid(aud=US + "x"), svid(aud={US: 1}),
        svid(exp=None), svid(exp="soon"), svid(exp=True),
        svid(STRANGER), svid(STRANGER, {"kid": "x509"}), svid(header={"kid": None}), svid(header={"kid": "unknown"}),
        svid(EC, {"alg": "ES256", "kid": "rsa"}), svid(header={"typ": "at+jwt"}), svid(header={"jku": "https://evil.example/keys"}),
    ],
)  # fmt: skip
def test_what_is_not_for_us_or_not_of_the_domain_is_refused(token: str) -> None:
    with pytest.raises(spiffe.SvidRefused):
        spiffe.open_svid(token, bundle(), US, NOW)
    assert spiffe.open_svid(svid(), bundle(), US, NOW), "the twin"


def test_an_expired_one_is_refused_from_its_last_second_on() -> None:
    assert spiffe.open_svid(svid(), bundle(), US, NOW + 59_999)
    with pytest.raises(CredentialExpired):
        spiffe.open_svid(svid(), bundle(), US, NOW + 60_000)


def _text(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_neither_no_algorithm_nor_a_public_key_as_a_secret_is_taken() -> None:
    body = _text({"sub": WORKLOAD, "aud": US, "exp": NOW // 1000 + 60})
    tokens = [f"{_text({'alg': 'none', 'kid': 'rsa'})}.{body}."]
    for secret in (RSA.as_pem(private=False), json.dumps(public(RSA, "rsa")).encode(), b""):
        for alg in ("HS256", "RS256"):
            head = f"{_text({'alg': alg, 'kid': 'rsa'})}.{body}"
            mac = hmac.digest(secret, head.encode(), "sha256")
            tokens.append(f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")
    for token in tokens:
        with pytest.raises(spiffe.SvidRefused):
            spiffe.open_svid(token, bundle(), US, NOW)


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1]}', b'{"keys": [{"use": "jwt-svid"}]}', b"[" * 100_000,
     json.dumps({"keys": [public(RSA, "a"), public(EC, "a")]}).encode(),
     json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "h", "use": "jwt-svid"}]}).encode(),
     json.dumps({"keys": [public(RSAKey.generate_key(1024), "short")]}).encode()],
)  # fmt: skip
def test_a_bundle_that_is_none_is_refused_in_words(document: bytes) -> None:
    with pytest.raises(Malformed):
        spiffe.read_bundle(DOMAIN, document)


@given(st.text(max_size=200))
def test_no_text_is_a_workload(text: str) -> None:
    with pytest.raises(CredentialRefused):
        spiffe.open_svid(text, bundle(public(EC, "ec")), US, NOW)
    assert isinstance(spiffe.is_svid(text), bool)
