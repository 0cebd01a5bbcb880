"""Evidence packs: ask for one, see those that were asked for, take one home. Administrators and auditors.

Asking changes nothing but the log, which then says that evidence left the house: so auditors may.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import File
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from keyturn.channels.web.controls import DAY_MS, day_of, window
from keyturn.channels.web.errors import SignInNeeded
from keyturn.channels.web.retention import Recorded
from keyturn.channels.web.site import AnyRequest, Site, now
from keyturn.errors import Malformed
from keyturn.evidence.report import charts
from keyturn.identity import Person
from keyturn.service.exporting import ASKING, Wish

Short = Annotated[str, Meta(max_length=200)]


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """The form: days as YYYY-MM-DD, the last one included."""

    framework: Short
    begins: Short
    ends: Short
    auditor: Short = ""
    disclosure: Short = ""


def wish(asked: Asked, moment: int) -> Wish:
    """What is asked for; a period that ends today ends now. Raises `Malformed`. Pure."""
    since, last = day_of(asked.begins), day_of(asked.ends)
    if since is None or last is None:
        raise Malformed(
            "A day is written YYYY-MM-DD.", next_step="Choose the first and the last day of the period."
        )
    until = last + DAY_MS
    return Wish(
        asked.framework, since, 0 if last <= moment < until else until, asked.auditor, asked.disclosure
    )


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/evidence/packs`, and the file of each."""

    def asking(request: AnyRequest) -> Person:
        """Who is signed in; an auditor may ask, too. Raises `SignInNeeded`."""
        person = site.person(request)
        if person is None:
            raise SignInNeeded("You are not signed in.")
        return person

    @get("/evidence/packs")
    async def packs(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        evidence = site.web.evidence
        found = evidence.packs() if set(ASKING) & set(viewer.roles) else None
        overview = await asyncio.to_thread(evidence.overview)
        frameworks = [(one.id, one.title) for one in overview.frameworks]
        return site.page(
            request, "packs.html", person=viewer, found=found, frameworks=frameworks,
            w=window("", "", "", now()), date=charts.date,
        )  # fmt: skip

    @post("/evidence/packs", status_code=201)
    async def ask(request: AnyRequest, data: JSONBody[Asked]) -> Recorded:
        made = await site.web.evidence.ask_pack(asking(request), wish(data, now()))
        return Recorded(f"Recorded as entry {made.entry}; the pack is being made.")

    @post("/evidence/packs/{pack:str}/build", status_code=202)
    async def build(request: AnyRequest, pack: FromPath[str]) -> Recorded:
        site.web.evidence.build_pack(asking(request), pack)
        return Recorded("The pack is being made.")

    @get("/evidence/packs/{pack:str}/file")
    async def file(request: AnyRequest, pack: FromPath[str]) -> File:
        viewer = site.viewer(request)
        path, name = site.web.evidence.pack_file(viewer, pack)
        return File(path=path, filename=name, media_type="application/zip")

    return [packs, ask, build, file]
