"""Signing in with a one-time link, and out.

Opening the link shows a button and changes nothing: mail scanners, previews and prefetching open links, too.
"""

from __future__ import annotations

import secrets

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.guard import DEVICE, DEVICE_BYTES, cookie_name, device_cookie, session_cookie
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.identity.tokens import cookie_of

DEVICE_SECONDS = 365 * 24 * 3600
MAX_COOKIE_SECONDS = 30 * 24 * 3600
"""The browser forgets the cookie after this; the session itself ends when the server says so, which is sooner."""


class SignIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /login`."""

    code: str


class SignedIn(Struct, frozen=True):
    """Its answer: who you are now, the session's key for the page to keep, and where to go."""

    person: str
    key: str
    next: str = "/"


class SignedOut(Struct, frozen=True):
    """Answer of `POST /logout`."""

    next: str = "/login"


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/login` and `/logout`."""

    @get("/login", sync_to_thread=False)
    def login_page(request: AnyRequest) -> Response[str]:
        code = request.query_params.get("code", "")
        return site.page(request, "login.html", code=str(code), resume=False, provider=site.provider_name)

    @post("/login", status_code=200)
    async def sign_in(request: AnyRequest, data: JSONBody[SignIn]) -> Response[SignedIn]:
        key = await site.web.login(data.code)
        value = cookie_of(key)
        person = site.web.person_of_cookie(value)
        return Response(
            SignedIn(person.id if person else "", key),
            cookies=[_cookie(request, value, MAX_COOKIE_SECONDS), *marked(request)],
        )

    @post("/logout", status_code=200)
    async def sign_out(request: AnyRequest) -> Response[SignedOut]:
        cookie = session_cookie(request.headers)
        if cookie:
            await site.web.logout(cookie)
        there = (
            await site.web.signing_in.place_to_sign_out(request.headers["origin"])
            if site.web.signing_in
            else ""
        )
        return Response(SignedOut(there or "/login"), cookies=[_cookie(request, "", 0)])

    return [login_page, sign_in, sign_out]


def marked(request: AnyRequest) -> list[Cookie]:
    """The cookie that tells this browser apart, for one that has none yet."""
    if device_cookie(request.headers) is not None:
        return []
    made = _cookie(request, secrets.token_urlsafe(DEVICE_BYTES), DEVICE_SECONDS)
    made.key += DEVICE
    return [made]


def _cookie(request: AnyRequest, value: str, seconds: int) -> Cookie:
    tls = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
    name = cookie_name(request.headers.get("host", ""))
    return Cookie(key=name, value=value, httponly=True, samesite="strict", secure=tls, max_age=seconds)
