"""Errors of the pages, and how an error is shown: words on a page, or JSON to a script."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from keyturn.errors import KeyturnError, Malformed, NotFound, TooLarge


class HostRefused(KeyturnError):
    """The page was opened under a host name that is not this server's (DNS rebinding)."""

    code = "web.host"
    status = 421
    not_done = "Nothing was shown and nothing was changed."
    next_step = "Open it under 127.0.0.1 or localhost, or add the name to the setting `hosts`."


class OriginRefused(KeyturnError):
    """A write came from another site's page, or from something that doesn't say where it comes from."""

    code = "web.origin"
    status = 403
    not_done = "Nothing was recorded. Nothing ran."
    next_step = "Decide on Keyturn's own page, or use `keyturn approve` and `keyturn deny`."


class CsrfRefused(KeyturnError):
    """A write without the key that Keyturn's own pages keep."""

    code = "web.csrf"
    status = 403
    not_done = "Nothing was recorded. Nothing ran."
    next_step = (
        "Sign in again with `keyturn login`: this browser's key is gone or belongs to another session."
    )


class NotJson(KeyturnError):
    """A write whose body is not announced as JSON."""

    code = "web.not_json"
    status = 415
    not_done = "Nothing was recorded. Nothing ran."
    next_step = "Send `Content-Type: application/json`."


class SignInNeeded(KeyturnError):
    """No web session, or one that ended."""

    code = "web.sign_in"
    status = 401
    not_done = "Nothing was shown and nothing was changed."
    next_step = "Run `keyturn login` and open the link it prints."


class PageUnknown(NotFound):
    """No page has that address."""

    code = "web.page_unknown"
    next_step = "Start from the queue at /."


class NotAllowedHere(KeyturnError):
    """The address exists, but not for this method."""

    code = "web.method"
    status = 405
    not_done = "Nothing was changed."
    next_step = "Pages are read with GET; decisions are sent by the page itself."


class Broken(KeyturnError):
    """Something in Keyturn failed while a page was made."""

    code = "web.broken"
    status = 500
    not_done = "Nothing was recorded by this page. Nothing ran because of it."
    next_step = "Try again; if it stays, look at the server's log and run `keyturn doctor`."


def as_keyturn_error(error: Exception) -> KeyturnError:
    """Whatever was raised, as an error with a code and words. Never a traceback, never a library's text."""
    if isinstance(error, KeyturnError):
        return error
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return PageUnknown("There is no such page.")
        if error.status_code == 405:
            return NotAllowedHere("This address does not do that.")
        if error.status_code == 413:
            return TooLarge("The body is larger than 64 KiB.")
        if error.status_code < 500:
            return Malformed("The request is not one this page sends.")
    return Broken("The page could not be made.")


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person looks at the answer (a navigation), not a script."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")


def json_error(error: KeyturnError) -> Response[dict[str, Any]]:
    """The error as every interface shows it."""
    return Response(error.as_json(), status_code=error.status, media_type="application/json")
