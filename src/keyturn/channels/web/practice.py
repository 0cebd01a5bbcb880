"""Policy and practice: how each rule is used, and what people make of its holds."""

from __future__ import annotations

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from keyturn.channels.web.site import AnyRequest, Site


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/practice`."""

    @get("/practice")
    async def practice(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        found = site.web.practice()
        uses = sorted(found[1].uses, key=lambda one: (-one.uses, one.rule)) if found else []
        return site.page(request, "practice.html", person=viewer, found=found, uses=uses)

    return [practice]
