"""The page You: who is signed in, and their keys. Keys are added here (passkeys) and revoked here."""

from __future__ import annotations

from typing import Any, Literal

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.approvals.passkey import rp_id_of
from keyturn.channels.web.signing import Credential, usable
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.service.keys import Options, PasskeyOffer


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing."""


class Revocation(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /you/keys/{key}/revoke`."""

    why: str = ""


class Asked(Struct, frozen=True):
    """A key waits for another administrator."""

    request: str
    words: str


class Gone(Struct, frozen=True):
    """A key was revoked."""

    words: str


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /requests/{id}/statement`: what is about to be decided."""

    choice: Literal["approve", "deny"]
    digest: str
    display: str
    reason: str = ""
    grant: str = ""
    ticket: str = ""


class ToSign(Struct, frozen=True):
    """What a passkey signs: the challenge, and which passkeys may. `nonce` comes back with the decision."""

    nonce: str
    challenge: str
    rp_id: str
    credentials: list[Credential]


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/you…` and `/requests/{id}/statement`."""

    @get("/you")
    async def you(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        keys = await site.web.service.keys(viewer.id)
        stand_ins = await site.web.service.stand_ins(viewer.id)
        named = bool(rp_id_of(own_origin(request)))
        port = request.headers.get("host", "").rpartition(":")[2]
        local = "" if named else f"http://localhost:{port}/you" if port.isdigit() else "http://localhost/you"
        vouch = str(request.query_params.get("vouch", ""))[:100]
        return site.page(
            request, "you.html", person=viewer, stand_ins=stand_ins, keys=keys, named=named, local=local, vouch=vouch,
            vouched="vouched" in request.query_params, provider=site.provider_name,
        )  # fmt: skip

    @post("/you/keys/options", status_code=200)
    async def options(request: AnyRequest, data: JSONBody[Nothing]) -> Options:
        return await site.web.service.begin_key(site.viewer(request), request.headers["origin"])

    @post("/you/keys", status_code=201)
    async def offer(request: AnyRequest, data: JSONBody[PasskeyOffer]) -> Asked:
        view = await site.web.service.enrol_key(site.viewer(request), data)
        return Asked(view.id, "Another administrator has to approve it; until then it signs nothing.")

    @post("/you/keys/{key:str}/revoke", status_code=200)
    async def revoke(request: AnyRequest, key: FromPath[str], data: JSONBody[Revocation]) -> Gone:
        gone = await site.web.service.revoke_key(key, site.viewer(request), data.why)
        return Gone(f"{gone.name or gone.id} is revoked: it signs nothing any more.")

    @post("/requests/{request_id:str}/statement", status_code=200)
    async def statement(request: AnyRequest, request_id: FromPath[str], data: JSONBody[Wanted]) -> ToSign:
        viewer, origin = site.viewer(request), request.headers["origin"]
        asked: dict[str, Any] = {"reason": data.reason, "digest": data.digest, "display": data.display}
        handed = await site.web.service.statement(
            request_id, viewer, data.choice, grant=data.grant, ticket=data.ticket[:100], **asked
        )
        rp_id = rp_id_of(origin)
        return ToSign(handed.statement["nonce"], handed.challenge, rp_id, usable(handed.keys, rp_id))

    return [you, options, offer, revoke, statement]


def own_origin(request: AnyRequest) -> str:
    """The origin of the page that is asked for; behind a proxy that ends TLS the scheme may be another, the host is not."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}"
