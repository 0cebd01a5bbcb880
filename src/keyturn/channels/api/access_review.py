"""Routes of the review of access: the list of who may do what, and the record that somebody looked through it."""

from __future__ import annotations

import asyncio

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody

from keyturn.channels.api import model
from keyturn.channels.api.access import AnyRequest, person_of, require_role
from keyturn.service import access_review
from keyturn.service.access_review import AccessView, Reviewed
from keyturn.service.keyturn import Keyturn


def access_review_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/access`."""
    core = service.core

    @get("/access", summary="Who may do what, to be looked through", tags=["people"])
    async def listing(request: AnyRequest) -> AccessView:
        return await asyncio.to_thread(access_review.look, core, person_of(request, service))

    @post("/access/review", status_code=201, summary="Record that you looked through it", tags=["people"])
    async def review(request: AnyRequest, data: JSONBody[model.AccessReview]) -> Reviewed:
        admin = person_of(request, service)
        require_role(admin, "admin")
        return await access_review.record(core, admin, data.digest, data.note)

    return [listing, review]
