"""Agents, and what they are."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from keyturn.channels.api.access import person_of
from keyturn.drift.definition_diff import Comparison
from keyturn.errors import NotFound
from keyturn.service import defining, definition_views
from keyturn.service.definition_views import AgentView, DefinitionView
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import RequestView

AnyRequest = Request[Any, Any, Any]


class Proposal(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/definitions/{name}/propose: why people should approve it. `place`: where, if not where it was seen first.

    `anew`: as what small steps are measured against from then on. `effects`: what it is expected to do more (`writes:production`).
    """

    why: Annotated[str, Meta(max_length=2000)] = ""
    agent: Annotated[str, Meta(max_length=200)] = ""
    place: Annotated[str, Meta(max_length=1000)] | None = None
    anew: bool = False
    effects: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=50)] = []


class Withdrawal(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/definitions/{name}/withdraw: why it is approved no longer."""

    why: Annotated[str, Meta(max_length=2000)]
    agent: Annotated[str, Meta(max_length=200)] = ""


def definition_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/agents` and `/definitions`. A definition's *name* is its digest, 8 characters of it or more, or an agent: its newest."""
    core = service.core

    @get("/agents", summary="Agents, and what people know of what they are", tags=["drift"])
    async def agents(request: AnyRequest) -> list[AgentView]:
        person_of(request, service)
        return definition_views.agents(core)

    @get("/agents/{agent:str}", summary="One agent", tags=["drift"])
    async def agent(request: AnyRequest, agent: FromPath[str]) -> AgentView:
        person_of(request, service)
        found = definition_views.agent(core, agent)
        if found is None:
            raise NotFound(f"No agent {agent[:80]!r} was ever seen.")
        return found

    @get("/definitions", summary="Definitions, the last used first", tags=["drift"])
    async def listing(request: AnyRequest, agent: FromQuery[str] = "") -> list[DefinitionView]:
        person_of(request, service)
        return definition_views.definitions(core, agent)

    @get("/definitions/{name:str}", summary="One definition with its parts", tags=["drift"])
    async def show(request: AnyRequest, name: FromPath[str], agent: FromQuery[str] = "") -> DefinitionView:
        person_of(request, service)
        return definition_views.view(core, defining.found(core, name, agent))

    @get("/definitions/{name:str}/diff", summary="What is different from the approved one", tags=["drift"])
    async def diff(
        request: AnyRequest, name: FromPath[str], agent: FromQuery[str] = "", before: FromQuery[str] = ""
    ) -> Comparison:
        person_of(request, service)
        row = defining.found(core, name, agent)
        other = defining.found(core, before, row["agent"]) if before else definition_views.approved(core, row)
        return await defining.compared_apart(core, other, row)

    @post(
        "/definitions/{name:str}/propose",
        status_code=201,
        summary="Ask people to approve one",
        tags=["drift"],
    )
    async def propose(request: AnyRequest, name: FromPath[str], data: JSONBody[Proposal]) -> RequestView:
        person = person_of(request, service)
        return await defining.propose(
            core, name, person, data.why, data.agent, data.place, anew=data.anew, effects=data.effects
        )

    @post(
        "/definitions/{name:str}/withdraw", status_code=200, summary="Take an approval back", tags=["drift"]
    )
    async def withdraw(
        request: AnyRequest, name: FromPath[str], data: JSONBody[Withdrawal]
    ) -> DefinitionView:
        person = person_of(request, service)
        row = await defining.withdraw(core, name, person, data.why, data.agent)
        return definition_views.view(core, row)

    return [agents, agent, listing, show, diff, propose, withdraw]
