"""The queue: what waits for people, most care first, then soonest deadline, live."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from keyturn.channels.web.rendering import render
from keyturn.channels.web.site import HTML, AnyRequest, Site, now
from keyturn.channels.web.wording import STATES
from keyturn.errors import KeyturnError, Malformed
from keyturn.identity import Person
from keyturn.service.model import RequestView
from keyturn.service.queueing import RANKS

PAGE = 60
"""Rows drawn at once: 60 render in about a millisecond, 1,000 in fifty; the rest comes on asking."""
MOST_ROWS_AT_ONCE = 60


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/`, `/requests` and the row fragments."""

    async def listing(
        state: str | None, viewer: Person, before: str | None, rank: str | None = None
    ) -> tuple[list[RequestView], str | None]:
        views = await site.web.service.requests(state, viewer, PAGE + 1, before, rank)
        more = views[PAGE - 1].id if len(views) > PAGE else None
        return views[:PAGE], more

    @get("/")
    async def queue(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        rank = _rank(request)
        views, more = await listing("waiting", viewer, _before(request), rank)
        return site.page(
            request,
            "queue.html",
            rank=rank,
            counts=site.web.service.waiting_counts(),
            person=viewer,
            rows=views,
            more=more,
            state="waiting",
            unreviewed=site.web.unreviewed(),
            last=await _last_decided(site, viewer, views),
        )

    @get("/requests")
    async def history(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        state = str(request.query_params.get("state", "all"))
        if state != "all" and state not in STATES:
            raise Malformed(f"There is no state {state}.")
        views, more = await listing(None if state == "all" else state, viewer, _before(request))
        return site.page(request, "history.html", person=viewer, rows=views, more=more, state=state)

    @get("/fragments/row/{ids:str}")
    async def rows(request: AnyRequest, ids: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        views = []
        for id_ in ids.split(",")[:MOST_ROWS_AT_ONCE]:
            try:
                views.append(await site.web.service.request(id_, viewer))
            except KeyturnError as error:
                if error.status != 404:
                    raise
        return _fragment(views, None)

    @get("/fragments/rows")
    async def more_rows(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        views, more = await listing("waiting", viewer, _before(request), _rank(request))
        return _fragment(views, more)

    def _fragment(views: list[RequestView], more: str | None) -> Response[str]:
        counts = site.web.service.waiting_counts()
        body = render(
            "rows.html", rows=views, more=more, now=now(), waiting=sum(counts.values()), counts=counts
        )
        return Response(body, media_type=HTML)

    return [queue, history, rows, more_rows]


def _rank(request: AnyRequest) -> str | None:
    value = str(request.query_params.get("tier", ""))
    if value and value not in RANKS:
        raise Malformed(f"There is no tier {value[:40]}.")
    return value or None


def _before(request: AnyRequest) -> str | None:
    value: Any = request.query_params.get("before")
    return str(value) if value else None


async def _last_decided(site: Site, viewer: Person, waiting: list[RequestView]) -> RequestView | None:
    """For the empty state: the request that ended last."""
    if waiting:
        return None
    ended = [view for view in await site.web.service.requests(None, viewer, 20) if view.ended is not None]
    return max(ended, key=lambda view: view.ended or 0, default=None)
