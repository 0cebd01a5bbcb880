"""Routes of controls: what each came to, with its tests and history; run the tests now.

People only. Auditors read; whoever is no auditor may have the tests run. What is read is put together beside the server's loop: a
house's own controls may take a moment when the policy is new.
"""

from __future__ import annotations

import asyncio

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery

from keyturn.channels.api.access import AnyRequest, person_of
from keyturn.service import control_views
from keyturn.service.control_views import ControlPage, ControlsView, RunView, WallView
from keyturn.service.keyturn import Keyturn


def control_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/controls`."""
    core = service.core

    @get("/controls", summary="Frameworks, and what their controls came to", tags=["people"])
    async def frameworks(request: AnyRequest) -> ControlsView:
        person_of(request, service)
        return await asyncio.to_thread(control_views.overview, core)

    @get("/controls/{framework:str}", summary="One framework's controls", tags=["people"])
    async def wall(request: AnyRequest, framework: FromPath[str]) -> WallView:
        person_of(request, service)
        return await asyncio.to_thread(control_views.wall, core, framework)

    @get(
        "/controls/{framework:str}/{control:path}",
        summary="One control, its tests and its history",
        tags=["people"],
    )
    async def page(
        request: AnyRequest,
        framework: FromPath[str],
        control: FromPath[str],
        since: FromQuery[int | None] = None,
        until: FromQuery[int | None] = None,
    ) -> ControlPage:
        person_of(request, service)
        name = control.removeprefix("/")
        return await asyncio.to_thread(control_views.page, core, framework, name, since, until)

    @post(
        "/controls/test",
        status_code=200,
        summary="Run the tests now, and record what they come to",
        tags=["people"],
    )
    async def test(request: AnyRequest) -> RunView:
        person = person_of(request, service)
        return await service.test_controls(person.id)

    return [frameworks, wall, page, test]
