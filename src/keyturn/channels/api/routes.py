"""The routes. Every one that changes something ends in a ledger entry; a test enumerates them (promise 7)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Response, Router, get, patch, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage

from keyturn.actions import Agent, Text
from keyturn.approvals.gesture import Gesture
from keyturn.channels.api import credentials as credential_routes
from keyturn.channels.api import model
from keyturn.channels.api.access import (
    PAGE,
    AnyRequest,
    anyone,
    bearer,
    caller_of,
    opens,
    person_of,
    require_role,
)
from keyturn.channels.api.access import page as _page
from keyturn.channels.api.access_review import access_review_routes
from keyturn.channels.api.accounts import account_routes, asked
from keyturn.channels.api.allowing import allowing_routes
from keyturn.channels.api.artefacts import artefact_routes
from keyturn.channels.api.behaviour import behaviour_routes
from keyturn.channels.api.breakglass import breakglass_routes
from keyturn.channels.api.conditions import condition_routes
from keyturn.channels.api.configurations import configuration_routes
from keyturn.channels.api.controls import control_routes
from keyturn.channels.api.coverage import coverage_routes
from keyturn.channels.api.definitions import definition_routes
from keyturn.channels.api.delegations import delegation_routes
from keyturn.channels.api.findings import finding_routes
from keyturn.channels.api.grants import grant_routes
from keyturn.channels.api.keys import key_routes
from keyturn.channels.api.limits import limit_routes
from keyturn.channels.api.packs import pack_routes
from keyturn.channels.api.plans import plan_routes
from keyturn.channels.api.reviewing import reviewing_routes
from keyturn.errors import KeyturnError, Malformed, NotFound
from keyturn.identity import tokens
from keyturn.identity.names import check_person_id
from keyturn.ledger.entries import Draft, Entry
from keyturn.service import callers, credentials, disclosure, people, remote, roster_changes
from keyturn.service.errors import Forbidden
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, Receipt, RequestView, SessionView
from keyturn.service.sessions import view as view_of_session
from keyturn.service.viewing import thing

WAIT_SECONDS = 60.0
"""Longest single wait of a long poll; callers ask again."""


def routes(service: Keyturn) -> Router:
    """The router under /v1 for *service*."""
    handlers: list[BaseRouteHandler] = [
        *_gate_routes(service),
        *_session_routes(service),
        *_request_routes(service),
        *grant_routes(service),
        *plan_routes(service),
        *breakglass_routes(service),
        *_people_routes(service),
        *account_routes(service),
        *access_review_routes(service),
        *key_routes(service),
        *delegation_routes(service),
        *artefact_routes(service),
        *limit_routes(service),
        *definition_routes(service),
        *condition_routes(service),
        *credential_routes.routes(service),
        *finding_routes(service),
        *control_routes(service),
        *reviewing_routes(service),
        *allowing_routes(service),
        *coverage_routes(service),
        *configuration_routes(service),
        *pack_routes(service),
        *_policy_routes(service),
        *behaviour_routes(service),
        *_ledger_routes(service),
    ]
    return Router("/v1", route_handlers=handlers, before_request=_looking(service))


def _looking(service: Keyturn) -> Callable[[AnyRequest], Awaitable[None]]:
    """What an auditor asks for is recorded before it is answered. Who may ask at all is the route's own business."""

    async def looking(request: AnyRequest) -> None:
        if request.method not in ("GET", "HEAD") or thing(request.url.path) is None:
            return
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        if tokens.token_prefix(token) == "ktp":  # of a person
            try:
                found = callers.person_by_token(service.core, token)
            except KeyturnError:
                return  # the route says so
            if found is not None:
                await service.viewing.viewed(found.person, request.url.path)

    return looking


def _session_routes(service: Keyturn) -> list[BaseRouteHandler]:
    @get("/sessions", summary="Sessions, newest first", tags=["people"])
    async def sessions(
        request: AnyRequest, only: FromQuery[str] = "open", limit: FromQuery[int] = 100
    ) -> list[SessionView]:
        person_of(request, service)
        rows = service.core.ledger.rows("session", state=None if only == "all" else only, limit=_page(limit))
        return [view_of_session(service.core, row["id"]) for row in rows]

    @get("/sessions/{session:str}", summary="One session", tags=["people"])
    async def session(request: AnyRequest, session: FromPath[str]) -> SessionView:
        person_of(request, service)
        return view_of_session(service.core, session)

    @post(
        "/sessions/{session:str}/stop",
        status_code=200,
        summary="Stop a session: kill switch",
        tags=["people"],
    )
    async def stop(request: AnyRequest, session: FromPath[str], data: JSONBody[model.Stop]) -> SessionView:
        return await service.stop_session(session, person_of(request, service), data.reason)

    return [sessions, session, stop]


def _gate_routes(service: Keyturn) -> list[BaseRouteHandler]:
    @post("/actions", status_code=200, summary="Propose an action", tags=["gates"])
    async def propose(request: AnyRequest, data: JSONBody[model.Ask]) -> Outcome:
        action = remote.attributed(service, caller_of(request, service), data.action)
        return await service.authorize(action, data.around, consume=data.consume)

    @post("/permits/consume", status_code=200, summary="Use a permit", tags=["gates"])
    async def consume(request: AnyRequest, data: JSONBody[model.Use]) -> dict[str, str]:
        gate = caller_of(request, service).gate
        return {"action": await service.consume(data.token, data.digest, gate)}

    @post("/receipts", status_code=201, summary="Report what happened", tags=["gates"])
    async def report(request: AnyRequest, data: JSONBody[Receipt]) -> dict[str, str]:
        remote.require_own_action(service.core, caller_of(request, service), data.action)
        await service.report(data)
        return {"action": data.action}

    @post("/sessions", status_code=201, summary="Open a session", tags=["gates"])
    async def open_session(request: AnyRequest, data: JSONBody[model.Session]) -> SessionView:
        return await remote.open_session(
            service,
            caller_of(request, service),
            Agent(data.agent, data.client),
            cwd=data.cwd,
            client_session=data.client_session,
            parents=data.parents,
            definition=data.definition,
            human=data.human,
            token=data.token,
            described=data.described,
        )

    @post("/sessions/{session:str}/close", status_code=200, summary="Close a session", tags=["gates"])
    async def close(
        request: AnyRequest, session: FromPath[str], data: JSONBody[model.Closing]
    ) -> SessionView:
        remote.require_own(service.core, caller_of(request, service), session)
        return await service.close_session(session, data.why)

    @post(
        "/sessions/{session:str}/instructions",
        status_code=201,
        summary="Record an instruction",
        tags=["gates"],
    )
    async def instruct(
        request: AnyRequest, session: FromPath[str], data: JSONBody[model.Instruction]
    ) -> dict[str, str]:
        remote.require_own(service.core, caller_of(request, service), session)
        await service.instruct(session, Text(data.text, data.source))
        return {"session": session}

    @post("/requests/{request_id:str}/claim", status_code=200, summary="Claim the permit", tags=["gates"])
    async def claim(request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Claim]) -> Outcome:
        caller = caller_of(request, service)
        remote.require_own_request(service.core, caller, request_id)
        return await service.claim(request_id, data.digest, caller.gate, consume=data.consume)

    @post("/probes", status_code=201, summary="Record a deny probe", tags=["gates"])
    async def probe(request: AnyRequest, data: JSONBody[model.Probe]) -> dict[str, str]:
        person_of(request, service)
        await service.probe(data.gate, data.client, data.stopped, data.how)
        return {"gate": data.gate}

    return [propose, consume, report, open_session, close, instruct, claim, probe]


def _request_routes(service: Keyturn) -> list[BaseRouteHandler]:
    @get("/requests", summary="Requests", tags=["people"])
    async def requests(
        request: AnyRequest,
        only: FromQuery[str] = "waiting",
        limit: FromQuery[int] = 100,
        before: FromQuery[str | None] = None,
    ) -> list[RequestView]:
        viewer = person_of(request, service)
        return await service.requests(None if only == "all" else only, viewer, _page(limit), before)

    @get("/requests/{request_id:str}", summary="One request", tags=["people"])
    async def one(request: AnyRequest, request_id: FromPath[str]) -> RequestView:
        viewer = person_of(request, service)
        found = await service.request(request_id, viewer)
        service.served(request_id, viewer)
        return found

    @get("/requests/{request_id:str}/wait", summary="Wait for a request's end", tags=["people", "gates"])
    async def wait(
        request: AnyRequest, request_id: FromPath[str], timeout: FromQuery[float] = 30.0
    ) -> RequestView:
        caller = anyone(request, service)
        if caller is not None:
            remote.require_own_request(service.core, caller, request_id)
        viewer = None if caller is not None else person_of(request, service)
        if not math.isfinite(timeout):
            raise Malformed("`timeout` is a number of seconds.")
        view = await service.wait(request_id, min(max(timeout, 0.0), WAIT_SECONDS))
        return disclosure.narrowed(service.core, view, viewer)

    @post("/requests/{request_id:str}/approve", status_code=200, summary="Approve", tags=["people"])
    async def approve(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Verdict]
    ) -> RequestView:
        person = person_of(request, service, "approve")
        return await service.decide(
            request_id,
            person,
            "approve",
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            channel=data.channel,
            on_behalf_of=data.on_behalf_of,
            proof=data.proof,
            statement_nonce=data.nonce,
            grant=data.grant,
            ticket=data.ticket,
            gesture=Gesture(typed=data.typed),
        )

    @post("/requests/{request_id:str}/deny", status_code=200, summary="Deny", tags=["people"])
    async def deny(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Verdict]
    ) -> RequestView:
        person = person_of(request, service, "deny")
        return await service.decide(
            request_id,
            person,
            "deny",
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            channel=data.channel,
            on_behalf_of=data.on_behalf_of,
            proof=data.proof,
            statement_nonce=data.nonce,
            gesture=Gesture(typed=data.typed),
        )

    @post("/requests/{request_id:str}/withdraw", status_code=200, summary="Withdraw", tags=["people"])
    async def withdraw(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Closing]
    ) -> RequestView:
        person = person_of(request, service)
        view = await service.request(request_id, person)
        human = (view.attribution.get("human") or {}).get("person")
        if human != person.id:
            raise Forbidden("Only who asked withdraws; others deny.")
        return await service.withdraw(request_id, data.why, by=person.id)

    @get("/events", summary="Every entry as it lands (server-sent events)", tags=["people"])
    async def events(request: AnyRequest) -> ServerSentEvent:
        person_of(request, service)
        token = bearer(request)
        return ServerSentEvent(_stream(service, lambda: opens(service, token)))

    return [requests, one, wait, approve, deny, withdraw, events]


async def _stream(service: Keyturn, stands: Callable[[], bool]) -> AsyncIterator[ServerSentEventMessage]:
    """Every change as it lands, for as long as what it was asked with *stands*."""
    async for change in service.changes():
        if not stands():
            return
        yield ServerSentEventMessage(
            data=msgspec.json.encode(change).decode(), id=str(change["index"]), event="entry"
        )


def _known_index(service: Keyturn, index: int) -> int:
    """Raises `NotFound` for an entry that is not there yet, before a number of any size reaches the store."""
    if not 0 <= index < service.core.ledger.size:
        raise NotFound(f"The ledger has no entry {index}; it has {service.core.ledger.size}.")
    return index


def _people_routes(service: Keyturn) -> list[BaseRouteHandler]:
    core = service.core

    @get("/me", summary="Who the token is", tags=["people"])
    async def me(request: AnyRequest) -> dict[str, Any]:
        return people.public(core.ledger.row("person", person_of(request, service).id) or {})

    @get("/people", summary="Everybody", tags=["people"])
    async def listing(request: AnyRequest) -> list[dict[str, Any]]:
        person_of(request, service)
        return [people.public(row) for row in core.ledger.rows("person", newest_first=False, limit=100_000)]

    @post("/people", status_code=201, summary="Enrol a person", tags=["people"])
    async def enrol(request: AnyRequest, data: JSONBody[model.NewPerson]) -> Response[dict[str, Any]]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        made = await roster_changes.enrol(
            core,
            data.id,
            name=data.name,
            groups=data.groups,
            roles=data.roles,
            os_uids=data.os_uids,
            accounts=data.accounts,
            by=admin,
        )
        return asked(made, {"id": data.id, "token": made.token}, 201)

    @patch("/people/{person:str}", summary="Change a person", tags=["people"])
    async def change(
        request: AnyRequest, person: FromPath[str], data: JSONBody[model.PersonChange]
    ) -> Response[dict[str, Any]]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        given = {k: v for k, v in msgspec.to_builtins(data).items() if v is not None}
        made = await roster_changes.change(core, person, given, by=admin)
        return asked(made, people.public(core.ledger.row("person", person) or {}))

    @post("/people/{person:str}/remove", status_code=200, summary="Remove a person", tags=["people"])
    async def remove(request: AnyRequest, person: FromPath[str]) -> dict[str, Any]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        removed = await people.remove(core, person, by=admin.id)
        shown = people.public(core.ledger.row("person", person) or {})
        return {**shown, "revoked_keys": list(removed.keys), "revoked_credentials": list(removed.credentials)}

    @post("/people/{person:str}/token", status_code=201, summary="Replace a person's token", tags=["people"])
    async def token(request: AnyRequest, person: FromPath[str]) -> dict[str, str]:
        asking = person_of(request, service)
        if asking.id != person:
            # An administrator who could make tokens for others could approve as them (promise 6).
            raise Forbidden("Only the person replaces their own token.")
        made = await people.new_token(core, person, by=asking.id)
        service.logins.void(person)
        return {"id": person, "token": made}

    @post("/login", status_code=201, summary="Make a one-time login link", tags=["people"])
    async def login(request: AnyRequest) -> dict[str, str]:
        return {"code": service.logins.link_code(person_of(request, service).id)}

    @post("/gates", status_code=201, summary="Enrol a gate and give it its first credential", tags=["gates"])
    async def new_gate(request: AnyRequest, data: JSONBody[model.NewGate]) -> dict[str, Any]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        check_person_id(data.name)
        if data.assurance not in ("advisory", "cooperative"):
            raise Malformed(
                "A gate with a token is `advisory` or `cooperative`; higher levels are proven, not declared."
            )
        fields = {"name": data.name, "assurance": data.assurance, "by": admin.id}
        wish = credentials.Wish("gate", data.name, machine=data.machine, seconds=data.seconds)
        issued, token = credentials.prepare(core, wish, admin.id)
        await core.ledger.append([Draft("gate.enrolled", fields), issued])
        made = credentials.view(core, issued.fields["id"])
        return {"gate": data.name, "token": token, "credential": made.id, "expires": made.expires}

    @post(
        "/gates/{gate:str}/remove",
        status_code=200,
        summary="Remove a gate: all its credentials are void",
        tags=["gates"],
    )
    async def remove_gate(request: AnyRequest, gate: FromPath[str]) -> dict[str, str]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        if core.ledger.row("gate", gate) is None:
            raise NotFound(f"There is no gate {gate}.")
        await core.ledger.append([Draft("gate.removed", {"name": gate, "by": admin.id})])
        return {"gate": gate}

    @get("/gates", summary="All gates", tags=["gates"])
    async def gates(request: AnyRequest) -> list[dict[str, Any]]:
        person_of(request, service)
        rows = core.ledger.rows("gate", limit=PAGE)
        return [{k: v for k, v in row.items() if k != "token"} for row in rows]

    return [me, listing, enrol, change, remove, token, login, new_gate, remove_gate, gates]


def _policy_routes(service: Keyturn) -> list[BaseRouteHandler]:
    core = service.core

    @get("/policy", summary="The active policy", tags=["policy"])
    async def active(request: AnyRequest) -> dict[str, Any]:
        person_of(request, service)
        row = core.ledger.row("policy", core.policy.digest) or {}
        files = {path: core.bytes_of(blob).decode() for path, blob in core.full(row["files"]).items()}
        return {
            "digest": core.policy.digest,
            "mode": core.policy.mode,
            "files": files,
            "since": row.get("at"),
        }

    @post("/policies", status_code=201, summary="Propose a policy", tags=["policy"])
    async def propose(request: AnyRequest, data: JSONBody[model.Proposal]) -> RequestView:
        person = person_of(request, service)
        files = {path: text.encode() for path, text in data.files.items()}
        return await service.propose_policy(files, person, data.note)

    return [active, propose]


def _ledger_routes(service: Keyturn) -> list[BaseRouteHandler]:
    ledger = service.core.ledger

    @get("/ledger/checkpoint", media_type="text/plain", summary="The signed tree head", tags=["ledger"])
    async def checkpoint(request: AnyRequest) -> str:
        anyone(request, service)
        return ledger.head() or ""

    @get("/ledger/entries", summary="Entries", tags=["ledger"])
    async def entries(
        request: AnyRequest,
        start: FromQuery[int] = 0,
        limit: FromQuery[int] = 100,
        newest: FromQuery[bool] = False,
    ) -> list[model.Entry]:
        viewer = person_of(request, service)
        size, limit = ledger.size, _page(limit)
        start = max(0, size - limit) if newest else min(max(start, 0), size)
        end = min(size, start + limit)
        found = await asyncio.to_thread(lambda: list(ledger.entries(start, end)))
        return [_entry(disclosure.disclosed(service.core, e, viewer)) for e in found]

    @get("/ledger/entries/{index:int}", summary="One entry", tags=["ledger"])
    async def entry(request: AnyRequest, index: FromPath[int]) -> model.Entry:
        viewer = person_of(request, service)
        found = ledger.entry(_known_index(service, index))
        if found is None:
            raise NotFound(f"The ledger has no entry {index}; it has {ledger.size}.")
        return _entry(disclosure.disclosed(service.core, found, viewer))

    @get(
        "/ledger/entries/{index:int}/proof",
        media_type="text/plain",
        summary="Its proof (tlog-proof)",
        tags=["ledger"],
    )
    async def proof(request: AnyRequest, index: FromPath[int]) -> str:
        person_of(request, service)
        if not 0 <= index < ledger.size:
            raise NotFound(f"The ledger has no entry {index}; it has {ledger.size}.")
        return await asyncio.to_thread(ledger.inclusion, index)

    return [checkpoint, entries, entry, proof]


def _entry(entry: Entry) -> model.Entry:
    return model.Entry(
        index=entry.index,
        time=entry.time,
        type=entry.type,
        session=entry.session,
        n=entry.n,
        leaf=entry.leaf.decode(),
        disclosures=entry.disclosures,
        fields=entry.fields,
    )
