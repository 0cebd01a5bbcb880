"""Routes of evidence packs: ask for one, list, have it built, fetch its file. Administrators and auditors only.

Asking changes nothing but the log, which then says that evidence left the house: so auditors may.
"""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody
from litestar.response import File
from msgspec import Meta, Struct

from keyturn.channels.api.access import AnyRequest, person_of, require_role
from keyturn.identity import Person
from keyturn.service import exporting
from keyturn.service.exporting import ASKING, PackView, Wish
from keyturn.service.keyturn import Keyturn
from keyturn.service.pack_building import Building, PackBuilder


class NewPack(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/evidence/packs. Times in milliseconds since 1970; `until` is not included, and 0 is now.

    `disclosure` (`digests` or `content`) is what policy says when it is left away; `build` has the server make the file.
    """

    framework: Annotated[str, Meta(max_length=80)]
    since: int
    until: int = 0
    auditor: Annotated[str, Meta(max_length=200)] = ""
    disclosure: Annotated[str, Meta(max_length=20)] = ""
    build: bool = False


class PackState(Struct, frozen=True):
    """A pack that was asked for, and how far its file here is."""

    pack: PackView
    file: Building


def pack_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/evidence/packs`."""
    core = service.core

    def asking(request: AnyRequest) -> Person:
        person = person_of(request, service, "read")
        require_role(person, *ASKING)
        return person

    def builder() -> PackBuilder:
        if service.packs is None:
            raise NotFoundException
        return service.packs

    def state(pack: PackView) -> PackState:
        return PackState(pack, builder().look(pack.id))

    @get("/evidence/packs", summary="Evidence packs that were asked for, newest first", tags=["evidence"])
    async def listing(request: AnyRequest) -> list[PackState]:
        asking(request)
        return [state(one) for one in exporting.views(core)]

    @post(
        "/evidence/packs",
        status_code=201,
        summary="Ask for an evidence pack; it is recorded",
        tags=["evidence"],
    )
    async def ask(request: AnyRequest, data: JSONBody[NewPack]) -> PackState:
        person = asking(request)
        wish = Wish(data.framework, data.since, data.until, data.auditor, data.disclosure)
        made = await exporting.ask(core, person, wish)
        if data.build:
            builder().start(made.id)
        return state(made)

    @get("/evidence/packs/{pack:str}", summary="One evidence pack", tags=["evidence"])
    async def one(request: AnyRequest, pack: FromPath[str]) -> PackState:
        asking(request)
        return state(exporting.view(core, pack))

    @post(
        "/evidence/packs/{pack:str}/build",
        status_code=202,
        summary="Have the server build the pack's file",
        tags=["evidence"],
    )
    async def build(request: AnyRequest, pack: FromPath[str]) -> PackState:
        asking(request)
        found = exporting.view(core, pack)
        builder().start(found.id)
        return state(found)

    @get(
        "/evidence/packs/{pack:str}/file",
        media_type="application/zip",
        summary="The pack's file",
        tags=["evidence"],
    )
    async def file(request: AnyRequest, pack: FromPath[str]) -> File:
        found = exporting.taken(core, asking(request), pack)
        name = f"evidence-{found.framework}-{found.id}.zip"
        return File(path=builder().path(found.id), filename=name, media_type="application/zip")

    return [listing, ask, one, build, file]


__all__ = ["pack_routes"]
