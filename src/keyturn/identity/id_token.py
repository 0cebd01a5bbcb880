"""ID tokens of an OpenID provider: is this one the provider's, for us, fresh, and the answer to what was asked?

Rules kept here (OpenID Connect Core 1.0 §3.1.3.7, RFC 8725):

- The algorithm is one of those that were configured; `none` and the symmetric ones are no choice, whatever the token's
  header says. The key is the one of the recorded key set that the header's `kid` names and that is made for that
  algorithm; keys or addresses inside the token are never looked at.
- `iss` is the configured issuer, letter for letter; `aud` is this client and nobody else; `azp`, where given, too.
- It has not expired, was not issued in the future or long ago, and carries the nonce of this very flow.
- Where a fresh sign-in was demanded, `auth_time` says when the person last proved themselves, and that is after the demand.
- Clocks may differ by the configured skew, no more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from msgspec import Struct

from keyturn import canonical
from keyturn.errors import ExitCode, KeyturnError

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signature algorithms that a provider may use: asymmetric ones only, so that who can check a token can't make one."""

MAX_TOKEN = 32_768
"""Characters of an ID token; those of large directories have some thousands."""
MAX_AGE_MS = 10 * 60_000
"""How long ago a token may have been issued: the time a person needs to come back with it, not the time it is valid."""
MAX_KEYS = 64

_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_PUBLIC = {
    "RSA": ("kty", "kid", "alg", "use", "n", "e"),
    "EC": ("kty", "kid", "alg", "use", "crv", "x", "y"),
    "OKP": ("kty", "kid", "alg", "use", "crv", "x"),
}


class TokenRefused(KeyturnError):
    """An ID token is not the provider's, not for Keyturn, not fresh, or not the answer to what was asked."""

    code = "provider.token"
    status = 401
    exit_code = ExitCode.REFUSED
    not_done = "Nobody was signed in and nothing was recorded."
    next_step = (
        "Begin again from Keyturn's own page. If it stays, compare the issuer, the client id and both clocks."
    )

    def __init__(self, why: str, happened: str) -> None:
        super().__init__(happened, why=why)
        self.why = why


class UnknownKey(TokenRefused):
    """The token names a key that the key set does not have: it may be newer than the set."""

    code = "provider.token_key"


class Demand(Struct, frozen=True):
    """What a token has to answer. Times are milliseconds since 1970.

    `fresh_since`: the person must have proven themselves after this instant. `acr`: one of these authentication contexts.
    """

    issuer: str
    client_id: str
    nonce: str
    algorithms: tuple[str, ...]
    skew_ms: int = 60_000
    fresh_since_ms: int | None = None
    acr: tuple[str, ...] = ()


class IdToken(Struct, frozen=True):
    """A token that was checked. `account` is `issuer|subject`; `raw` its exact text, `claims` all it says."""

    issuer: str
    subject: str
    raw: str
    claims: dict[str, Any]
    issued_ms: int
    auth_ms: int | None = None

    @property
    def acr(self) -> str:
        """How the provider says the person proved themselves; empty where it doesn't."""
        return _text(self.claims.get("acr"))

    @property
    def amr(self) -> tuple[str, ...]:
        """By what methods."""
        given = self.claims.get("amr")
        return tuple(_text(one) for one in given[:16]) if isinstance(given, list) else ()

    @property
    def session(self) -> str:
        """The provider's own session, for when it ends that."""
        return _text(self.claims.get("sid"))


def account_of(issuer: str, subject: str) -> str:
    """How an account of a provider is written in `Person.accounts`."""
    return f"{issuer}|{subject}"


def commitment(data: bytes) -> str:
    """The nonce that ties a token to *data*: base64url(SHA-256(data)). Source: OpenPubkey."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def public_keys(jwks: Mapping[str, Any]) -> dict[str, Any]:
    """The public signature keys of a JWK set (RFC 7517), without anything private or for encryption, in a stable order."""
    given = jwks.get("keys")
    if not isinstance(given, list) or len(given) > MAX_KEYS:
        raise TokenRefused("keys", f"The provider's key set is no list of at most {MAX_KEYS} keys.")
    kept = []
    for key in given:
        if isinstance(key, dict) and key.get("kty") in _PUBLIC and key.get("use", "sig") == "sig":
            names = _PUBLIC[str(key["kty"])]
            kept.append({name: key[name] for name in names if isinstance(key.get(name), str)})
    return {"keys": sorted(kept, key=canonical.dumps)}


def keys_digest(jwks: Mapping[str, Any]) -> str:
    """`sha256:<hex>` of a key set as `public_keys` gives it."""
    return canonical.digest(dict(jwks))


def verify(raw: str, jwks: Mapping[str, Any], demand: Demand, now_ms: int) -> IdToken:
    """*raw* checked against the key set *jwks* and against *demand*. Raises `TokenRefused`, `UnknownKey`."""
    claims = verified_claims(raw, jwks, demand.algorithms)
    _check_parties(claims, demand)
    issued = _check_times(claims, demand, now_ms)
    _check_nonce(claims, demand.nonce)
    auth = _check_freshness(claims, demand, now_ms)
    return IdToken(str(claims["iss"]), str(claims["sub"]), raw, claims, issued, auth)


def verified_claims(raw: str, jwks: Mapping[str, Any], algorithms: Collection[str]) -> dict[str, Any]:
    """What a signed token says, once its signature is the provider's. Raises `TokenRefused`, `UnknownKey`."""
    header = _header(raw)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms or algorithm[:2] not in _KEY_TYPES:
        raise TokenRefused(
            "algorithm", f"The token is signed with {str(algorithm)[:20]!r}, which is not allowed."
        )
    if "crit" in header or "b64" in header:
        raise TokenRefused("header", "The token's header asks for something that is not known here.")
    key = _key(jwks, header.get("kid"), algorithm)
    try:
        imported = import_key(key, key["kty"])
        payload = jws.deserialize_compact(raw, imported, [algorithm]).payload
    except (JoseError, ValueError, TypeError) as error:
        raise TokenRefused("signature", "The token's signature is not the provider's.") from error
    try:
        claims = json.loads(payload or b"")
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise TokenRefused("form", "The token says nothing that can be read.")
    return claims


def _header(raw: str) -> dict[str, Any]:
    if len(raw) > MAX_TOKEN or raw.count(".") != 2 or not raw.isascii():
        raise TokenRefused("form", "This is no signed token.")
    try:
        part = raw.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error) as error:
        raise TokenRefused("form", "The token's header can't be read.") from error
    if not isinstance(header, dict):
        raise TokenRefused("form", "The token's header can't be read.")
    return header


def _key(jwks: Mapping[str, Any], kid: Any, algorithm: str) -> dict[str, Any]:
    """The one key that the header names. Without a name, the only one there is for that algorithm."""
    fitting = [
        key
        for key in jwks.get("keys", ())
        if key.get("kty") == _KEY_TYPES[algorithm[:2]] and key.get("alg", algorithm) == algorithm
    ]
    named = [key for key in fitting if key.get("kid") == kid] if kid is not None else fitting
    if len(named) != 1:
        raise UnknownKey("key", "The token is signed with a key that is not in the provider's key set.")
    return dict(named[0])


def _check_parties(claims: Mapping[str, Any], demand: Demand) -> None:
    if claims.get("iss") != demand.issuer:
        raise TokenRefused("issuer", "The token is of another provider than the one that was asked.")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if audiences != [demand.client_id] or claims.get("azp", demand.client_id) != demand.client_id:
        raise TokenRefused("audience", "The token was made for another client than Keyturn.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise TokenRefused("subject", "The token does not say whose it is.")


def _check_times(claims: Mapping[str, Any], demand: Demand, now_ms: int) -> int:
    expires, issued = _ms(claims.get("exp")), _ms(claims.get("iat"))
    if expires is None or issued is None:
        raise TokenRefused("times", "The token does not say when it was issued and when it expires.")
    if expires <= now_ms - demand.skew_ms:
        raise TokenRefused("expired", "The token has expired.")
    if issued > now_ms + demand.skew_ms:
        raise TokenRefused("future", "The token was issued in the future: the clocks differ too much.")
    if issued < now_ms - MAX_AGE_MS - demand.skew_ms:
        raise TokenRefused("old", "The token was issued too long ago.")
    before = _ms(claims.get("nbf", 0))
    if before is None or before > now_ms + demand.skew_ms:
        raise TokenRefused("future", "The token is not valid yet: the clocks differ too much.")
    return issued


def _check_nonce(claims: Mapping[str, Any], nonce: str) -> None:
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise TokenRefused("nonce", "The token is not the answer to this sign-in.")


def _check_freshness(claims: Mapping[str, Any], demand: Demand, now_ms: int) -> int | None:
    auth = _ms(claims.get("auth_time"))
    if demand.fresh_since_ms is not None:
        if auth is None:
            raise TokenRefused("auth_time", "The provider does not say when you last signed in there.")
        if not demand.fresh_since_ms - demand.skew_ms <= auth <= now_ms + demand.skew_ms:
            raise TokenRefused(
                "stale", "You did not sign in at the provider anew, as this decision asks for."
            )
    if demand.acr and claims.get("acr") not in demand.acr:
        raise TokenRefused(
            "acr", "The provider does not say that you signed in by one of the ways asked for."
        )
    return auth


def _ms(value: Any) -> int | None:
    """A NumericDate (RFC 7519 §2) in milliseconds."""
    plain = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40
    return int(value * 1000) if plain else None


def _text(value: Any) -> str:
    return value[:255] if isinstance(value, str) else ""
