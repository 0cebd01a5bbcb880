"""Configurations of targets: what they were seen to be, and approved changes of them."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from keyturn.channels.api.access import person_of
from keyturn.drift.finding import Explanation
from keyturn.service import configuration_views, configurations, lineages
from keyturn.service.configuration_views import ConfigurationView, Sighting
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import RequestView

AnyRequest = Request[Any, Any, Any]
Name = Annotated[str, Meta(max_length=200)]


class Seen(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/configurations/seen: `content` is the source's text (files, terraform, kubernetes, iam, mcp), `tag` the change it is of."""

    source: Name
    target: Name
    content: str
    tag: Name = ""


class Proposal(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/configurations/propose: what shall be (or a plan), why, and when. Times in milliseconds since 1970, 0 for now and a week on.

    With `whole` objects that `content` does not name are to go.
    """

    source: Name
    target: Name
    content: str
    why: Annotated[str, Meta(max_length=2000)]
    opens: int = 0
    closes: int = 0
    max_uses: int = 1
    effects: list[Name] = []
    whole: bool = False


def configuration_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/configurations`, and the explanation of an action."""
    core = service.core

    @get("/configurations", summary="Configurations of targets, the last seen first", tags=["drift"])
    async def listing(request: AnyRequest) -> list[ConfigurationView]:
        person_of(request, service)
        return configuration_views.views(core)

    @get(
        "/configurations/{target:str}", summary="One target: its drift, sightings and changes", tags=["drift"]
    )
    async def show(request: AnyRequest, target: FromPath[str]) -> ConfigurationView:
        person_of(request, service)
        return configuration_views.view(core, target)

    @post("/configurations/seen", status_code=201, summary="Record what a target is now", tags=["drift"])
    async def seen(request: AnyRequest, data: JSONBody[Seen]) -> Sighting:
        person = person_of(request, service)
        return await configurations.seen(
            core, data.source, data.content.encode(), data.target, person, data.tag
        )

    @post(
        "/configurations/propose", status_code=201, summary="Ask people to approve a change", tags=["drift"]
    )
    async def propose(request: AnyRequest, data: JSONBody[Proposal]) -> RequestView:
        person = person_of(request, service)
        return await configurations.propose(
            core,
            data.source,
            data.content.encode(),
            data.target,
            person,
            data.why,
            opens=data.opens,
            closes=data.closes,
            max_uses=data.max_uses,
            effects=data.effects,
            whole=data.whole,
        )

    @get("/actions/{action:str}/explanation", summary="What let an action run", tags=["drift"])
    async def explanation(request: AnyRequest, action: FromPath[str]) -> Explanation:
        person_of(request, service)
        return lineages.explain(core, action)

    return [listing, show, seen, propose, explanation]


__all__ = ["configuration_routes"]
