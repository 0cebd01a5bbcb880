"""SPIFFE JWT-SVIDs of workloads: read, checked against a trust domain's bundle. Pure.

Rules kept here (SPIFFE-ID.md, JWT-SVID.md, SPIFFE_Trust_Domain_and_Bundle.md of github.com/spiffe/spiffe):

- A SPIFFE ID is `spiffe://<trust domain>/<path>`: lower-case domain, no port, user, query or fragment, no empty, `.` or `..`
  segment, no slash at the end, at most 2,048 bytes (SPIFFE-ID §2).
- Only the algorithms of JWT-SVID §2.1: RS, ES and PS with 256, 384 or 512. `none` and symmetric ones are not among them, so a
  public key is never taken for a shared secret. The algorithm has to fit the key's own kind.
- The key is the one of the bundle whose `kid` the header names, for use `jwt-svid` (bundle §4.2.2). No `kid`, or an unknown
  one, is refused: keys are not tried in turn.
- `sub`, `aud` and `exp` are there (§3); `sub` lies in the bundle's trust domain; one of `aud` is us (§3.2); `exp` is not over.
- The signature is checked before a claim is believed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from msgspec import Struct

from keyturn.errors import Malformed
from keyturn.identity.credentials import MAX_TOKEN, CredentialExpired, CredentialRefused, unverified

ALGORITHMS = tuple(f"{kind}{size}" for kind in ("RS", "ES", "PS") for size in (256, 384, 512))
MAX_ID = 2048
MAX_KEYS = 64
MIN_RSA = 2048
_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_HEADERS = frozenset(("alg", "kid", "typ"))


class SvidRefused(CredentialRefused):
    """The JWT-SVID is not one of the trusted domain, not for us, or not of a form that is accepted."""

    code = "spiffe.refused"
    next_step = "Fetch an SVID of the configured trust domain with this log's origin as audience."


class Svid(Struct, frozen=True):
    """A checked SVID: the workload's id, and when it ends (milliseconds since 1970)."""

    id: str
    expires_ms: int


class Bundle(Struct, frozen=True):
    """A trust domain and the keys that sign its JWT-SVIDs, by `kid`."""

    domain: str
    keys: dict[str, RSAKey | ECKey]


def is_domain(text: str) -> bool:
    """Whether *text* can be a trust domain."""
    return _DOMAIN.fullmatch(text) is not None


def domain_of(text: str) -> str:
    """*text* as a trust domain. Raises `Malformed`."""
    if not is_domain(text):
        raise Malformed(f"{text[:80]!r} is no SPIFFE trust domain.")
    return text


def check_id(text: str, domain: str) -> str:
    """*text*, if it is a workload's SPIFFE ID in *domain*. Raises `Malformed`."""
    scheme, _, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    good = (
        scheme == "spiffe"
        and len(text.encode("utf-8", "replace")) <= MAX_ID
        and slash
        and authority == domain
    )
    if not good or any(not _SEGMENT.fullmatch(part) or part in (".", "..") for part in path.split("/")):
        raise Malformed(f"{text[:200]!r} is no SPIFFE ID of the trust domain {domain}.")
    return text


def read_bundle(domain: str, document: bytes) -> Bundle:
    """The JWT keys of a bundle document (a JWK set). Raises `Malformed`; keys for other uses are passed over."""
    try:
        given = json.loads(document)
        listed = given["keys"]
        keys: dict[str, RSAKey | ECKey] = {}
        for one in listed[:MAX_KEYS]:
            if one.get("use") != "jwt-svid":
                continue
            kid = one["kid"]
            if not isinstance(kid, str) or not kid or kid in keys:
                raise Malformed("A key of the SPIFFE bundle has no `kid`, or one that another has.")
            public = {k: v for k, v in one.items() if k != "use"}
            keys[kid] = _key(public)
    except (ValueError, KeyError, TypeError, AttributeError, JoseError, RecursionError) as error:
        raise Malformed("The SPIFFE bundle can't be read as a JWK set.") from error
    return Bundle(domain_of(domain), keys)


def is_svid(token: str) -> bool:
    """Whether *token* says that it is a workload's: believed only once it was checked."""
    return str(unverified(token).get("sub", "")).startswith("spiffe://")


def open_svid(token: str, bundle: Bundle, audience: str, now_ms: int) -> Svid:
    """The workload behind *token*. Raises `SvidRefused`, `CredentialExpired`."""
    if len(token) > MAX_TOKEN:
        raise SvidRefused(f"The token has more than {MAX_TOKEN:,} characters.")
    header = _header(token)
    key = bundle.keys.get(str(header.get("kid", "")))
    if key is None:
        raise SvidRefused("The SVID names no key of the trust domain's bundle.")
    if (
        header.get("alg") not in ALGORITHMS
        or not set(header) <= _HEADERS
        or header.get("typ", "JWT") not in ("JWT", "JOSE")
    ):
        raise SvidRefused("The SVID's header is not one of a JWT-SVID.")
    try:
        body: dict[str, Any] = jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise SvidRefused("The SVID's signature is not one of the trust domain.") from error
    sub, aud, exp = body.get("sub"), body.get("aud"), body.get("exp")
    audiences = [aud] if isinstance(aud, str) else aud
    if (
        not isinstance(sub, str)
        or not isinstance(audiences, list)
        or isinstance(exp, bool)
        or not isinstance(exp, int | float)
    ):
        raise SvidRefused("The SVID lacks a subject, an audience or an end.")
    try:
        check_id(sub, bundle.domain)
    except Malformed as error:
        raise SvidRefused(error.happened) from error
    if audience not in audiences:
        raise SvidRefused("The SVID is for another audience.")
    if now_ms >= exp * 1000:
        raise CredentialExpired("The SVID expired.", next_step="Fetch a new one from the workload API.")
    return Svid(sub, int(exp * 1000))


def _key(public: dict[str, Any]) -> RSAKey | ECKey:
    if public.get("kty") == "RSA":
        rsa = RSAKey.import_key(public)
        if rsa.public_key.key_size < MIN_RSA:
            raise Malformed(f"A key of the SPIFFE bundle has fewer than {MIN_RSA} bits.")
        return rsa
    if public.get("kty") == "EC":
        return ECKey.import_key(public)
    raise Malformed("A key of the SPIFFE bundle is neither RSA nor EC.")


def _header(token: str) -> dict[str, Any]:
    return unverified(token, part=0)
