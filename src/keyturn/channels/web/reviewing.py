"""How people review: one's own first, everybody's for administrators and auditors."""

from __future__ import annotations

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from keyturn.channels.web.site import AnyRequest, Site


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/reviewing`."""

    @get("/reviewing")
    async def page(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        service = site.web.service
        own = service.vigilance(viewer, viewer.id)
        overseer = bool({"admin", "auditor"} & set(viewer.roles))
        return site.page(
            request,
            "reviewing.html",
            person=viewer,
            own=own,
            others=service.vigilance_of_all(viewer) if overseer else None,
        )

    return [page]
