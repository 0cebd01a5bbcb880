"""Signing in at the OpenID provider, and its word over a decision: the way there and back.

Rules kept here:

- Nothing happens because an address is opened: our own page begins a journey and ends it, with writes that the guard lets through
  only from our own page. The page keeps the journey's key in storage that belongs to this origin.
- The code in the address is taken out of it at once, and is worth nothing without that key and the verifier, which stays here.
- Somebody is only ever sent to the provider's own address, and afterwards to a path of this server.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from litestar import Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from keyturn.approvals.gesture import Gesture
from keyturn.approvals.proof import IdpProof
from keyturn.channels.web.errors import SignInNeeded
from keyturn.channels.web.guard import CSRF_HEADER, cookie_name, session_cookie
from keyturn.channels.web.login import marked
from keyturn.channels.web.rendering import path
from keyturn.channels.web.requests import require_short
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.errors import Malformed
from keyturn.identity.tokens import cookie_of
from keyturn.service.flows import Commit, Decide, Link, SignIn
from keyturn.service.model import Choice
from keyturn.service.provider import NoProvider
from keyturn.service.signing_in import Begun, SigningIn, Word

MAX_COOKIE_SECONDS = 30 * 24 * 3600
MAX_LOGOUT_BODY = 40_000


class Away(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /login/provider`: where to go afterwards."""

    next: str = "/"


class Back(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /login/provider/finish`: what the provider put into the address, and the journey's key."""

    state: str
    key: str
    code: str
    iss: str = ""


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /requests/{id}/decision/provider`: the decision that the provider's word is to stand behind."""

    choice: Choice
    digest: str
    display: str
    reason: str = ""
    grant: str = ""
    ticket: str = ""
    typed: str = ""
    dwell_ms: int | None = None
    opened: tuple[str, ...] = ()


class Proven(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /login/provider/prove`: what the provider's word is to be over, as the token's nonce."""

    commitment: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
    next: str = "/"


class Arrived(Struct, frozen=True):
    """Where the page goes now; with a new session, its key."""

    next: str
    key: str = ""


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/login/provider…`."""

    def desk() -> SigningIn:
        if site.web.signing_in is None:
            raise NoProvider("No provider is set up here.")
        return site.web.signing_in

    @post("/login/provider", status_code=200)
    async def away(request: AnyRequest, data: JSONBody[Away]) -> Begun:
        return await desk().begin(SignIn(), origin=_origin(request), next=data.next)

    @post("/login/provider/link", status_code=200)
    async def link(request: AnyRequest, data: JSONBody[Away]) -> Begun:
        viewer = site.viewer(request)
        cookie = session_cookie(request.headers) or ""
        return await desk().begin(
            Link(), origin=_origin(request), next=data.next, person=viewer, cookie=cookie
        )

    @post("/login/provider/prove", status_code=200)
    async def prove(request: AnyRequest, data: JSONBody[Proven]) -> Begun:
        viewer = site.viewer(request)
        cookie = session_cookie(request.headers) or ""
        return await desk().begin(
            Commit(),
            origin=_origin(request),
            next=data.next,
            person=viewer,
            cookie=cookie,
            nonce=data.commitment,
        )

    @post("/requests/{request_id:str}/decision/provider", status_code=200)
    async def decide(request: AnyRequest, request_id: FromPath[str], data: JSONBody[Wanted]) -> Begun:
        viewer = site.viewer(request)
        require_short(data.reason)
        wanted = Decide(
            request_id,
            data.choice,
            data.reason,
            data.digest,
            data.display,
            data.grant,
            ticket=data.ticket[:100],
            gesture=Gesture(typed=data.typed, dwell_ms=data.dwell_ms, opened=data.opened),
        )
        cookie = session_cookie(request.headers) or ""
        back_to = path("requests", request_id) + "#outcome"
        return await desk().begin_decision(
            wanted, viewer, origin=_origin(request), cookie=cookie, next=back_to
        )

    @get("/login/provider/callback", sync_to_thread=False)
    def back(request: AnyRequest) -> Response[str]:
        error = str(request.query_params.get("error", ""))[:80]
        return site.page(request, "provider.html", error=error)

    @post("/login/provider/finish", status_code=200)
    async def finish(request: AnyRequest, data: JSONBody[Back]) -> Response[Arrived]:
        cookie = session_cookie(request.headers) or ""
        if not hmac.compare_digest(cookie_of(request.headers.get(CSRF_HEADER, "")).encode(), cookie.encode()):
            cookie = ""
        done = await desk().finish(data.state, data.key, data.code, data.iss, cookie)
        if done.key:
            value = cookie_of(done.key)
            return Response(Arrived(done.next, done.key), cookies=[_cookie(request, value), *marked(request)])
        if isinstance(done.purpose, Decide) and done.word is not None:
            await _decided(site, done.purpose, done.person, done.word)
        if isinstance(done.purpose, Link) and done.word is not None:
            return Response(Arrived(await site.web.link_account(done.person, done.word.account) or done.next))
        return Response(Arrived(done.next))

    return [away, link, prove, decide, back, finish]


async def _decided(site: Site, wanted: Decide, person: str, word: Word) -> None:
    """Complete the decision for which somebody went to the provider, with its word as the proof."""
    decider = site.web.signing_in.roster.get(person) if site.web.signing_in else None
    if decider is None:
        raise SignInNeeded("You are no longer on the roster.")
    await site.web.service.decide(
        wanted.request,
        decider,
        wanted.choice,
        reason=wanted.reason,
        digest=wanted.digest,
        display=wanted.display,
        channel="web",
        grant=wanted.grant,
        ticket=wanted.ticket,
        proof=IdpProof(word.token.raw, word.keys),
        statement_nonce=wanted.nonce,
        gesture=wanted.gesture,
    )


def backchannel(site: Site) -> Router:
    """`/login/provider/logout`: what the provider itself calls when it ends a session. It is no page, and its token says who it is."""

    @post("/login/provider/logout", status_code=200, media_type="text/plain")
    async def signed_out_there(request: AnyRequest) -> Response[str]:
        form = await request.form()
        token = form.get("logout_token")
        if not isinstance(token, str):
            raise Malformed("There is no logout_token.")
        if site.web.signing_in is None:
            raise NoProvider("No provider is set up here.")
        await site.web.signing_in.signed_out_there(token)
        return Response("", headers={"cache-control": "no-store"})

    ends: list[BaseRouteHandler] = [signed_out_there]
    return Router("/", route_handlers=ends, include_in_schema=False, request_max_body_size=MAX_LOGOUT_BODY)


def _origin(request: AnyRequest) -> str:
    """The origin under which the browser sees this page. The guard has checked that it is ours."""
    return request.headers["origin"].lower()


def _cookie(request: AnyRequest, value: str) -> Cookie:
    tls = request.url.scheme == "https" or _origin(request).startswith("https://")
    name = cookie_name(request.headers.get("host", ""))
    return Cookie(
        key=name, value=value, httponly=True, samesite="strict", secure=tls, max_age=MAX_COOKIE_SECONDS
    )
