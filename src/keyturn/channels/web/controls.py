"""Controls: which framework asks for what, what the tests came to last, and how each did over time; one page a control, which prints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from markupsafe import Markup
from msgspec import Struct

from keyturn.channels.web.site import AnyRequest, Site, now
from keyturn.evidence.history import Interval
from keyturn.evidence.report import charts
from keyturn.evidence.testing import Day
from keyturn.evidence.verdicts import WORDS
from keyturn.identity import Person
from keyturn.service.control_views import ControlPage, ControlsView, WallView
from keyturn.service.exporting import PackView, Wish
from keyturn.service.pack_building import Building

SPANS = (30, 90, 365)
"""Days of history that a page offers."""
DAY_MS = 86_400_000
SHOWN = {word: charts.WORDS[word] for word in WORDS}


class Window(Struct, frozen=True):
    """The observation window: [since, until) in milliseconds; `days` is 0 for one that somebody chose, `begins` and `ends` are its days."""

    since: int
    until: int
    days: int
    begins: str
    ends: str


class EvidenceDesk(Protocol):
    """What the pages need of evidence; composition roots provide it."""

    def overview(self) -> ControlsView:
        """Every framework."""

    def wall(self, framework: str) -> WallView:
        """One of them. Raises `FrameworkUnknown`."""

    def control(self, framework: str, control: str, since: int, until: int) -> ControlPage:
        """One control with its history. Raises `FrameworkUnknown`, `ControlUnknown`."""

    def packs(self) -> Sequence[tuple[PackView, Building]]:
        """Packs that were asked for, the newest first, and how far the file of each is."""

    async def ask_pack(self, viewer: Person, wish: Wish) -> PackView:
        """Record that *viewer* has a pack made, and begin. Raises what `exporting.ask` raises."""

    def build_pack(self, viewer: Person, pack: str) -> None:
        """Have its file made. Raises `Forbidden`, `PackUnknown`."""

    def pack_file(self, viewer: Person, pack: str) -> tuple[Path, str]:
        """Its file, and under which name it is saved. Raises `Forbidden`, `PackUnknown`, `NotBuilt`."""

    def vkey(self) -> str:
        """The log's verifier key, one line."""

    def content_for(self, viewer: Person) -> bool:
        """Whether *viewer* is shown what actions are made of."""

    async def viewed(self, viewer: Person, path: str) -> None:
        """*viewer* is about to be shown what lies at *path*: recorded where they are an auditor. Raises when it can't be."""


def window(given: str, begins: str, ends: str, now: int) -> Window:
    """The window that was asked for: days from *begins* to *ends*, both included, else the last *given* days. Never empty. Pure."""
    first, last = day_of(begins), day_of(ends)
    tomorrow = now - now % DAY_MS + DAY_MS
    if first is not None and last is not None and first <= last and first < tomorrow:
        return _window(first, min(last + DAY_MS, tomorrow), 0)
    days = int(given) if given.isdecimal() and len(given) < 5 else SPANS[1]
    return _window(tomorrow - min(max(days, 1), 3650) * DAY_MS, tomorrow, days)


def _window(since: int, until: int, days: int) -> Window:
    return Window(since, until, days, charts.date(since), charts.date(until - 1))


def day_of(text: str) -> int | None:
    """The beginning (UTC) of a day written YYYY-MM-DD, in milliseconds since 1970."""
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1) if since >= timedelta(0) else None


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/controls`, `/controls/{framework}`, `/controls/{framework}/{control}`."""

    @get("/controls")
    async def overview(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        found = await asyncio.to_thread(site.web.evidence.overview)
        return site.page(request, "controls.html", person=viewer, found=found, shown=SHOWN)

    @get("/controls/{framework:str}")
    async def wall(request: AnyRequest, framework: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        state = str(request.query_params.get("state", ""))
        found = await asyncio.to_thread(site.web.evidence.wall, framework)
        kept = [one for one in found.controls if state not in WORDS or one.verdict == state]
        return site.page(
            request, "wall.html", person=viewer, found=found, kept=kept, state=state, shown=SHOWN
        )  # fmt: skip

    @get("/controls/{framework:str}/{control:str}")
    async def control(request: AnyRequest, framework: FromPath[str], control: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        last, begins, ends = (str(request.query_params.get(name, "")) for name in ("last", "from", "to"))
        chosen = window(last, begins, ends, now())
        found = await asyncio.to_thread(
            site.web.evidence.control, framework, control, chosen.since, chosen.until
        )
        return site.page(
            request, "control.html", person=viewer, found=found, w=chosen, spans=SPANS, shown=SHOWN,
            strip=strip(found.history.intervals, chosen), legend=_safe(charts.legend()),
            bars=bars(found.history.days, chosen), minute=charts.minute, date=charts.date,
        )  # fmt: skip

    return [overview, wall, control]


def strip(intervals: tuple[Interval, ...], chosen: Window) -> Markup:
    """The history of a control."""
    return _safe(charts.timeline(intervals, chosen.since, chosen.until))


def bars(days: tuple[Day, ...], chosen: Window) -> Markup:
    """Its population by day."""
    return (
        _safe(charts.bars(days, chosen.since, chosen.until))
        if any(one.population for one in days)
        else Markup()
    )


def _safe(svg: str) -> Markup:
    """Our own charts, which escape what they are given."""
    return Markup(svg)  # noqa: S704
