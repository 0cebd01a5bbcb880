"""Routes of break-glass: release alone, list, review. People only, and only whom policy names."""

from __future__ import annotations

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from keyturn.channels.api import model
from keyturn.channels.api.access import AnyRequest, page, person_of
from keyturn.service import breakglass
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import BreakGlassView, RequestView
from keyturn.service.signing import StatementView


def breakglass_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/breakglass` and what belongs to it."""

    @post(
        "/requests/{request_id:str}/breakglass/statement",
        status_code=200,
        summary="The statement to sign before breaking the glass",
        tags=["people"],
    )
    async def statement(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Glass]
    ) -> StatementView:
        person = person_of(request, service, "approve")
        return breakglass.statement(
            service.core, request_id, person, reason=data.reason, digest=data.digest, display=data.display
        )

    @post(
        "/requests/{request_id:str}/breakglass", status_code=200, summary="Break the glass", tags=["people"]
    )
    async def use(request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Glass]) -> RequestView:
        person = person_of(request, service, "approve")
        return await service.break_glass(
            request_id,
            person,
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            channel=data.channel,
            proof=data.proof,
            statement_nonce=data.nonce,
        )

    @get("/breakglass", summary="Who broke the glass, what was not reviewed first", tags=["people"])
    async def listing(
        request: AnyRequest, only: FromQuery[str] = "unreviewed", limit: FromQuery[int] = 100
    ) -> list[BreakGlassView]:
        person_of(request, service)
        return breakglass.views(service.core, only, page(limit))

    @post("/breakglass/{glass:str}/review", status_code=200, summary="Review it", tags=["people"])
    async def review(
        request: AnyRequest, glass: FromPath[str], data: JSONBody[model.Review]
    ) -> BreakGlassView:
        return await service.review_break_glass(glass, person_of(request, service), data.verdict, data.note)

    return [statement, use, listing, review]
