"""“Always allow…”: the rule that a held action would need, what it would have run, and asking somebody else for it."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.rendering import path
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.errors import KeyturnError, Malformed

DAYS = (7, 30, 90, 365)
MAX_NOTE = 2_000


class Proposal(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /requests/{id}/always`: the proposal as it was shown."""

    digest: str
    days: int
    note: str = ""


class Proposed(Struct, frozen=True):
    """Its answer: where the request for the rule is."""

    next: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/requests/{id}/always`, `/rules/unused`."""

    @get("/requests/{request_id:str}/always")
    async def page(request: AnyRequest, request_id: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        given = str(request.query_params.get("days", "30"))
        if given not in map(str, DAYS):
            raise Malformed("A rule lets run for 7, 30, 90 or 365 days.")
        view = await site.web.service.request(request_id, viewer)
        if view.withheld:
            site.web.require_content(viewer)
        found, refused = None, None
        try:
            found = await site.web.service.always_allow(request_id, int(given))
        except KeyturnError as error:
            refused = error
        return site.page(
            request,
            "always.html",
            person=viewer,
            r=view,
            found=found,
            refused=refused,
            days=int(given),
            choices=DAYS,
            may=bool({"author", "admin"} & set(viewer.roles)),
        )

    @post("/requests/{request_id:str}/always", status_code=200)
    async def propose(request: AnyRequest, request_id: FromPath[str], data: JSONBody[Proposal]) -> Proposed:
        viewer = site.viewer(request)
        made = await site.web.service.propose_always(
            request_id, viewer, days=data.days, digest=data.digest, note=data.note[:MAX_NOTE]
        )
        return Proposed(path("requests", made.id))

    @get("/rules/unused")
    async def unused(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        return site.page(request, "unused.html", person=viewer, rules=await site.web.service.unused_rules())

    return [page, propose, unused]
