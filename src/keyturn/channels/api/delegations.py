"""Standing in for colleagues: only people, and each only for themselves."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from keyturn.channels.api.access import person_of
from keyturn.service import delegations
from keyturn.service.delegations import DelegationView
from keyturn.service.keyturn import Keyturn

AnyRequest = Request[Any, Any, Any]


class Handing(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/delegations: to whom, which of your groups (all when empty), until and from when (milliseconds since 1970), and why."""

    to: str
    until: int
    groups: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    since: int | None = None
    why: Annotated[str, Meta(max_length=500)] = ""


def delegation_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/delegations`."""
    core = service.core

    @get("/delegations", summary="Who stands in for whom", tags=["people"])
    async def listing(request: AnyRequest, mine: FromQuery[bool] = False) -> list[DelegationView]:
        person = person_of(request, service)
        return delegations.delegations(core, person.id if mine else None)

    @post("/delegations", status_code=201, summary="Hand your places over to a colleague", tags=["people"])
    async def hand_over(request: AnyRequest, data: JSONBody[Handing]) -> DelegationView:
        person = person_of(request, service)
        return await delegations.open_delegation(
            core, person, data.to, groups=data.groups, until=data.until, since=data.since, why=data.why
        )

    @post(
        "/delegations/{delegation:str}/end",
        status_code=200,
        summary="Take a delegation back, or decline it",
        tags=["people"],
    )
    async def end(request: AnyRequest, delegation: FromPath[str]) -> DelegationView:
        return await delegations.end_delegation(core, person_of(request, service), delegation)

    return [listing, hand_over, end]
