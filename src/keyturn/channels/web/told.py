"""How a person is told: the channels they do without, their browsers that get push messages, and what makes the page installable."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.push.subscription import Keys, Subscription
from keyturn.channels.web.errors import PageUnknown
from keyturn.channels.web.rendering import ASSETS, ASSETS_DIGEST
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.identity import Person

BACKGROUND = "#10161d"


class Reach(Struct, frozen=True):
    """A channel that reaches the viewer: `words` say where."""

    name: str
    words: str
    wanted: bool


class Telling(Protocol):
    """What these pages need: who is told how, and the verbs that change it."""

    @property
    def push_key(self) -> str:
        """The key for `pushManager.subscribe`; empty where push is not set up."""
        ...

    def reach(self, person: Person) -> list[Reach]:
        """Channels that reach *person* by an account of theirs."""
        ...

    def browsers(self, person: Person) -> list[dict[str, Any]]:
        """Their browsers."""
        ...

    async def choose(self, person: Person, without: list[str]) -> None:
        """Do without these channels."""
        ...

    async def subscribe(self, person: Person, given: Subscription, device: str) -> None:
        """Tell this browser. Raises `Malformed`."""
        ...

    async def unsubscribe(self, person: Person, identity: str) -> None:
        """Tell it no more. Raises `NotFound`."""
        ...


class Choice(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /you/told`."""

    without: list[str]


class Browser(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /you/browsers`."""

    endpoint: str
    keys: Keys
    device: str = ""


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing."""


class Done(Struct, frozen=True):
    """It was recorded."""

    words: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/you/told`, `/you/browsers…`, `/sw.js`, `/manifest.webmanifest`."""

    def telling() -> Telling:
        if site.web.telling is None:
            raise PageUnknown("Nobody is told anything by this server.")
        return site.web.telling

    @get("/you/told")
    async def told(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        given = telling()
        return site.page(
            request,
            "told.html",
            person=viewer,
            channels=given.reach(viewer),
            browsers=given.browsers(viewer),
            push_key=given.push_key,
        )

    @post("/you/told", status_code=200)
    async def choose(request: AnyRequest, data: JSONBody[Choice]) -> Done:
        await telling().choose(site.viewer(request), data.without)
        return Done("Recorded.")

    @post("/you/browsers", status_code=201)
    async def subscribe(request: AnyRequest, data: JSONBody[Browser]) -> Done:
        viewer = site.viewer(request)
        await telling().subscribe(viewer, Subscription(data.endpoint, data.keys), data.device)
        return Done("Recorded: this browser is told.")

    @post("/you/browsers/{identity:str}/end", status_code=200)
    async def unsubscribe(request: AnyRequest, identity: FromPath[str], data: JSONBody[Nothing]) -> Done:
        await telling().unsubscribe(site.viewer(request), identity)
        return Done("Recorded: that browser is told no more.")

    @get("/sw.js", sync_to_thread=False)
    def worker() -> Response[bytes]:
        headers = {"cache-control": "no-cache", "content-security-policy": "default-src 'none'"}
        return Response(ASSETS["worker.js"].body, media_type="text/javascript", headers=headers)

    @get("/manifest.webmanifest", sync_to_thread=False)
    def manifest() -> Response[bytes]:
        headers = {"cache-control": "no-cache"}
        return Response(_manifest(), media_type="application/manifest+json", headers=headers)

    return [told, choose, subscribe, unsubscribe, worker, manifest]


def _manifest() -> bytes:
    """The page as an app (W3C Web Application Manifest)."""
    icons = [
        {
            "src": f"/assets/{ASSETS_DIGEST}/icon-{size}.png",
            "sizes": f"{size}x{size}",
            "type": "image/png",
            "purpose": purpose,
        }
        for size in (192, 512)
        for purpose in ("any", "maskable")
    ]
    return msgspec.json.encode(
        {
            "id": "/",
            "name": "Keyturn",
            "short_name": "Keyturn",
            "description": "What waits for you, and your decision.",
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "background_color": BACKGROUND,
            "theme_color": BACKGROUND,
            "icons": icons,
        }
    )
