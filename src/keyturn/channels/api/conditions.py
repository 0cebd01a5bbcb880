"""What policy asks beside people, as of now: windows, freezes, who is on call, and what nobody could meet."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.handlers import BaseRouteHandler

from keyturn.channels.api.access import person_of
from keyturn.service.conditions.overview import Overview, overview
from keyturn.service.keyturn import Keyturn

AnyRequest = Request[Any, Any, Any]


def condition_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/conditions`."""

    @get("/conditions", summary="Windows, freezes, on-call groups, and what can't be met", tags=["policy"])
    async def conditions(request: AnyRequest) -> Overview:
        person_of(request, service)
        return overview(service.core)

    return [conditions]
