"""The about page and the assets."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from keyturn.channels.web.errors import PageUnknown
from keyturn.channels.web.proofs import parse_checkpoint
from keyturn.channels.web.rendering import ASSETS, ASSETS_DIGEST
from keyturn.channels.web.site import AnyRequest, Site

_FOREVER = "public, max-age=31536000, immutable"


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/about`, `/assets/{digest}/{name}`."""

    @get("/about")
    async def about(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        return site.page(
            request,
            "about.html",
            person=viewer,
            health=site.web.health(),
            checkpoint=parse_checkpoint(site.web.ledger.head() or ""),
            size=site.web.ledger.size,
        )

    @get("/assets/{digest:str}/{name:str}", sync_to_thread=False)
    def asset(request: AnyRequest, digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        found = ASSETS.get(name)
        if found is None or digest != ASSETS_DIGEST:
            raise PageUnknown("There is no such file; the page that asked for it is from another version.")
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {"cache-control": _FOREVER, "vary": "accept-encoding"}
        if packed:
            headers["content-encoding"] = "gzip"
        return Response(
            found.compressed if packed else found.body, media_type=found.media_type, headers=headers
        )

    return [about, asset]
