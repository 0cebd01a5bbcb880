"""How full the limits are."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.handlers import BaseRouteHandler

from keyturn.channels.api.access import person_of
from keyturn.service import limits
from keyturn.service.keyturn import Keyturn
from keyturn.service.limits import CounterView

AnyRequest = Request[Any, Any, Any]


def limit_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/limits`."""

    @get("/limits", summary="How full the limits of drift.toml are", tags=["drift"])
    async def listing(request: AnyRequest) -> list[CounterView]:
        person_of(request, service)
        return limits.views(service.core)

    return [listing]
