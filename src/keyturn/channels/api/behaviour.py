"""Routes of agents' behaviour and of the baselines that it is measured against. None pins one: that is only ever an approval's doing."""

from __future__ import annotations

import asyncio
from typing import Annotated

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from keyturn.channels.api.access import AnyRequest, person_of
from keyturn.service import baselines, behaviour_views
from keyturn.service.baselines import BaselineView
from keyturn.service.behaviour_views import AgentDrift, Course
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import RequestView


class NewBaseline(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/baselines/{agent}: why what it did lately should be its baseline."""

    why: Annotated[str, Meta(max_length=2000)]


def behaviour_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/drift`, `/baselines` and what belongs to them."""

    @get("/drift", summary="How far every agent is from its baseline", tags=["drift"])
    async def fleet(request: AnyRequest) -> list[AgentDrift]:
        person_of(request, service)
        return await asyncio.to_thread(behaviour_views.fleet, service.core)

    @get("/drift/{agent:str}", summary="One agent's drift, session by session", tags=["drift"])
    async def course(request: AnyRequest, agent: FromPath[str], last: FromQuery[int] = 200) -> Course:
        person_of(request, service)
        return await asyncio.to_thread(behaviour_views.course, service.core, agent, last)

    @get("/baselines", summary="Pinned baselines, newest first", tags=["drift"])
    async def listing(request: AnyRequest) -> list[BaselineView]:
        person_of(request, service)
        return baselines.views(service.core)

    @get("/baselines/{agent:str}", summary="One baseline, with what is in it", tags=["drift"])
    async def one(request: AnyRequest, agent: FromPath[str]) -> BaselineView:
        person_of(request, service)
        return await asyncio.to_thread(baselines.view, service.core, agent)

    @post("/baselines/{agent:str}", status_code=201, summary="Propose a baseline", tags=["drift"])
    async def propose(request: AnyRequest, agent: FromPath[str], data: JSONBody[NewBaseline]) -> RequestView:
        return await baselines.propose(service.core, agent, person_of(request, service), data.why)

    return [fleet, course, listing, one, propose]
