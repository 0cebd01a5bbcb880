"""Routes of findings and what follows from them: list, show, acknowledge, explain, accept, close, reopen; lag; responses, lift.

People only: gates and agents have no such verb. Auditors read.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from litestar import get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from keyturn.channels.api.access import AnyRequest, page, person_of
from keyturn.drift.finding_life import MOST_REASON, Move, Outcome, Verb
from keyturn.drift.lag import Reading
from keyturn.errors import NotFound
from keyturn.service import finding_moves, findings, lags, responses
from keyturn.service.findings import FindingView, Wanted
from keyturn.service.keyturn import Keyturn
from keyturn.service.lags import LagView
from keyturn.service.model import RequestView
from keyturn.service.responses import ResponseView

_VERBS: dict[str, Verb] = {
    "acknowledge": "acknowledge",
    "explain": "explain",
    "accept": "accept",
    "close": "close",
    "reopen": "reopen",
}


class FindingMove(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/findings/{id}/{verb}.

    `until` (milliseconds since 1970) belongs to accept, `outcome` to close, `change` to explain and close.
    """

    reason: Annotated[str, Meta(max_length=MOST_REASON)] = ""
    until: int | None = None
    change: Annotated[str, Meta(max_length=80)] = ""
    outcome: Literal["fixed", "explained", "false-alarm"] = "fixed"


class Lift(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/responses/{id}/lift."""

    reason: Annotated[str, Meta(max_length=MOST_REASON)]


def finding_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/findings` and `/responses`."""
    core = service.core

    @get("/findings", summary="Findings, newest first", tags=["people"])
    async def listing(
        request: AnyRequest,
        limit: FromQuery[int] = 100,
        only: FromQuery[str] = "",
        area: FromQuery[str] = "",
        severity: FromQuery[str] = "",
        agent: FromQuery[str] = "",
        kind: FromQuery[str] = "",
    ) -> list[FindingView]:
        person_of(request, service)
        wanted = Wanted("" if only == "all" else only, area, severity, agent, kind)
        return findings.views(core, page(limit), wanted)

    @get("/findings/lag", summary="Audit lag, by area and clock", tags=["people"])
    async def lag(request: AnyRequest, days: FromQuery[int] = lags.DAYS) -> LagView:
        person_of(request, service)
        return await asyncio.to_thread(lags.overview, core, min(max(days, 1), 3660))

    @get("/findings/{finding:str}", summary="One finding", tags=["people"])
    async def one(request: AnyRequest, finding: FromPath[str]) -> FindingView:
        viewer = person_of(request, service)
        return findings.view(core, findings.required(core, finding), viewer)

    @get("/findings/{finding:str}/lag", summary="Its clocks", tags=["people"])
    async def clocks(request: AnyRequest, finding: FromPath[str]) -> list[Reading]:
        person_of(request, service)
        return list(lags.of_finding(core, findings.required(core, finding)))

    @post("/findings/{finding:str}/viewed", status_code=200, summary="Say that you looked", tags=["people"])
    async def viewed(request: AnyRequest, finding: FromPath[str]) -> FindingView:
        viewer = person_of(request, service)
        await finding_moves.looked(core, finding, viewer)
        return findings.view(core, findings.required(core, finding), viewer)

    @post("/findings/{finding:str}/{verb:str}", status_code=200, summary="Settle it", tags=["people"])
    async def move(
        request: AnyRequest, finding: FromPath[str], verb: FromPath[str], data: JSONBody[FindingMove]
    ) -> FindingView:
        person = person_of(request, service)
        if verb not in _VERBS:
            raise NotFound(f"Nobody can {verb[:40]} a finding.")
        return await finding_moves.move(core, finding, person, wish(person.id, _VERBS[verb], data))

    @get("/responses", summary="What findings led to, newest first", tags=["people"])
    async def responding(
        request: AnyRequest, only: FromQuery[str] = "on", limit: FromQuery[int] = 100
    ) -> list[ResponseView]:
        person_of(request, service)
        return responses.views(core, only, page(limit))

    @post("/responses/{response:str}/lift", status_code=201, summary="Ask that it is lifted", tags=["people"])
    async def lift(request: AnyRequest, response: FromPath[str], data: JSONBody[Lift]) -> RequestView:
        return await responses.ask_lift(core, response, person_of(request, service), data.reason)

    return [listing, lag, one, clocks, viewed, move, responding, lift]


def wish(by: str, verb: Verb, data: FindingMove) -> Move:
    """What was asked for, as the rules take it."""
    outcome: Outcome = data.outcome
    until = data.until if verb == "accept" else None
    change = data.change if verb in ("explain", "close") else ""
    return Move(verb, by, data.reason, until, change, outcome)
