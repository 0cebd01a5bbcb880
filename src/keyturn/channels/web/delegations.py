"""Standing in, on the page You: hand your places over to a colleague, take them back."""

from __future__ import annotations

from typing import Annotated

from litestar import post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from keyturn.channels.web.site import AnyRequest, Site


class Handing(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /you/delegations`: to whom, until and from when (milliseconds since 1970), which groups (all when empty)."""

    to: str
    until: int
    since: int | None = None
    groups: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    why: Annotated[str, Meta(max_length=500)] = ""


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing."""


class Done(Struct, frozen=True):
    """The answer, given only once the ledger has the entry."""

    entry: int
    words: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/you/delegations…`; the list itself is part of `/you`."""

    @post("/you/delegations", status_code=201)
    async def hand_over(request: AnyRequest, data: JSONBody[Handing]) -> Done:
        viewer = site.viewer(request)
        made = await site.web.service.hand_over(
            viewer, data.to, groups=data.groups, until=data.until, since=data.since, why=data.why
        )
        return Done(made.entry, f"{made.to} stands in for you.")

    @post("/you/delegations/{delegation:str}/end", status_code=200)
    async def end(request: AnyRequest, delegation: FromPath[str], data: JSONBody[Nothing]) -> Done:
        ended = await site.web.service.end_delegation(site.viewer(request), delegation)
        return Done(ended.entry, f"{ended.to} no longer stands in for {ended.person}.")

    return [hand_over, end]
