"""Routes of people's accounts at a provider and of its SCIM client: what is asked of another administrator answers 202 with the request."""

from __future__ import annotations

from typing import Any

from litestar import Response, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from keyturn.channels.api import model
from keyturn.channels.api.access import AnyRequest, person_of, require_role
from keyturn.service import people, roster_changes, scim
from keyturn.service.keyturn import Keyturn
from keyturn.service.roster_changes import Asked


def asked(made: Asked, done: dict[str, Any], status: int = 200) -> Response[dict[str, Any]]:
    """*done* for what was done at once; else 202 and the request that another administrator has to approve."""
    if made.request is None:
        return Response(done, status_code=status)
    waits = {"id": made.person, "request": made.request.id, "approve": made.request.obligations.approve}
    return Response({**waits, **({"token": made.token} if made.token else {})}, status_code=202)


def account_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/v1/people/{id}/accounts/…` and `/v1/scim/…`."""
    core = service.core

    def shown(person: str) -> dict[str, Any]:
        return people.public(core.ledger.row("person", person) or {})

    @post("/people/{person:str}/accounts/link", status_code=200, summary="Link an account", tags=["people"])
    async def link(
        request: AnyRequest, person: FromPath[str], data: JSONBody[model.Account]
    ) -> Response[dict[str, Any]]:
        made = await roster_changes.link(core, person, data.account, by=person_of(request, service))
        return asked(made, shown(person))

    @post(
        "/people/{person:str}/accounts/unlink", status_code=200, summary="Unlink an account", tags=["people"]
    )
    async def unlink(
        request: AnyRequest, person: FromPath[str], data: JSONBody[model.Account]
    ) -> Response[dict[str, Any]]:
        by = person_of(request, service)
        made = await roster_changes.unlink(core, person, data.account, by=by, mistake=data.mistake)
        return asked(made, shown(person))

    @post("/scim/token", status_code=201, summary="Give the SCIM client its token", tags=["people"])
    async def scim_token(request: AnyRequest) -> Response[dict[str, Any]]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        made = await scim.issue_token(core, admin)
        return asked(made, {"token": made.token}, 201)

    @post("/scim/revoke", status_code=200, summary="Revoke the SCIM client's token", tags=["people"])
    async def scim_revoke(request: AnyRequest) -> dict[str, str]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        await scim.revoke_token(core, admin)
        return {"token": ""}

    return [link, unlink, scim_token, scim_revoke]
