"""Credentials of gates and agents, and people's scoped tokens: what they say, and who is behind them. Pure.

Rules kept here:

- One credential belongs to one holder (`gate:ci`, `agent:coder`, `person:dana`) and has an end. Nothing here is a shared account.
- A signed token is a JWT (RFC 7519) with `typ: at+jwt` (RFC 9068 §2.1), algorithm Ed25519 (RFC 9864) and nothing else: `alg` in a
  token never chooses how it is checked (RFC 8725 §3.1). The signature is checked before a claim is read.
- `iss` and `aud` are both this log's origin: another log's tokens open nothing here (RFC 8725 §3.8, §3.9).
- Expired from the instant `exp` on (RFC 7519 §4.1.4).
- Who acts for whom is the `act` chain of RFC 8693 §4.1: `sub` is the human, `act` who acts now, `act` inside it who had it before.
  A chain has at most `MAX_DEPTH` actors.
- Exchanging narrows: scopes never grow, the end never moves back, the human never changes (RFC 8693 §1.1, §2.2).
- Bound to a client certificate, a token is good on connections with that certificate only (RFC 8705 §3.1, `cnf` `x5t#S256`).
- No holder but a person can have a scope with which people decide (promise 6).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Sequence
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError, Malformed

Kind = Literal["gate", "agent", "person"]
Form = Literal["opaque", "signed", "certificate", "spiffe"]

PERSON_SCOPES = ("read", "deny", "approve", "delegate", "manage")
"""What a person's token may: look · deny · approve · give agents tokens that act for them · everything else. Deciding includes looking."""

AGENT_SCOPES = ("shell", "file", "tool", "http")
"""The kinds of action that an agent's token may propose."""

MAX_DEPTH = 5
"""Actors in a chain. Deeper is refused: nobody can say any more who works for whom."""

MAX_TOKEN = 8192
"""Characters. Real ones have about 500; more is not worth checking."""

SIGNED_MS = 24 * 3600 * 1000
"""How long a signed token or certificate lasts unless somebody asks for less."""

PERSON_MS = 30 * 24 * 3600 * 1000
"""How long a person's scoped token lasts unless somebody asks for something else."""

MOST_SIGNED_MS = 7 * SIGNED_MS
MOST_PERSON_MS = 366 * 24 * 3600 * 1000
MOST_GRACE_MS = 3600 * 1000
"""Longest lives that can be asked for, and the longest overlap of old and new when one is rotated."""

_ALGORITHM = "Ed25519"
_TYPE = "at+jwt"


class CredentialRefused(KeyturnError):
    """A credential does not open this. Subclasses say why; none says more to a stranger than that."""

    code = "credential.refused"
    status = 401
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed and nothing ran."
    next_step = "Ask an administrator for a new one: `keyturn credential issue`."


class CredentialForged(CredentialRefused):
    """The token was not made by this Keyturn, or was altered."""

    code = "credential.forged"


class CredentialExpired(CredentialRefused):
    """The credential's time is over."""

    code = "credential.expired"
    next_step = "Renew it within its life with `keyturn credential renew`; after that an administrator issues a new one."


class CredentialRevoked(CredentialRefused):
    """The credential, or one that it was made from, was revoked, replaced, or its holder removed."""

    code = "credential.revoked"


class CredentialUnbound(CredentialRefused):
    """The token is bound to a client certificate, and came without that one."""

    code = "credential.unbound"
    next_step = "Present it on a connection with the certificate that it was issued for."


class CredentialScope(CredentialRefused):
    """The credential is good, but not for this."""

    code = "credential.scope"
    status = 403
    next_step = "Use a credential whose scopes include it; `keyturn credential list` and `keyturn token list` show them."


class CredentialTooDeep(CredentialRefused):
    """An agent's agent's agent, further down than can be accounted for."""

    code = "credential.too_deep"
    status = 403
    next_step = "Let an agent further up in the chain do it."


class Claims(Struct, frozen=True):
    """What a signed token says. Times are milliseconds since 1970, whole seconds.

    `holder` is who presents it; `person` the human it acts for, None for a gate or an agent on its own; `actors` every
    agent of the chain, the one that acts now first. `bound`: the certificate's base64url SHA-256, empty when to none.
    """

    id: str
    holder: str
    issued_ms: int
    expires_ms: int
    person: str | None = None
    actors: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    bound: str = ""


def holder(kind: Kind, name: str) -> str:
    """`gate:ci`: a holder as tokens and entries name it."""
    return f"{kind}:{name}"


def sign(claims: Claims, key: Ed25519PrivateKey, origin: str) -> str:
    """The token for *claims*."""
    body: dict[str, Any] = {
        "iss": origin, "aud": origin, "jti": claims.id, "iat": claims.issued_ms // 1000, "exp": claims.expires_ms // 1000,
        "sub": holder("person", claims.person) if claims.person else claims.holder, "scope": " ".join(claims.scopes),
    }  # fmt: skip
    if claims.actors:
        body["act"] = _act(claims.actors)
    if claims.bound:
        body["cnf"] = {"x5t#S256": claims.bound}
    header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": key_id(key.public_key())}
    return jwt.encode(header, body, _private(key), algorithms=[_ALGORITHM])


def open_token(token: str, key: Ed25519PublicKey, origin: str, now_ms: int) -> Claims:
    """The claims of a genuine *token* at *now_ms*. Raises `CredentialForged`, `CredentialExpired`.

    Says nothing yet about whether it was revoked: the ledger does.
    """
    if len(token) > MAX_TOKEN:
        raise CredentialForged(f"The token has more than {MAX_TOKEN:,} characters.")
    try:
        found = jwt.decode(token, _public(key), algorithms=[_ALGORITHM])
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CredentialForged("The token was not signed by this Keyturn.") from error
    if found.header.get("typ") != _TYPE or "crit" in found.header:
        raise CredentialForged("The token is of another type.")
    body = found.claims
    if body.get("iss") != origin or body.get("aud") != origin:
        raise CredentialForged("The token is another log's.")
    claims = _claims(body)
    if now_ms >= claims.expires_ms:
        raise CredentialExpired(f"The token expired {(now_ms - claims.expires_ms) // 1000:,} seconds ago.")
    return claims


def looks_signed(token: str) -> bool:
    """Whether *token* has the form of a signed one: three parts, where people's tokens have none."""
    return token.count(".") == 2


def unverified(token: str, part: int = 1) -> dict[str, Any]:
    """What *token* says in that part, believed by nobody: for choosing how it is to be checked. Empty when it says nothing."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN:
        return {}
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def key_id(key: Ed25519PublicKey) -> str:
    """The key's name in tokens: its RFC 7638 thumbprint."""
    return str(_public(key).thumbprint())


def check_binding(bound: str, presented: str) -> None:
    """Raises `CredentialUnbound` unless a token bound to *bound* came with that certificate (RFC 8705 §3)."""
    if bound and not hmac.compare_digest(bound.encode(), presented.encode()):
        raise CredentialUnbound(
            "The token is bound to a client certificate that this connection does not have."
        )


def narrowed(
    scopes: Sequence[str], asked: Sequence[str], expires_ms: int, asked_expires_ms: int
) -> tuple[tuple[str, ...], int]:
    """Scopes and end of a token made from one with *scopes* and *expires_ms*: never more. Raises `CredentialScope`."""
    wider = [scope for scope in asked if scope not in scopes]
    if wider:
        raise CredentialScope(
            f"A token can't give more than it has: {', '.join(wider)[:200]} is not among its scopes."
        )
    return tuple(scope for scope in scopes if scope in asked) if asked else tuple(scopes), min(
        expires_ms, asked_expires_ms
    )


def deeper(actors: Sequence[str], actor: str) -> tuple[str, ...]:
    """The chain with *actor* acting now. Raises `CredentialTooDeep`."""
    if len(actors) >= MAX_DEPTH:
        raise CredentialTooDeep(
            f"A chain has at most {MAX_DEPTH} agents; this one would have {len(actors) + 1}."
        )
    return (actor, *actors)


def check_scopes(kind: Kind, scopes: Sequence[str]) -> tuple[str, ...]:
    """*scopes* in their own order. Raises `Malformed` for one that such a holder can't have."""
    known = {"person": PERSON_SCOPES, "agent": AGENT_SCOPES, "gate": ()}[kind]
    unknown = [scope for scope in scopes if scope not in known]
    if unknown:
        there = ", ".join(known) or "none"
        raise Malformed(f"{unknown[0][:40]!r} is no scope of a {kind}'s credential; there are: {there}.")
    return tuple(scope for scope in known if scope in scopes)


def permits(scopes: Sequence[str], wanted: str) -> bool:
    """Whether a person's token with *scopes* may do what *wanted* stands for."""
    return wanted in scopes or (wanted == "read" and bool({"approve", "deny", "manage"} & set(scopes)))


def lifetime(kind: Kind, seconds: int | None) -> int:
    """Milliseconds that a new credential lasts. Raises `Malformed` for none and for too long."""
    usual, most = (PERSON_MS, MOST_PERSON_MS) if kind == "person" else (SIGNED_MS, MOST_SIGNED_MS)
    if seconds is None:
        return usual
    if not 1 <= seconds * 1000 <= most:
        raise Malformed(f"It lasts from 1 second to {most // 86_400_000} days, not {seconds:,} seconds.")
    return seconds * 1000


def _act(actors: Sequence[str]) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for actor in reversed(actors):
        inner = {"sub": actor, **({"act": inner} if inner else {})}
    return inner


def _claims(body: dict[str, Any]) -> Claims:
    actors: list[str] = []
    act = body.get("act")
    while act is not None:
        if not isinstance(act, dict) or not isinstance(act.get("sub"), str) or len(actors) >= MAX_DEPTH:
            raise CredentialForged("The token's chain of actors is not one of this version.")
        actors.append(act["sub"])
        act = act.get("act")
    sub, jti, scope, cnf = body.get("sub"), body.get("jti"), body.get("scope", ""), body.get("cnf", {})
    bound = cnf.get("x5t#S256", "") if isinstance(cnf, dict) else None
    times = [body.get("iat"), body.get("exp")]
    texts = all(isinstance(one, str) for one in (sub, jti, scope, bound))
    if not texts or any(type(one) is not int for one in times):
        raise CredentialForged("The token's claims are not those of this version.")
    person = str(sub).removeprefix("person:") if str(sub).startswith("person:") else None
    own = actors[0] if actors else str(sub)
    return Claims(
        id=str(jti),
        holder=own,
        issued_ms=int(times[0] or 0) * 1000,
        expires_ms=int(times[1] or 0) * 1000,
        person=person,
        actors=tuple(actors),
        scopes=tuple(str(scope).split()),
        bound=str(bound),
    )


def _private(key: Ed25519PrivateKey) -> OKPKey:
    return OKPKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _public(key: Ed25519PublicKey) -> OKPKey:
    return OKPKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
