"""Rules out of held actions, and rules that nobody needs any more, over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from keyturn.channels.api.access import person_of
from keyturn.service import disclosure
from keyturn.service.model import AlwaysAllow, RequestView, UnusedRule

if TYPE_CHECKING:
    from keyturn.service.keyturn import Keyturn

AnyRequest = Request[Any, Any, Any]


class AskAlways(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/requests/{id}/always: propose the rule that was shown; `digest` is that of the proposal."""

    digest: str
    days: int = 30
    note: Annotated[str, Meta(max_length=2000)] = ""


class Review(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/policy/unused: record that unused rules are up for review."""

    days: int = 30


def allowing_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/v1/requests/{id}/always`, `/v1/policy/unused`."""

    @get("/requests/{request_id:str}/always", summary="The narrowest rule for it", tags=["policy"])
    async def rule(request: AnyRequest, request_id: FromPath[str], days: FromQuery[int] = 30) -> AlwaysAllow:
        viewer = person_of(request, service)
        if (await service.request(request_id, viewer)).withheld:
            disclosure.require_content(service.core, viewer)
        return await service.always_allow(request_id, days)

    @post("/requests/{request_id:str}/always", status_code=201, summary="Propose that rule", tags=["policy"])
    async def propose(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[AskAlways]
    ) -> RequestView:
        person = person_of(request, service)
        return await service.propose_always(
            request_id, person, days=data.days, digest=data.digest, note=data.note
        )

    @get("/policy/unused", summary="Rules that let nothing run lately", tags=["policy"])
    async def unused(request: AnyRequest, days: FromQuery[int] = 30) -> list[UnusedRule]:
        person_of(request, service)
        return await service.unused_rules(days)

    @post("/policy/unused", status_code=201, summary="Open a review of them", tags=["policy"])
    async def review(request: AnyRequest, data: JSONBody[Review]) -> list[UnusedRule]:
        return await service.review_rules(person_of(request, service), data.days)

    return [rule, propose, unused, review]
