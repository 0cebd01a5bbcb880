"""Routes of people's keys and of the statements that they sign. Gates and agents have none of them (promise 6)."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from keyturn.channels.api import model
from keyturn.channels.api.access import person_of
from keyturn.service.key_views import KeyView
from keyturn.service.keys import PasskeyOffer, SshOffer
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import RequestView
from keyturn.service.signing import StatementView

AnyRequest = Request[Any, Any, Any]


def key_routes(service: Keyturn) -> list[BaseRouteHandler]:
    """`/v1/keys…` and `/v1/requests/{id}/statement`."""

    @post(
        "/requests/{request_id:str}/statement",
        status_code=200,
        summary="A statement to sign",
        tags=["people"],
    )
    async def statement(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Wanted]
    ) -> StatementView:
        person = person_of(request, service, data.choice)
        return await service.statement(
            request_id,
            person,
            data.choice,
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            grant=data.grant,
            ticket=data.ticket,
            on_behalf_of=data.on_behalf_of,
        )

    @get("/keys", summary="Everybody's keys", tags=["people"])
    async def keys(request: AnyRequest) -> list[KeyView]:
        person_of(request, service)
        return await service.keys()

    @post("/keys", status_code=201, summary="Offer a key of your own", tags=["people"])
    async def offer(request: AnyRequest, data: JSONBody[SshOffer | PasskeyOffer]) -> RequestView:
        return await service.enrol_key(person_of(request, service), data)

    @post("/keys/{key:str}/revoke", status_code=200, summary="Revoke a key", tags=["people"])
    async def revoke(request: AnyRequest, key: FromPath[str], data: JSONBody[model.Revocation]) -> KeyView:
        return await service.revoke_key(key, person_of(request, service), data.why)

    return [statement, keys, offer, revoke]
