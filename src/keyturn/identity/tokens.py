"""Bearer tokens and one-time login codes. Kept hashed; what is shown once is never shown again.

Rules kept here:

- A token has 256 bits from the system's generator, so one round of SHA-256 is enough to keep it at rest: there is
  nothing to guess (NIST SP 800-63B rev. 3 §5.1.2.2: salt and a slow hash are for secrets of less than 112 bits).
- A token's prefix says what it is for, so that scanners find leaked ones and a gate's token is never taken for a
  person's (RFC 8959 has the same purpose).
- Comparison takes the same time wherever two hashes differ.
- A login code is used once, before it expires; wrong, late and used codes are told apart only in the log: whoever
  presents one learns no more than that it does not open anything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from keyturn.errors import ExitCode, KeyturnError

TOKEN_BYTES = 32

Prefix = Literal["ktp", "ktg", "ktl", "kts", "ktd"]
"""`ktp` a person's token · `ktg` a gate's · `ktl` a one-time login code · `kts` a web session's · `ktd` a SCIM client's."""

PREFIXES: tuple[Prefix, ...] = ("ktp", "ktg", "ktl", "kts", "ktd")

LOGIN_CODE_MS = 5 * 60 * 1000
"""How long a login code opens a session: long enough to switch to the browser, no longer."""

_TOKEN = re.compile(r"(kt[pglsd])_[A-Za-z0-9_-]{43}", re.ASCII)


class LoginRefused(KeyturnError):
    """A login code was wrong, used or late. `details` never say which; `why` does, for the log."""

    code = "login.refused"
    status = 401
    exit_code = ExitCode.REFUSED
    not_done = "No session was opened."
    next_step = "Run `keyturn login` for a new link; each opens one session, within five minutes."

    def __init__(self, why: str) -> None:
        super().__init__("This login link does not open a session: it is unknown, was used, or is too old.")
        self.why = why


class LoginCode(Struct, frozen=True):
    """A login code as it is kept. Times are milliseconds since 1970; `hashed` is `hash_token(code)`."""

    person: str
    hashed: str
    issued_ms: int
    expires_ms: int
    used_ms: int | None = None


def new_token(prefix: Prefix, random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh token, `<prefix>_<43 base64url characters>`: 256 bits from *random*."""
    if prefix not in PREFIXES:
        raise ValueError(f"a token's prefix is one of {', '.join(PREFIXES)}, not {prefix!r}")
    return f"{prefix}_{base64.urlsafe_b64encode(random(TOKEN_BYTES)).rstrip(b'=').decode()}"


def token_prefix(token: str) -> Prefix | None:
    """What *token* is for by its form, or None when it has not the form of a token."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else None  # type: ignore[return-value]


def hash_token(token: str) -> str:
    """`sha256:<hex>` of *token*, the only form in which it is kept."""
    text = token.encode("utf-8", "surrogatepass")
    return "sha256:" + hashlib.sha256(b"keyturn/token/v1\n" + text).hexdigest()


def cookie_of(key: str) -> str:
    """The cookie of the web session whose key is *key*. One-way: who sees the cookie does not have the key.

    Cookies don't tell a host's ports apart (RFC 6265 §8.5), so any program that serves a page on this machine can be sent
    the cookie by a reviewer's browser. The key stays in the page's own storage, which belongs to one origin (RFC 6454).
    """
    text = key.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(b"keyturn/web-session/v1\n" + text).digest()
    return "kts_" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def matches(token: str, hashed: str) -> bool:
    """Whether *hashed* is the hash of *token*, in constant time."""
    return hmac.compare_digest(hash_token(token).encode(), hashed.encode("utf-8", "surrogatepass"))


def open_login(
    person: str, now_ms: int, random: Callable[[int], bytes] = secrets.token_bytes
) -> tuple[str, LoginCode]:
    """A login code for *person* (to be shown once), and what to keep of it."""
    code = new_token("ktl", random)
    return code, LoginCode(person, hash_token(code), now_ms, now_ms + LOGIN_CODE_MS)


def redeem(login: LoginCode | None, code: str, now_ms: int) -> LoginCode:
    """*login* as used at *now_ms*, if *code* opens it. Raises `LoginRefused`.

    The first instant at which it no longer opens anything is `expires_ms` itself.
    """
    if login is None or not matches(code, login.hashed):
        raise LoginRefused("unknown")
    if login.used_ms is not None:
        raise LoginRefused("used")
    if not login.issued_ms <= now_ms < login.expires_ms:
        raise LoginRefused("expired")
    return replace(login, used_ms=now_ms)
