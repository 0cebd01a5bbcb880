"""The auditor's portal: what to take home, what to look at, and how to check it alone."""

from __future__ import annotations

import asyncio

from litestar import Response, get
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from keyturn.channels.web.controls import SHOWN
from keyturn.channels.web.site import AnyRequest, Site


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/auditor`, its checkpoint to take home, and the way to one entry."""

    @get("/auditor")
    async def portal(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        evidence, ledger = site.web.evidence, site.web.ledger
        found = await asyncio.to_thread(evidence.overview)
        return site.page(
            request, "auditor.html", person=viewer, found=found, shown=SHOWN, size=ledger.size,
            vkey=evidence.vkey(), origin=evidence.vkey().partition("+")[0], checkpoint=ledger.head() or "",
            content=evidence.content_for(viewer),
        )  # fmt: skip

    @get("/auditor/checkpoint", media_type="text/plain")
    async def checkpoint(request: AnyRequest) -> Response[str]:
        site.viewer(request)
        return Response(
            site.web.ledger.head() or "",
            media_type="text/plain; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="checkpoint"'},
        )

    @get("/auditor/entry")
    async def entry(request: AnyRequest) -> Response[str] | Redirect:
        site.viewer(request)
        given = str(request.query_params.get("index", ""))
        return Redirect(f"/ledger/{given}" if given.isdecimal() and len(given) < 16 else "/ledger")

    return [portal, checkpoint, entry]
