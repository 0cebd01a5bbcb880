"""Coverage over the API: logs of targets are sent here, compared with the ledger, and what came of it is read."""

from __future__ import annotations

import hashlib
import tempfile
from typing import TYPE_CHECKING, Any, cast

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery

from keyturn.channels.api.access import anyone, person_of, require_role
from keyturn.errors import Malformed, TooLarge
from keyturn.policy.drift.coverage import TAGGING, Tagging
from keyturn.service import disclosure, reconciling, remote, tagging
from keyturn.service.reconciling import Asked, CoverageView, ReconciliationView

if TYPE_CHECKING:
    from keyturn.service.keyturn import Keyturn

AnyRequest = Request[Any, Any, Any]

MAX_UPLOAD = 1_073_741_824
"""Bytes of one log, packed or not; a longer one is sent in parts, each of which goes on where the last one ended."""
IN_MEMORY = 8_388_608


def coverage_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/v1/reconciliations`, `/v1/coverage`, `/v1/tags`."""
    core = service.core

    @post(
        "/reconciliations/{source:str}",
        status_code=201,
        summary="Compare a target's own log with the ledger (administrators); the body is the file",
        tags=["coverage"],
        request_max_body_size=MAX_UPLOAD,
    )
    async def reconcile(
        request: AnyRequest,
        source: FromPath[str],
        target: FromQuery[str] = "",
        since: FromQuery[int] = 0,
        until: FromQuery[int] = 0,
        tagging: FromQuery[str] = "auto",
        principal: FromQuery[list[str] | None] = None,
        map: FromQuery[list[str] | None] = None,
    ) -> ReconciliationView:
        person = person_of(request, service)
        require_role(person, "admin")
        if tagging not in TAGGING:
            raise Malformed(f"`tagging` is one of {', '.join(TAGGING)}.")
        asked = Asked(
            source=source,
            target=target,
            since=max(since, 0),
            until=max(until, 0),
            principals=tuple(principal or ()),
            tagging=cast("Tagging", tagging),
            paths=_paths(map or []),
        )
        digest, size = hashlib.sha256(), 0
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            async for part in request.stream():
                size += len(part)
                if size > MAX_UPLOAD:
                    raise TooLarge(f"The log has more than {MAX_UPLOAD:,} bytes: send it in parts.")
                digest.update(part)
                file.write(part)
            file.seek(0)
            found = f"sha256:{digest.hexdigest()}"
            return await reconciling.reconcile(core, person, asked, cast("Any", file), found, size)

    @get("/reconciliations/{id:str}", summary="One reconciliation, with what it found", tags=["coverage"])
    async def one(request: AnyRequest, id: FromPath[str]) -> ReconciliationView:
        viewer = person_of(request, service)
        return reconciling.view(core, id, disclosure.sees_content(core, viewer))

    @get("/coverage", summary="How well each target's own log is accounted for", tags=["coverage"])
    async def coverage(request: AnyRequest) -> list[CoverageView]:
        person_of(request, service)
        return reconciling.views(core)

    @get(
        "/tags/{id:str}",
        summary="The tag of an action or session, for its own gate or a person",
        tags=["gates", "coverage"],
    )
    async def tag(request: AnyRequest, id: FromPath[str], target: FromQuery[str] = "") -> dict[str, str]:
        caller = anyone(request, service)
        if caller is not None:
            remote.require_own(core, caller, tagging_session(id))
        return {"id": id, "target": target, "tag": tagging.tag(core, id, target)}

    def tagging_session(id: str) -> str:
        return tagging.session_of_tagged(core, id)

    return [reconcile, one, coverage, tag]


def _paths(given: list[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in given]
    if not all(name and path for name, _, path in pairs):
        raise Malformed("`map` is FIELD=PATH.")
    return {name: path for name, _, path in pairs}


__all__ = ["coverage_routes"]
