"""Coverage: how much of what targets' own logs tell has a matching action, until when, and what went past."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.site import AnyRequest, Site
from keyturn.service.reconciling import CoverageView

WIDTH, HEIGHT = 240, 40
"""The chart's size in its own units."""


class Covered(Struct, frozen=True):
    """One target as the page shows it. `line` are the chart's points, `spoken` the same in words."""

    view: CoverageView
    line: str
    spoken: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/coverage`, `/coverage/{id}`."""

    @get("/coverage")
    async def coverage(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        shown = [Covered(one, line(one.history), spoken(one.history)) for one in site.web.coverage()]
        return site.page(request, "coverage.html", person=viewer, targets=shown, width=WIDTH, height=HEIGHT)

    @get("/coverage/{id:str}")
    async def one(request: AnyRequest, id: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        found = site.web.reconciliation(viewer, id)
        return site.page(request, "reconciliation.html", person=viewer, run=found)

    return [coverage, one]


def shares(history: Sequence[tuple[int, int, int, int, int]]) -> list[float]:
    """The share of matched events of each run that had any."""
    return [accounted / events for _, _, events, accounted, _ in history if events]


def line(history: Sequence[tuple[int, int, int, int, int]]) -> str:
    """The points of the chart of coverage over runs, oldest first; empty for fewer than two."""
    found = shares(history)
    if len(found) < 2:
        return ""
    step = WIDTH / (len(found) - 1)
    return " ".join(f"{place * step:.1f},{HEIGHT * (1 - share):.1f}" for place, share in enumerate(found))


def spoken(history: Sequence[tuple[int, int, int, int, int]]) -> str:
    """The chart in words, for those who can't see it."""
    found = shares(history)
    if not found:
        return "no run with events yet"
    return f"{len(found)} runs, lowest {min(found):.1%}, last {found[-1]:.1%}"
