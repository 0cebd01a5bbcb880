"""Findings: what was observed that should not be, what explains it, what becomes of it, and how fast people know."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, Protocol, cast
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from keyturn.channels.web.site import AnyRequest, Site
from keyturn.drift.finding import SEVERITIES
from keyturn.drift.finding_life import MOST_REASON, OUTCOMES, STATES, Move, Verb
from keyturn.drift.kinds import KINDS
from keyturn.drift.lag import Reading
from keyturn.errors import Malformed, NotFound
from keyturn.identity import Person
from keyturn.service.findings import FindingView, Step, Wanted
from keyturn.service.lags import LagView
from keyturn.service.responses import ResponseView

MOST = 500
"""How many are listed."""
AREAS = tuple(sorted({kind.area for kind in KINDS.values()}))
_VERBS = ("acknowledge", "explain", "accept", "close", "reopen")
_MOST_FILTER = 200


class FindingDesk(Protocol):
    """What these pages need of the rest of Keyturn."""

    def listed(self, wanted: Wanted, limit: int) -> list[FindingView]:
        """Newest first."""
        ...

    def counts(self) -> dict[str, int]:
        """How many there are in each state, and of the high and critical ones how many nobody looked at (`unseen`)."""
        ...

    def one(self, finding: str, viewer: Person) -> FindingView:
        """One of them. Raises `UnknownFinding`."""
        ...

    async def looked(self, finding: str, viewer: Person) -> None:
        """*viewer* looks at it."""
        ...

    def clocks(self, finding: str) -> tuple[Reading, ...]:
        """Its audit lag."""
        ...

    async def move(self, finding: str, viewer: Person, wish: Move) -> FindingView:
        """What *viewer* does with it, recorded."""
        ...

    async def lag(self, days: int) -> LagView:
        """Audit lag of all."""
        ...

    async def ask_lift(self, response: str, viewer: Person, why: str) -> str:
        """Ask that a response is lifted: the request's id."""
        ...


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /findings/{id}/{verb}`. `until` is a day, 2027-01-31, from whose beginning (UTC) on it is open again."""

    reason: Annotated[str, Meta(max_length=MOST_REASON)] = ""
    until: Annotated[str, Meta(max_length=10)] = ""
    change: Annotated[str, Meta(max_length=80)] = ""
    outcome: Literal["fixed", "explained", "false-alarm"] = "fixed"


class Why(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /responses/{id}/lift`."""

    reason: Annotated[str, Meta(max_length=MOST_REASON)]


class Told(Struct, frozen=True):
    """The answer, given only once the ledger has the entry."""

    words: str


class Answered(Struct, frozen=True):
    """A response in the course of its finding: it has `begun`, or is `lifted`."""

    verb: Literal["begun", "lifted"]
    time: int
    response: ResponseView


def course(found: FindingView) -> list[Step | Answered]:
    """What became of a finding, in order: what people did, and what it led to."""
    steps: list[Step | Answered] = [*found.life]
    for one in found.responses:
        steps.append(Answered("begun", one.begun, one))
        if one.lifted is not None:
            steps.append(Answered("lifted", one.lifted, one))
    return sorted(steps, key=lambda step: step.time)


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/findings`, `/findings/{id}`, `/findings/lag`, what people do with one, `/responses/{id}/lift`."""

    @get("/findings")
    async def listing(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        wanted = _wanted(request)
        desk = site.web.findings
        return site.page(
            request,
            "findings.html",
            person=viewer,
            findings=desk.listed(wanted, MOST),
            counts=desk.counts(),
            wanted=wanted,
            most=MOST,
            states=STATES,
            areas=AREAS,
            severities=SEVERITIES,
            address=lambda **changed: _address(wanted, changed),
        )

    @get("/findings/lag")
    async def lag(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        found = await site.web.findings.lag(90)
        return site.page(request, "lag.html", person=viewer, lag=found)

    @get("/findings/{finding:str}")
    async def one(request: AnyRequest, finding: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        found = site.web.findings.one(finding, viewer)
        kind = KINDS.get(found.kind)
        return site.page(
            request,
            "finding.html",
            person=viewer,
            f=found,
            meaning=kind.meaning if kind else "",
            clocks=site.web.findings.clocks(finding),
            outcomes=OUTCOMES,
            course=course(found),
        )

    @post("/findings/{finding:str}/viewed", status_code=200)
    async def viewed(request: AnyRequest, finding: FromPath[str]) -> Told:
        """Sent by the page once it is in front of somebody: opening an address changes nothing."""
        await site.web.findings.looked(finding, site.viewer(request))
        return Told("")

    @post("/findings/{finding:str}/{verb:str}", status_code=200)
    async def move(
        request: AnyRequest, finding: FromPath[str], verb: FromPath[str], data: JSONBody[Wish]
    ) -> Told:
        viewer = site.viewer(request)
        if verb not in _VERBS:
            raise NotFound(f"Nobody can {verb[:40]} a finding.")
        wish = Move(
            cast("Verb", verb),
            viewer.id,
            data.reason,
            _day(data.until) if verb == "accept" else None,
            data.change.strip() if verb in ("explain", "close") else "",
            data.outcome,
        )
        done = await site.web.findings.move(finding, viewer, wish)
        return Told(f"It is {done.state} now.")

    @post("/responses/{response:str}/lift", status_code=200)
    async def lift(request: AnyRequest, response: FromPath[str], data: JSONBody[Why]) -> Told:
        asked = await site.web.findings.ask_lift(response, site.viewer(request), data.reason)
        return Told(f"Asked: the request {asked} waits for people.")

    return [listing, lag, one, viewed, move, lift]


def _wanted(request: AnyRequest) -> Wanted:
    given = request.query_params
    state = given.get("state", "unresolved")
    severity, area = given.get("severity", ""), given.get("area", "")
    return Wanted(
        state="" if state == "all" else state if state in STATES else "unresolved",
        area=area if area in AREAS else "",
        severity=severity if severity in SEVERITIES else "",
        agent=given.get("agent", "")[:_MOST_FILTER],
        kind=given.get("kind", "")[:_MOST_FILTER],
    )


def _address(wanted: Wanted, changed: dict[str, str]) -> str:
    """The address of the list with some filters changed."""
    names = ("state", "area", "severity", "agent", "kind")
    asked = {**{name: getattr(wanted, name) for name in names}, **changed}
    asked["state"] = asked["state"] or "all"
    return "/findings?" + urlencode({name: value for name, value in asked.items() if value})


def _day(text: str) -> int:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise Malformed("The day until which it is accepted is written like 2027-01-31.") from error
    midnight = datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)
    return int(midnight.timestamp() * 1000)
