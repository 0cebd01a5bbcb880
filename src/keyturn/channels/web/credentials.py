"""Credentials: those of gates and agents, and one's own tokens; each can be revoked here, also on a phone at night."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.site import AnyRequest, Site


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing."""


class Gone(Struct, frozen=True):
    """The answer, given only once the ledger has the entry."""

    words: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/credentials`."""

    @get("/credentials")
    async def credentials(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        theirs, own = site.web.credentials(viewer)
        admin = "admin" in viewer.roles
        return site.page(request, "credentials.html", person=viewer, theirs=theirs, own=own, admin=admin)

    @post("/credentials/{credential:str}/revoke", status_code=200)
    async def revoke(request: AnyRequest, credential: FromPath[str], data: JSONBody[Nothing]) -> Gone:
        gone = await site.web.revoke_credential(site.viewer(request), credential)
        return Gone(f"{gone.id} of {gone.name} is revoked: it opens nothing any more.")

    return [credentials, revoke]
