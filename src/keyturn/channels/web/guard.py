"""What stands before every page: the host is ours, writes come from our own page, answers carry their headers.

Rules kept here:
- Host: only loopback names and configured ones (DNS rebinding).
- Writes (anything but GET and HEAD): `Origin` must be this very page's; body JSON; and, but for signing in, the header
  `X-Keyturn-CSRF` must be the key that the session's cookie comes of. A form can send none of the three, and a program on
  another port of this host, which browsers send the cookie to, has no key.
- Answers: Content-Security-Policy without any inline script or style, Trusted Types, no framing, no referrer, no store.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection

import msgspec
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from keyturn.channels.web.errors import CsrfRefused, HostRefused, NotJson, OriginRefused
from keyturn.errors import KeyturnError
from keyturn.identity.tokens import cookie_of

CSRF_HEADER = "X-Keyturn-CSRF"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types keyturn",
    )
)
HEADERS: dict[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)",
}
_READS = ("GET", "HEAD")
_SIGN_IN = ("/login", "/login/provider", "/login/provider/finish")


def cookie_name(host: str) -> str:
    """Cookies don't tell ports apart, so the port is in the name: two servers on one machine don't sign each other out."""
    port = host.rpartition(":")[2] if not host.endswith("]") else ""
    return f"keyturn_{port}" if port.isdigit() and port != host else "keyturn"


def own_host(host: str, known: Collection[str]) -> bool:
    """Whether the `Host` header names this server: loopback, or one of *known* (with or without a port)."""
    if host in known:
        return True
    bare = host if host.endswith("]") else host.rpartition(":")[0] or host
    if bare in known or bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare.strip("[]")).is_loopback
    except ValueError:
        return False


def session_cookie(headers: Headers) -> str | None:
    """The session cookie's value, if there is one."""
    wanted = cookie_name(headers.get("host", ""))
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted and value:
            return value
    return None


DEVICE = "_device"
"""What the name of the cookie ends in that tells a browser apart; it opens nothing, and stays when somebody signs out."""
DEVICE_BYTES = 24


def device_cookie(headers: Headers) -> str | None:
    """The value of the cookie that tells this browser apart, if it has one."""
    wanted = cookie_name(headers.get("host", "")) + DEVICE
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted and value:
            return value[:100]
    return None


class Guard(ASGIMiddleware):
    """Refuses before any page's code runs, and puts `HEADERS` on every answer that has not set its own."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Check, then hand on."""
        headers = Headers.from_scope(scope)
        error = self._refusal(str(scope.get("method", "")), str(scope["scheme"]), str(scope["path"]), headers)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])
                present = {bytes(name).lower() for name, _ in given}
                missing = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in present]
                message = {**message, "headers": [*given, *missing]}
            await send(message)

        if error is not None:
            await _refuse(error, with_headers)
        else:
            await next_app(scope, receive, with_headers)

    def _refusal(self, method: str, scheme: str, path: str, headers: Headers) -> KeyturnError | None:
        host = headers.get("host", "").lower()
        if not own_host(host, self._hosts):
            return HostRefused("This server is not known under that name.")
        if method in _READS:
            return None
        if headers.get("origin", "").lower() not in (f"{scheme}://{host}", f"https://{host}"):
            return OriginRefused("The decision did not come from Keyturn's own page.")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return NotJson("The body is not JSON.")
        if path.rstrip("/") in _SIGN_IN:
            return None
        cookie, sent = session_cookie(headers), headers.get(CSRF_HEADER, "")
        if cookie is None or not hmac.compare_digest(cookie_of(sent).encode(), cookie.encode()):
            return CsrfRefused("The page's key is missing or belongs to another session.")
        return None


async def _refuse(error: KeyturnError, send: Send) -> None:
    body = msgspec.json.encode(error.as_json())
    start: Message = {
        "type": "http.response.start",
        "status": error.status,
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
