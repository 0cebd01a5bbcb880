"""How people review, and drills, over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from keyturn.approvals.vigilance import Vigilance
from keyturn.channels.api.access import person_of

if TYPE_CHECKING:
    from keyturn.service.keyturn import Keyturn

AnyRequest = Request[Any, Any, Any]


def reviewing_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/v1/vigilance`, `/v1/drills`."""

    @get("/vigilance", summary="How everybody reviews (administrators and auditors)", tags=["people"])
    async def everybody(request: AnyRequest) -> list[Vigilance]:
        return service.vigilance_of_all(person_of(request, service))

    @get("/vigilance/{person:str}", summary="How one person reviews", tags=["people"])
    async def one(request: AnyRequest, person: FromPath[str]) -> Vigilance:
        return service.vigilance(person_of(request, service), person)

    @post("/drills", status_code=201, summary="Open a drill (administrators)", tags=["people"])
    async def drill(request: AnyRequest) -> dict[str, bool]:
        await service.drill(person_of(request, service))
        return {"opened": True}

    return [everybody, one, drill]
