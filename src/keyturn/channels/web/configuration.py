"""Configurations of targets: what changed, and which approved change explains it."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from keyturn.channels.web.site import AnyRequest, Site


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/configuration` and one target."""

    @get("/configuration")
    async def listing(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        return site.page(
            request, "configuration.html", person=viewer, targets=site.web.configurations(), one=None
        )

    @get("/configuration/{target:str}")
    async def show(request: AnyRequest, target: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        return site.page(
            request, "configuration.html", person=viewer, targets=(), one=site.web.configuration(target)
        )

    return [listing, show]
