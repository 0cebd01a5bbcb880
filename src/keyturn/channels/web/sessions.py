"""A session's terminal on its page: replay, live view and the kill switch.

Rules kept here:

- A recording is read by its session's id alone, never through a link (O_NOFOLLOW), only a plain file of this account, in pieces.
- The player is outside code: it runs in a sandboxed frame of its own (no cookies, no network, an opaque origin) under a policy of
  its own. The page hands it text; it hands back a height. `wasm-unsafe-eval` is allowed there and nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.errors import PageUnknown
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.errors import NotFound, TooLarge

PIECE = 2 * 1024 * 1024
"""Bytes of a recording given at once."""
MAX_REASON = 2_000

_SESSION = re.compile(r"s_[0-9a-hjkmnp-tv-z]{26}")
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
        site.viewer(request)
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


def has_recording(folder: Path | None, session: str) -> bool:
    """Whether something can be replayed."""
    return read_recording(folder, session, 0, 1) is not None


def read_recording(folder: Path | None, session: str, start: int, most: int = PIECE) -> bytes | None:
    """At most *most* bytes of the recording from *start*; None when there is none that may be read."""
    if folder is None or not _SESSION.fullmatch(session):
        return None
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        file = os.open(
            f"{session}.cast", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root
        )
    except OSError:
        return None
    finally:
        os.close(root)
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid() or about.st_nlink != 1:
            return None
        return os.pread(file, most, start)
    except OSError:
        return None
    finally:
        os.close(file)
