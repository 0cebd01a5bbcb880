"""The HTTP application: API, pages, health and metrics over one service, with errors in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from keyturn import __version__, metrics
from keyturn.channels import api, web
from keyturn.channels.web.context import HealthLine
from keyturn.errors import KeyturnError, Malformed, NotFound, TooLarge
from keyturn.identity import Person
from keyturn.ledger import Ledger
from keyturn.service import sessions
from keyturn.service.errors import UnknownSession
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import SessionView
from keyturn.service.settings import Settings

AnyRequest = Request[Any, Any, Any]


class Pages:
    """What the pages are given: implements `channels.web.context.WebContext`."""

    def __init__(self, service: Keyturn, settings: Settings) -> None:
        self.service = service
        self.settings = settings

    @property
    def ledger(self) -> Ledger:
        """The log."""
        return self.service.core.ledger

    @property
    def hosts(self) -> Sequence[str]:
        """Names under which pages may be opened."""
        return self.settings.hosts

    async def login(self, code: str) -> str:
        """Redeem a one-time code for a web session's key."""
        return await self.service.logins.redeem(code)

    async def logout(self, cookie: str) -> None:
        """End a web session."""
        await self.service.logins.close(cookie)

    def person_of_cookie(self, cookie: str) -> Person | None:
        """Whose web session that is."""
        return self.service.logins.person(cookie)

    def count(self, state: str) -> int:
        """Requests in that state."""
        return self.ledger.count("request", state=state)

    @property
    def recordings(self) -> Path | None:
        """Where this home keeps recordings."""
        return self.service.core.recordings

    async def session(self, session: str) -> SessionView | None:
        """One agent run."""
        try:
            return sessions.view(self.service.core, session)
        except UnknownSession:
            return None

    def health(self) -> Sequence[HealthLine]:
        """What to say about this server."""
        core = self.service.core
        policy = core.policy
        reviewers = {p.id for p in core.roster.people.values() if p.groups and not p.removed}
        lines = [
            HealthLine("Ledger", "ok", f"{core.ledger.size:,} entries, writable."),
            HealthLine(
                "Policy",
                "ok" if policy.mode == "enforce" else "warning",
                "Enforced."
                if policy.mode == "enforce"
                else "Observing: what would be held runs, and is recorded.",
            ),
        ]
        if len(reviewers) < 2:
            lines.append(
                HealthLine(
                    "People", "warning", "Fewer than two people can review: nobody approves their own agent."
                )
            )
        return lines


def make_app(service: Keyturn, settings: Settings) -> Litestar:
    """The ASGI application."""
    pages = Pages(service, settings)
    shown = web.error_handlers(pages)[Exception]

    def answer(request: AnyRequest, error: Exception) -> Response[Any]:
        return answer_error(request, error) if request.url.path.startswith("/v1") else shown(request, error)

    handlers: list[Any] = [api.routes(service), *web.routes(pages), *_operations(service)]
    return Litestar(
        route_handlers=handlers,
        openapi_config=OpenAPIConfig(
            title="Keyturn",
            version=__version__,
            path="/v1",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        exception_handlers={Exception: answer, HTTPException: answer, KeyturnError: answer},
        request_max_body_size=settings.max_body,
        logging_config=None,
        debug=False,
    )


def _operations(service: Keyturn) -> list[BaseRouteHandler]:
    @get(["/livez", "/healthz"], media_type="text/plain", summary="The process answers", tags=["operations"])
    async def livez() -> str:
        return "ok\n"

    @get("/readyz", media_type="text/plain", summary="The ledger can be written", tags=["operations"])
    async def readyz() -> Response[str]:
        broken = service.core.ledger.broken
        return Response(f"not ready: {broken}\n" if broken else "ok\n", status_code=503 if broken else 200)

    @get("/metrics", media_type="text/plain", summary="Prometheus metrics", tags=["operations"])
    async def exposition() -> Response[bytes]:
        return Response(metrics.exposition(service), media_type="text/plain; version=0.0.4")

    return [livez, readyz, exposition]


def answer_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """Any exception as words. Tracebacks go to the log, never to a caller."""
    known = _known(error)
    if known is None:
        metrics.log_failure(error)
        known = KeyturnError("Keyturn failed inside.")
    body = msgspec.json.encode(known.as_json())
    return Response(body, status_code=known.status, media_type="application/json")


def _known(error: Exception) -> KeyturnError | None:
    if isinstance(error, KeyturnError):
        return error
    if isinstance(error, RecursionError):
        return Malformed("The body is nested too deep to be read.")
    if isinstance(error, ValidationException):
        extra = error.extra if isinstance(error.extra, list) else []
        words = "; ".join(
            f"{e.get('key', 'body')}: {e.get('message', '')}" for e in extra if isinstance(e, dict)
        )
        return Malformed(f"The request is not what the API describes: {words or error.detail}.")
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return NotFound("There is nothing at that address.")
        if error.status_code == 413:
            return TooLarge("The body is larger than the setting `max_body` allows.")
        known = Malformed(f"{error.detail}.")
        known.status = error.status_code  # type: ignore[misc]
        return known
    return None
