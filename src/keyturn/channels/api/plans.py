"""Routes of plans: proposed by gates, listed and revoked by people. None opens one: that is only ever an approval's doing."""

from __future__ import annotations

import msgspec
from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody

from keyturn.channels.api import model
from keyturn.channels.api.access import AnyRequest, caller_of, page, person_of
from keyturn.service import plans, remote
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import PlanAnswer, PlanView


def plan_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/plans` and what belongs to it."""

    @post("/plans", status_code=200, summary="Propose a list of actions as a whole", tags=["gates"])
    async def propose(request: AnyRequest, data: JSONBody[model.NewPlan]) -> PlanAnswer:
        caller = caller_of(request, service)
        steps = [
            msgspec.structs.replace(step, action=remote.attributed(service, caller, step.action))
            for step in data.steps
        ]
        return await service.propose_plan(steps, data.why, data.seconds)

    @get("/plans", summary="Plans that people approved, newest first", tags=["people"])
    async def listing(
        request: AnyRequest, only: FromQuery[str] = "open", limit: FromQuery[int] = 100
    ) -> list[PlanView]:
        person_of(request, service)
        return plans.views(service.core, only, page(limit))

    @get("/plans/{plan:str}", summary="One plan", tags=["people"])
    async def one(request: AnyRequest, plan: FromPath[str]) -> PlanView:
        person_of(request, service)
        return plans.view(service.core, plan)

    @post("/plans/{plan:str}/revoke", status_code=200, summary="Revoke a plan", tags=["people"])
    async def revoke(request: AnyRequest, plan: FromPath[str], data: JSONBody[model.Stop]) -> PlanView:
        return await service.revoke_plan(plan, person_of(request, service, "deny"), data.reason)

    return [propose, listing, one, revoke]
