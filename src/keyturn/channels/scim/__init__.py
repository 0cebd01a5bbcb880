"""The SCIM 2.0 server (RFC 7643, RFC 7644): a provider keeps people and groups up to date. Needs the extra `scim`."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router, route

from keyturn.errors import KeyturnError
from keyturn.service.keyturn import Keyturn

PATH = "/scim/v2"


class ScimMissing(KeyturnError):
    """This Keyturn was installed without what its SCIM server needs."""

    code = "scim.missing"
    status = 501
    not_done = "Nothing was changed."
    next_step = "Install it with the extra: `pip install keyturn[scim]`."


def routes(service: Keyturn) -> Router:
    """The server under /scim/v2; without the extra, words that say so."""
    try:
        from keyturn.channels.scim.endpoints import scim_routes
    except ImportError:
        return Router(PATH, route_handlers=[_missing], include_in_schema=False)
    return scim_routes(service, PATH)


@route("/{rest:path}", http_method=["GET", "POST", "PUT", "PATCH", "DELETE"], sync_to_thread=False)
def _missing(rest: str) -> Response[Any]:
    error = ScimMissing("This Keyturn has no SCIM server.")
    return Response(error.as_json(), status_code=error.status)


__all__ = ["PATH", "ScimMissing", "routes"]
