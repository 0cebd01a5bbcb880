"""Agents beside what people approved as their ordinary behaviour: the fleet, and one agent's course. Drawn here, without a script.

The evidence is drawn over sessions on a scale of powers of ten, because it multiplies; each session is a link to its entry, so a place in
the picture leads to what was done.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.site import AnyRequest, Site
from keyturn.service.behaviour_views import Course, Group, Point

SPANS = (50, 200, 1000)
"""So many sessions a picture shows."""
WIDTH, HEIGHT = 920, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 20, 34
SERIES = (("evidence", "all together"), ("sensitive", "sensitive"), ("order", "order"), ("novel", "new"))


class Line(Struct, frozen=True):
    """One curve: points as an SVG `points` attribute."""

    name: str
    words: str
    points: str


class Mark(Struct, frozen=True):
    """A session: where it is, how wide its field is, its entry, what is said about it, and the alarms that it raised."""

    x: float
    width: float
    y: float
    entry: int
    time: int
    words: str
    alarms: tuple[str, ...]


class Tick(Struct, frozen=True):
    """A line of the grid, with its words."""

    y: float
    words: str


class Chart(Struct, frozen=True):
    """The whole picture, in the units of its view box."""

    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    threshold: float | None
    first: int
    last: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


class Bar(Struct, frozen=True):
    """A share then and now, in percent of the widest of its table, with its bound's place."""

    group: Group
    before: float
    now: float
    bound: float | None


def height(value: float, top: float) -> float:
    """Where *value* is drawn; *top* is the power of ten at the upper edge. Less than one lies on the ground."""
    share = min(max(math.log10(max(value, 1.0)), 0.0) / top, 1.0)
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def chart(points: Sequence[Point], threshold: float) -> Chart | None:
    """The picture of *points*; None where no session was measured against a baseline."""
    shown = [point for point in points if point.evidence]
    if not shown:
        return None
    largest = max(max(float(point.evidence[name]) for name, _ in SERIES) for point in shown)
    top = math.ceil(max(math.log10(max(largest, threshold, 10.0)) + 0.3, 2.0))
    step = (WIDTH - LEFT - RIGHT) / len(shown)
    middles = [round(LEFT + step * (place + 0.5), 1) for place in range(len(shown))]
    lines = [
        Line(
            name,
            words,
            " ".join(
                f"{x},{height(float(one.evidence[name]), top)}" for x, one in zip(middles, shown, strict=True)
            ),
        )
        for name, words in SERIES
    ]
    marks = [
        Mark(
            round(x - step / 2, 1),
            round(step, 2),
            height(float(one.evidence["evidence"]), top),
            one.entry,
            one.time,
            _words(one),
            tuple(one.evidence.get("alarms", ())),
        )
        for x, one in zip(middles, shown, strict=True)
    ]
    every = max(1, math.ceil(top / 6))
    ticks = tuple(Tick(height(10.0**power, top), f"{10**power:,}") for power in range(0, top + 1, every))
    line = height(threshold, top) if threshold >= 1 else None
    return Chart(tuple(lines), tuple(marks), ticks, line, shown[0].time, shown[-1].time)


def _words(point: Point) -> str:
    parts = [f"{point.actions} actions", f"e-value {number(float(point.evidence['evidence']))}"]
    parts += [f"{point.sensitive} sensitive"] if point.sensitive else []
    parts += ["something new"] if point.novel else []
    return ", ".join(parts)


def number(value: float) -> str:
    """An e-value for reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def percent(share: float) -> str:
    """A share for reading."""
    return f"{100 * share:.1f} %"


def bars(groups: Sequence[Group]) -> list[Bar]:
    """*groups* as bars beside each other."""
    widest = max((max(one.baseline, one.now, one.bound or 0.0) for one in groups), default=0.0) or 1.0

    def part(share: float) -> float:
        return round(100 * share / widest, 2)

    return [
        Bar(one, part(one.baseline), part(one.now), None if one.bound is None else part(one.bound))
        for one in groups
    ]


def _page(course: Course, last: int) -> dict[str, Any]:
    return {
        "course": course,
        "line": course.line,
        "chart": chart(course.points, course.line.threshold),
        "groups": bars(course.groups),
        "categories": bars(course.categories),
        "last": last,
        "spans": SPANS,
        "number": number,
        "percent": percent,
    }


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/drift`, `/drift/{agent}`."""

    @get("/drift")
    async def fleet(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        agents = await asyncio.to_thread(site.web.drift)
        return site.page(request, "drift.html", person=viewer, agents=agents, number=number)

    @get("/drift/{agent:str}")
    async def one(request: AnyRequest, agent: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        given = str(request.query_params.get("last", ""))
        last = int(given) if given.isdecimal() and len(given) < 5 else SPANS[1]
        course = await asyncio.to_thread(site.web.drift_of, agent, min(max(last, 1), SPANS[-1]))
        return site.page(request, "drift_agent.html", person=viewer, **_page(course, last))

    return [fleet, one]
