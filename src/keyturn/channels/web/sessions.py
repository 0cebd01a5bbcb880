"""A session's terminal on its page: replay, live view and the kill switch.

Rules kept here:

- A recording is given to people only, in pieces; `keyturn.recordings` says which files are one.
- The player is outside code: it runs in a sandboxed frame of its own (no cookies, no network, an opaque origin) under a policy of
  its own. The page hands it text; it hands back a height. `wasm-unsafe-eval` is allowed there and nowhere else.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.errors import PageUnknown
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.errors import NotFound, TooLarge
from keyturn.recordings import read_recording

MAX_REASON = 2_000

_PLAYER = Path(__file__).parent / "player"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_FILES = {
    path.name: (path.read_bytes(), _TYPES[path.suffix])
    for path in sorted(_PLAYER.iterdir())
    if path.suffix in _TYPES
}
FRAME_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "font-src data:",
        "img-src data:",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "sandbox allow-scripts",
    )
)


class Stop(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sessions/{id}/stop`."""

    reason: str


class Stopped(Struct, frozen=True):
    """Its answer, given only once the ledger has the entry."""

    words: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/sessions/{id}/recording`, `/sessions/{id}/stop`, `/player/{name}`."""

    @get("/sessions/{session:str}/recording")
    async def recording(request: AnyRequest, session: FromPath[str]) -> Response[bytes]:
        site.web.require_content(site.viewer(request))
        given = str(request.query_params.get("from", "0"))
        start = int(given) if given.isdecimal() and len(given) < 16 else 0
        data = await asyncio.to_thread(read_recording, site.web.recordings, session, start)
        if data is None:
            raise NotFound(f"The session {session} has no recording here.")
        return Response(data, media_type="application/octet-stream")

    @post("/sessions/{session:str}/stop", status_code=200)
    async def stop(request: AnyRequest, session: FromPath[str], data: JSONBody[Stop]) -> Stopped:
        viewer = site.viewer(request)
        if len(data.reason) > MAX_REASON:
            raise TooLarge(
                f"The reason has {len(data.reason):,} characters; at most {MAX_REASON:,} are recorded."
            )
        view = await site.web.service.stop_session(session, viewer, data.reason)
        return Stopped(f"Stopped by {view.stopped_by}: {view.stopped_why}")

    @get("/player/{name:str}", sync_to_thread=False)
    def player(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        if name not in _FILES:
            raise PageUnknown("There is no such file.")
        body, media_type = _FILES[name]
        headers = {
            "content-security-policy": FRAME_POLICY,
            "x-frame-options": "SAMEORIGIN",
            # The frame's origin is opaque, so nothing is same-origin with it. These files are public.
            "cross-origin-resource-policy": "cross-origin",
            "cache-control": "no-cache",
        }
        return Response(body, media_type=media_type, headers=headers)

    return [recording, stop, player]
