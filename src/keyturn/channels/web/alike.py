"""Requests that differ in words only: a table of what differs, and one gesture for those that are taken."""

from __future__ import annotations

from typing import Literal

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.approvals.gesture import Gesture
from keyturn.channels.web.requests import MAX_REASON
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.errors import TooLarge
from keyturn.policy.shape import differing
from keyturn.service.batches import Item, Result
from keyturn.service.model import RequestView


class Verdicts(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /alike/decision`: one choice, bound to both digests of each request."""

    choice: Literal["approve", "deny"]
    items: tuple[Item, ...]
    reason: str = ""
    dwell_ms: int | None = None


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/alike/{id}` and its decision."""

    @get("/alike/{request_id:str}")
    async def page(request: AnyRequest, request_id: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        views = await site.web.service.together(request_id, viewer)
        for view in views:
            site.web.service.served(view.id, viewer)
        return site.page(
            request,
            "alike.html",
            person=viewer,
            rows=views,
            columns=columns(views),
            needs_reason=any(view.obligations.reason_required for view in views),
            most_reason=MAX_REASON,
        )

    @post("/alike/decision", status_code=200)
    async def decide(request: AnyRequest, data: JSONBody[Verdicts]) -> list[Result]:
        viewer = site.viewer(request)
        if len(data.reason) > MAX_REASON:
            raise TooLarge(
                f"The reason has {len(data.reason):,} characters; at most {MAX_REASON:,} are recorded."
            )
        return await site.web.service.decide_together(
            data.items,
            viewer,
            data.choice,
            reason=data.reason,
            channel="web",
            gesture=Gesture(dwell_ms=data.dwell_ms),
        )

    return [page, decide]


def columns(views: list[RequestView]) -> list[tuple[str, ...]]:
    """What differs: a column for each place, with the word of each request. None where they can't be compared."""
    rows = differing([view.text for view in views])
    return list(zip(*rows, strict=True)) if rows else []


__all__ = ["Verdicts", "columns", "handlers"]
