"""What has to be deleted and when, what must stay, and what was erased from the log."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from keyturn.channels.web.site import AnyRequest, Site


class Gone(Struct, frozen=True, forbid_unknown_fields=True):
    """How the person knows that a file is gone."""

    reason: Annotated[str, Meta(max_length=2000)]


class Recorded(Struct, frozen=True):
    """The answer, given only once the ledger has the entry."""

    words: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/retention`."""

    @get("/retention")
    async def retention(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        return site.page(request, "retention.html", person=viewer, kept=site.web.retention())

    @post("/artefacts/{artefact:str}/gone", status_code=200)
    async def gone(request: AnyRequest, artefact: FromPath[str], data: JSONBody[Gone]) -> Recorded:
        found = await site.web.gone(site.viewer(request), artefact, data.reason)
        return Recorded(f"Recorded: {found.path} is gone, says {found.by}.")

    return [retention, gone]
