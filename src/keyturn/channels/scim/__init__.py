"""The SCIM 2.0 server (RFC 7643, RFC 7644): a provider keeps people and groups up to date. Needs the extra `scim`.

What reads and writes SCIM takes a second to load, and few have a SCIM client: so it is an application of its own, made for the first
request after a client was given a token. Until then nobody is let in, and that is said without it.
"""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote

from litestar import Litestar, asgi
from litestar.handlers import ASGIRouteHandler
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

from keyturn.errors import KeyturnError
from keyturn.service import scim
from keyturn.service.errors import Unauthenticated
from keyturn.service.keyturn import Keyturn

PATH = "/scim/v2"
_TYPE = "application/scim+json"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_SENT_ON = (
    "type",
    "asgi",
    "http_version",
    "server",
    "client",
    "scheme",
    "method",
    "query_string",
    "headers",
    "extensions",
)


class ScimMissing(KeyturnError):
    """This Keyturn was installed without what its SCIM server needs."""

    code = "scim.missing"
    status = 501
    not_done = "Nothing was changed."
    next_step = "Install it with the extra: `pip install keyturn[scim]`."


def routes(service: Keyturn, max_body: int) -> ASGIRouteHandler:
    """The server under /scim/v2; without the extra, words that say so. *max_body*: bytes of a request."""
    apart = _Apart(service, max_body)

    @asgi(PATH, is_mount=True, copy_scope=True)
    async def scim_server(scope: Scope, receive: Receive, send: Send) -> None:
        await apart(scope, receive, send)

    return scim_server


def application(service: Keyturn, max_body: int) -> Litestar:
    """The server itself."""
    from keyturn.channels.scim.endpoints import scim_routes

    return Litestar(
        route_handlers=[scim_routes(service, PATH)],
        request_max_body_size=max_body,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


class _Apart:
    """Answers, or has it answered by the application."""

    def __init__(self, service: Keyturn, max_body: int) -> None:
        self._service = service
        self._max_body = max_body
        self._made: ASGIApp | None = None
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            app = await self._application()
        except KeyturnError as error:
            await _refusal(error)(scope, receive, send)
            return
        path = unquote(scope["raw_path"].decode("latin-1"))
        given: Any = {name: scope[name] for name in _SENT_ON if name in scope}  # type: ignore[literal-required]
        given |= {"path": path, "raw_path": scope["raw_path"], "root_path": "", "state": {}}
        await app(given, receive, send)

    async def _application(self) -> ASGIApp:
        """Raises `ScimMissing`, and `Unauthenticated` where no client has a token."""
        if find_spec("scim2_models") is None:
            raise ScimMissing("This Keyturn has no SCIM server.")
        if not scim.has_client(self._service.core):
            raise Unauthenticated("No SCIM client has a token here.")
        async with self._turn:
            if self._made is None:
                self._made = await asyncio.to_thread(application, self._service, self._max_body)
        return self._made


def _refusal(error: KeyturnError) -> ASGIResponse:
    """*error* as a SCIM error (RFC 7644 §3.12)."""
    words = f"{error.happened} {error.not_done} {error.do_next} [{error.code}]"
    body = {"schemas": [_ERROR], "status": str(error.status), "detail": words}
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return ASGIResponse(
        body=json.dumps(body).encode(), status_code=error.status, media_type=_TYPE, headers=headers
    )


__all__ = ["PATH", "ScimMissing", "application", "routes"]
