"""The pages Grants and Break-glass: what may run again or as a plan, and its end; who released what alone, and its review."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from keyturn.approvals.passkey import rp_id_of
from keyturn.approvals.proof import PasskeyProof
from keyturn.channels.web.requests import Recorded, own_approval, require_short
from keyturn.channels.web.signing import usable
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.channels.web.you import ToSign

MOST = 500
"""How many are listed."""


class Reason(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /grants/{id}/revoke` and `/plans/{id}/revoke`."""

    reason: Annotated[str, Meta(max_length=2000)]


class Review(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /breakglass/{id}/review`."""

    verdict: Literal["justified", "unjustified"]
    note: Annotated[str, Meta(max_length=4000)]


class Glass(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /requests/{id}/breakglass` and of its statement: bound to what was shown, and signed."""

    digest: str
    display: str
    reason: str
    proof: PasskeyProof | None = None
    nonce: str | None = None


class Done(Struct, frozen=True):
    """The answer, given only once the ledger has the entry."""

    words: str


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/grants`, `/breakglass`, `/requests/{id}/breakglass`."""

    @get("/grants")
    async def grants(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        only = "all" if request.query_params.get("only") == "all" else "open"
        found = await site.web.service.grants(only, MOST)
        planned = await site.web.service.plans(only, MOST)
        return site.page(request, "grants.html", person=viewer, grants=found, plans=planned, only=only)

    @post("/grants/{grant:str}/revoke", status_code=200)
    async def revoke(request: AnyRequest, grant: FromPath[str], data: JSONBody[Reason]) -> Done:
        await site.web.service.revoke_grant(grant, site.viewer(request), data.reason)
        return Done("Revoked. Nothing further runs under it, and what its gate can end is ended.")

    @post("/plans/{plan:str}/revoke", status_code=200)
    async def revoke_plan(request: AnyRequest, plan: FromPath[str], data: JSONBody[Reason]) -> Done:
        await site.web.service.revoke_plan(plan, site.viewer(request), data.reason)
        return Done("Revoked. Nothing further of it runs, and what its gate can end is ended.")

    @get("/breakglass")
    async def glasses(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        only = "all" if request.query_params.get("only") == "all" else "unreviewed"
        found = await site.web.service.glasses(only, MOST)
        return site.page(request, "breakglass.html", person=viewer, glasses=found, only=only)

    @post("/breakglass/{glass:str}/review", status_code=200)
    async def review(request: AnyRequest, glass: FromPath[str], data: JSONBody[Review]) -> Done:
        viewer = site.viewer(request)
        done = await site.web.service.review_break_glass(glass, viewer, data.verdict, data.note)
        return Done(f"Reviewed: {done.verdict}.")

    @post("/requests/{request_id:str}/breakglass/statement", status_code=200)
    async def statement(request: AnyRequest, request_id: FromPath[str], data: JSONBody[Glass]) -> ToSign:
        viewer, rp_id = site.viewer(request), rp_id_of(request.headers["origin"])
        handed = await site.web.service.glass_statement(
            request_id, viewer, reason=data.reason, digest=data.digest, display=data.display
        )
        return ToSign(handed.statement["nonce"], handed.challenge, rp_id, usable(handed.keys, rp_id))

    @post("/requests/{request_id:str}/breakglass", status_code=200)
    async def use(request: AnyRequest, request_id: FromPath[str], data: JSONBody[Glass]) -> Recorded:
        viewer = site.viewer(request)
        require_short(data.reason)
        view = await site.web.service.break_glass(
            request_id,
            viewer,
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            channel="web",
            proof=data.proof,
            statement_nonce=data.nonce,
        )
        given = own_approval(view, viewer)
        entry = given.entry if given else view.entry
        return Recorded(entry, view.state, f"Released. Recorded as entry {entry}. Somebody else reviews it.")

    return [grants, revoke, revoke_plan, glasses, review, statement, use]
