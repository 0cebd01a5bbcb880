"""Routes for credentials, people's scoped tokens and token exchange (RFC 8693)."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import structs

from keyturn.channels.api import exchange, model
from keyturn.channels.api.access import caller_of, person_of, require_role, token_of
from keyturn.errors import Malformed
from keyturn.identity.credentials import PERSON_SCOPES, CredentialScope, lifetime, permits
from keyturn.identity.spiffe import check_id
from keyturn.service import callers, credentials
from keyturn.service.authority import AuthorityBroken, secret_of
from keyturn.service.credentials import CredentialView, Issued, Wish
from keyturn.service.errors import Forbidden
from keyturn.service.keyturn import Keyturn

AnyRequest = Request[Any, Any, Any]
PAGE = 1000


def routes(service: Keyturn) -> list[BaseRouteHandler]:
    """All of them."""
    return [*_credential_routes(service), *_token_routes(service)]


def _credential_routes(service: Keyturn) -> list[BaseRouteHandler]:
    core = service.core

    @get("/credentials", summary="Credentials of gates and agents, newest first", tags=["credentials"])
    async def listing(request: AnyRequest, limit: FromQuery[int] = 200) -> list[CredentialView]:
        person_of(request, service)
        return credentials.views(core, min(max(limit, 1), PAGE))

    @post("/credentials", status_code=201, summary="Issue a credential", tags=["credentials"])
    async def issue(request: AnyRequest, data: JSONBody[model.NewCredential]) -> Issued:
        admin = person_of(request, service)
        require_role(admin, "admin")
        wish = wish_of(data, admin.id)
        if data.form == "certificate":
            return await certified(service, wish, data.csr, admin.id)
        if data.form == "spiffe":
            workload = check_id(data.spiffe, core.settings.spiffe.trust_domain)
            wish = structs.replace(
                wish, secret=callers.spiffe_secret(workload), note=data.note or workload[:200]
            )
        return await credentials.issue(core, wish, admin.id)

    @post(
        "/credentials/{credential:str}/rotate",
        status_code=201,
        summary="Replace a credential",
        tags=["credentials"],
    )
    async def rotate(
        request: AnyRequest, credential: FromPath[str], data: JSONBody[model.Rotation]
    ) -> Issued:
        person = person_of(request, service)
        row = credentials.required(core, credential)
        if row["kind"] == "person":
            raise Forbidden("People's tokens are not rotated: make a new one and revoke this one.")
        if row.get("person") not in (None, person.id):
            # An administrator who got a token that acts for somebody else could shift who counts as having asked.
            raise Forbidden("Only the person for whom it acts replaces that token.")
        if not credentials.may_end(row, person.id, "admin" in person.roles):
            raise Forbidden(f"The credential {credential} is not yours, and you are no administrator.")
        return await credentials.rotate(core, credential, person.id, data.grace, (person.id,))

    @post(
        "/credentials/{credential:str}/revoke",
        status_code=200,
        summary="Revoke a credential",
        tags=["credentials"],
    )
    async def revoke(
        request: AnyRequest, credential: FromPath[str], data: JSONBody[model.CredentialRevocation]
    ) -> CredentialView:
        return await credentials.revoke_by(core, credential, person_of(request, service), data.why)

    @post(
        "/credentials/renew", status_code=201, summary="Renew the credential presented", tags=["credentials"]
    )
    async def renew(request: AnyRequest, data: JSONBody[model.Rotation]) -> Issued:
        caller = caller_of(request, service)
        if not caller.credential:
            raise Malformed("A token of an earlier version is not renewed: enrol the gate again.")
        return await credentials.rotate(core, caller.credential, caller.holder, data.grace)

    @post(
        "/token", status_code=200, summary="Exchange a token for an agent's (RFC 8693)", tags=["credentials"]
    )
    async def token(request: AnyRequest) -> Response[dict[str, Any]]:
        return await exchange.answer(request, service)

    return [listing, issue, rotate, revoke, renew, token]


async def certified(service: Keyturn, wish: Wish, request: str, by: str) -> Issued:
    """A client certificate over the key in *request*. Raises `Malformed`, `AuthorityBroken`."""
    if wish.kind != "gate":
        raise Malformed("Certificates are for gates; agents have tokens.")
    if service.authority is None:
        raise AuthorityBroken("This server was started without its certificate authority.")
    authority, now = service.authority(), service.core.now()
    ends = now + lifetime("gate", wish.seconds)
    made = await asyncio.to_thread(authority.for_client, request, wish.name, ends, now)
    wish = structs.replace(wish, secret=secret_of(made.fingerprint), bound=made.fingerprint)
    issued = await credentials.issue(service.core, wish, by)
    return structs.replace(issued, certificate=made.pem, authority=authority.pem)


def wish_of(data: model.NewCredential, by: str) -> Wish:
    """What an administrator asks for. Raises `Malformed`."""
    if bool(data.gate) == bool(data.agent):
        raise Malformed("A credential is of one `gate` or one `agent`.")
    agent = bool(data.agent)
    if data.owner and not agent:
        raise Malformed("A gate has no owner: agents have.")
    return Wish(
        "agent" if agent else "gate",
        data.agent or data.gate,
        data.form,
        scopes=data.scopes,
        seconds=data.seconds,
        owner=(data.owner or by) if agent else None,
        actors=(f"agent:{data.agent}",) if agent else (),
        # Who issues it stands behind what is asked with it: naming another owner gains nothing (promise 6).
        chain=(by,) if agent else (),
        machine=data.machine,
        bound=data.bound,
        note=data.note,
    )


def _token_routes(service: Keyturn) -> list[BaseRouteHandler]:
    core = service.core

    @get("/tokens", summary="Your own tokens, newest first", tags=["people"])
    async def listing(request: AnyRequest) -> list[CredentialView]:
        person = person_of(request, service)
        return credentials.tokens_of(core, person.id, PAGE)

    @post("/tokens", status_code=201, summary="Make a token of your own with fewer scopes", tags=["people"])
    async def new(request: AnyRequest, data: JSONBody[model.NewToken]) -> Issued:
        person = person_of(request, service)
        own = token_of(request, service)
        if not data.scopes:
            raise Malformed(f"A token needs a scope; there are: {', '.join(PERSON_SCOPES)}.")
        wider = [scope for scope in data.scopes if not permits(own.scopes, scope)]
        if wider:
            raise CredentialScope(
                f"A token can't give more than it has: {', '.join(wider)[:200]} is not among its scopes."
            )
        wish = Wish(
            "person", person.id, "opaque", data.scopes, data.seconds, parent=own.credential or None,
            not_after=own.expires, note=data.name,
        )  # fmt: skip
        return await credentials.issue(core, wish, person.id)

    @post(
        "/tokens/{credential:str}/revoke", status_code=200, summary="Revoke a person's token", tags=["people"]
    )
    async def revoke(
        request: AnyRequest, credential: FromPath[str], data: JSONBody[model.CredentialRevocation]
    ) -> CredentialView:
        found = token_of(request, service)
        row = credentials.required(core, credential)
        itself = found.credential == credential  # whoever has a leaked token may always end it
        if not itself and not permits(found.scopes, "manage"):
            raise CredentialScope("This token may not revoke others: it lacks the scope `manage`.")
        if row["kind"] != "person":
            raise Forbidden(f"The credential {credential} is not a person's token.")
        return await credentials.revoke_by(core, credential, found.person, data.why)

    return [listing, new, revoke]


__all__ = ["routes", "wish_of"]
