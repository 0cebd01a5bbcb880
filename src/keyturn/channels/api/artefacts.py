"""Files made of labelled data, legal holds, and erasures."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from keyturn.channels.api.access import person_of
from keyturn.service import artefacts, erasing, legal_holds
from keyturn.service.artefacts import ArtefactView
from keyturn.service.erasing import ErasureView
from keyturn.service.keyturn import Keyturn
from keyturn.service.legal_holds import HoldView
from keyturn.service.model import RequestView

AnyRequest = Request[Any, Any, Any]


class Gone(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/artefacts/{id}/gone: how you know that the file is gone. `scan` says that a program looked for it and found nothing."""

    why: Annotated[str, Meta(max_length=2000)]
    scan: bool = False


class Placing(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/legal-holds: what must stay, and why. `scope`: everything, person, session, agent or label; `of` names it."""

    scope: str
    why: Annotated[str, Meta(max_length=2000)]
    of: Annotated[str, Meta(max_length=500)] = ""


class Lifting(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/legal-holds/{id}/lift: why it can end."""

    why: Annotated[str, Meta(max_length=2000)]


class Erasing(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/erasures: what to erase from the log, and why. `scope`: person, session or action; `of` names it."""

    scope: str
    of: Annotated[str, Meta(max_length=500)]
    why: Annotated[str, Meta(max_length=2000)]


def artefact_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/artefacts` and `/legal-holds`."""
    core = service.core

    @get("/artefacts", summary="Files that agents made of labelled data", tags=["drift"])
    async def listing(request: AnyRequest, only: FromQuery[str] = "open") -> list[ArtefactView]:
        person_of(request, service)
        return artefacts.views(core, ("overdue", "kept") if only != "all" else ("overdue", "kept", "gone"))

    @post(
        "/artefacts/{artefact:str}/gone", status_code=200, summary="Say that a file is gone", tags=["drift"]
    )
    async def gone(request: AnyRequest, artefact: FromPath[str], data: JSONBody[Gone]) -> ArtefactView:
        person = person_of(request, service)
        return await artefacts.attest(core, artefact, person, data.why, "scan" if data.scan else "attested")

    @get("/legal-holds", summary="What must not be deleted or erased", tags=["drift"])
    async def holds(request: AnyRequest, only: FromQuery[str] = "on") -> list[HoldView]:
        person_of(request, service)
        return legal_holds.views(core, only)

    @post("/legal-holds", status_code=201, summary="Place a legal hold", tags=["drift"])
    async def place(request: AnyRequest, data: JSONBody[Placing]) -> HoldView:
        return await legal_holds.place(core, data.scope, data.of, data.why, person_of(request, service))

    @post(
        "/legal-holds/{hold:str}/lift",
        status_code=201,
        summary="Ask for a legal hold to be lifted",
        tags=["drift"],
    )
    async def lift(request: AnyRequest, hold: FromPath[str], data: JSONBody[Lifting]) -> RequestView:
        return await legal_holds.lift(core, hold, data.why, person_of(request, service))

    @get("/erasures", summary="What was erased from the log", tags=["drift"])
    async def erasures(request: AnyRequest) -> list[ErasureView]:
        person_of(request, service)
        return erasing.views(core)

    @post("/erasures", status_code=201, summary="Ask for an erasure", tags=["drift"])
    async def erase(request: AnyRequest, data: JSONBody[Erasing]) -> RequestView:
        return await erasing.propose(core, data.scope, data.of, data.why, person_of(request, service))

    return [listing, gone, holds, place, lift, erasures, erase]


__all__ = ["artefact_routes"]
