"""What all pages share: who looks, the frame around a page, and how errors are shown."""

from __future__ import annotations

import logging
import time
from typing import Any

from litestar import Request, Response
from litestar.datastructures import Headers

from keyturn.channels.web.context import WebContext
from keyturn.channels.web.errors import Broken, SignInNeeded, as_keyturn_error, json_error, wants_page
from keyturn.channels.web.guard import HEADERS, session_cookie
from keyturn.channels.web.rendering import render
from keyturn.errors import KeyturnError
from keyturn.identity import Person
from keyturn.service.people import require_writer

HTML = "text/html"
AnyRequest = Request[Any, Any, Any]

_log = logging.getLogger("keyturn.web")


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


class Site:
    """One per mounted set of pages."""

    def __init__(self, web: WebContext) -> None:
        self.web = web

    def person(self, request: AnyRequest) -> Person | None:
        """Who is signed in, if anybody."""
        cookie = session_cookie(request.headers)
        return self.web.person_of_cookie(cookie) if cookie else None

    @property
    def provider_name(self) -> str:
        """What the button of the OpenID provider says; empty where there is none."""
        return self.web.signing_in.settings.name if self.web.signing_in else ""

    def viewer(self, request: AnyRequest) -> Person:
        """Who is signed in. Raises `SignInNeeded`; for a write `ReadsOnly`, when they are an auditor."""
        person = self.person(request)
        if person is None:
            raise SignInNeeded("You are not signed in.")
        if request.method not in ("GET", "HEAD"):
            require_writer(person)
        return person

    def page(
        self,
        request: AnyRequest,
        template: str,
        *,
        status: int = 200,
        person: Person | None = None,
        **values: Any,
    ) -> Response[str]:
        """A whole page in Keyturn's frame. Without *person* it has no navigation."""
        frame: dict[str, Any] = {
            "person": person,
            "waiting": self.web.count("waiting") if person else 0,
            "head": self.web.ledger.size - 1 if person else -1,
            "now": now(),
        }
        return Response(render(template, **frame, **values), status_code=status, media_type=HTML)

    def error(self, request: AnyRequest, raised: Exception) -> Response[Any]:
        """An error in words: a page for a person, JSON for a script. For the application's own handlers, too."""
        error = as_keyturn_error(raised)
        if isinstance(error, Broken):
            _log.error("a page failed: %s %s", request.method, request.url.path, exc_info=raised)
        response: Response[Any] = (
            self._error_page(request, error) if wants_page(request) else json_error(error)
        )
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _error_page(self, request: AnyRequest, error: KeyturnError) -> Response[str]:
        if isinstance(error, SignInNeeded):
            return self.page(
                request,
                "login.html",
                status=error.status,
                code="",
                resume=from_elsewhere(request.headers),
                provider=self.provider_name,
            )
        try:
            return self.page(
                request, "error.html", status=error.status, error=error, person=self.person(request)
            )
        except Exception:
            _log.exception("the error page failed")
            return self.page(request, "error.html", status=error.status, error=error)


def from_elsewhere(headers: Headers) -> bool:
    """Whether a link on another site led here: the browser then keeps the Strict cookie back, and one more step brings it."""
    return headers.get("sec-fetch-site") == "cross-site" and session_cookie(headers) is None
