"""Routes of grants: what people let run again, listed and revoked. None opens one: that is only ever an approval's doing."""

from __future__ import annotations

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from keyturn.channels.api import model
from keyturn.channels.api.access import AnyRequest, page, person_of
from keyturn.service import grants
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import GrantView


def grant_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/grants` and what belongs to it."""

    @get("/grants", summary="What may run again, newest first", tags=["people"])
    async def listing(
        request: AnyRequest, only: FromQuery[str] = "open", limit: FromQuery[int] = 100
    ) -> list[GrantView]:
        person_of(request, service)
        return grants.views(service.core, only, page(limit))

    @get("/grants/{grant:str}", summary="One grant", tags=["people"])
    async def one(request: AnyRequest, grant: FromPath[str]) -> GrantView:
        person_of(request, service)
        return grants.view(service.core, grant)

    @post("/grants/{grant:str}/revoke", status_code=200, summary="Revoke a grant", tags=["people"])
    async def revoke(request: AnyRequest, grant: FromPath[str], data: JSONBody[model.Stop]) -> GrantView:
        return await service.revoke_grant(grant, person_of(request, service, "deny"), data.reason)

    return [listing, one, revoke]
