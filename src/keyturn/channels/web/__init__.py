"""The people's page: queue, request, ledger. Server-rendered, live over SSE, with a strict content security policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Response, Router
from litestar.exceptions import HTTPException

from keyturn.channels.web import (
    about,
    access,
    agents,
    alike,
    allowing,
    auditor,
    configuration,
    controls,
    coverage,
    credentials,
    delegations,
    drift,
    events,
    findings,
    grants,
    ledger,
    login,
    packs,
    practice,
    provider,
    queue,
    requests,
    retention,
    reviewing,
    sessions,
    told,
    you,
)
from keyturn.channels.web.context import HealthLine, LedgerReader, WebContext
from keyturn.channels.web.guard import Guard
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.errors import KeyturnError

MAX_BODY = 65_536
"""Largest body of a page's write; a decision is a few hundred bytes."""

ErrorHandlers = Mapping[int | type[Exception], Callable[[AnyRequest, Exception], Response[Any]]]


def routes(web: WebContext) -> list[Router]:
    """The pages, to be mounted at `/`."""
    site = Site(web)
    rooms = (
        login,
        provider,
        queue,
        requests,
        alike,
        allowing,
        reviewing,
        you,
        told,
        delegations,
        grants,
        ledger,
        sessions,
        credentials,
        access,
        drift,
        findings,
        configuration,
        practice,
        retention,
        agents,
        coverage,
        controls,
        auditor,
        packs,
        events,
        about,
    )
    return [
        Router(
            "/",
            route_handlers=[handler for room in rooms for handler in room.handlers(site)],
            middleware=[Guard(web.hosts)],
            exception_handlers=dict(error_handlers(web)),
            include_in_schema=False,
            request_max_body_size=MAX_BODY,
            before_request=_looking(site),
        ),
        provider.backchannel(site),
    ]


def _looking(site: Site) -> Callable[[AnyRequest], Awaitable[None]]:
    """What an auditor opens is recorded before it is shown."""

    async def looking(request: AnyRequest) -> None:
        if request.method in ("GET", "HEAD"):
            person = site.person(request)
            if person is not None and person.reads_only:
                await site.web.evidence.viewed(person, request.url.path)

    return looking


def error_handlers(web: WebContext) -> ErrorHandlers:
    """For the application: an unknown address is outside every router, and still gets words (JSON for scripts)."""
    site = Site(web)

    def show(request: AnyRequest, error: Exception) -> Response[Any]:
        # A function, not `site.error`: Litestar copies handlers deeply, and a bound method would take the whole site along.
        return site.error(request, error)

    return {KeyturnError: show, HTTPException: show, Exception: show}


__all__ = ["ErrorHandlers", "HealthLine", "LedgerReader", "WebContext", "error_handlers", "routes"]
