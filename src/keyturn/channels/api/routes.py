"""The routes. Every one that changes something ends in a ledger entry; a test enumerates them (promise 7)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request, Router, get, patch, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage

from keyturn.actions import Agent, Gate, Human, Text
from keyturn.channels.api import model
from keyturn.channels.api.access import gate_of, person_of, require_role
from keyturn.errors import Malformed, NotFound
from keyturn.identity import tokens
from keyturn.identity.names import check_person_id
from keyturn.ledger.entries import Draft, Entry
from keyturn.service import people
from keyturn.service.errors import Forbidden, PersonUnknown
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, Receipt, RequestView, SessionView
from keyturn.service.sessions import view as view_of_session

WAIT_SECONDS = 60.0
"""Longest single wait of a long poll; callers ask again."""
PAGE = 1000
"""Most items of one list."""

AnyRequest = Request[Any, Any, Any]


def routes(service: Keyturn) -> Router:
    """The router under /v1 for *service*."""
    handlers: list[BaseRouteHandler] = [
        *_gate_routes(service),
        *_session_routes(service),
        *_request_routes(service),
        *_people_routes(service),
        *_policy_routes(service),
        *_ledger_routes(service),
    ]
    return Router("/v1", route_handlers=handlers)


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
        name = gate_of(request, service)
        row = service.core.ledger.row("gate", name) or {}
        gate = Gate(name, row.get("assurance", "advisory"), data.action.gate.version)
        who = msgspec.structs.replace(
            data.action.attribution, human=_declared(service, data.action.attribution.human)
        )
        action = msgspec.structs.replace(data.action, gate=gate, attribution=who)
        return await service.authorize(action, data.around, consume=data.consume)

    @post("/permits/consume", status_code=200, summary="Use a permit", tags=["gates"])
    async def consume(request: AnyRequest, data: JSONBody[model.Use]) -> dict[str, str]:
        name = gate_of(request, service)
        return {"action": await service.consume(data.token, data.digest, name)}

    @post("/receipts", status_code=201, summary="Report what happened", tags=["gates"])
    async def report(request: AnyRequest, data: JSONBody[Receipt]) -> dict[str, str]:
        name = gate_of(request, service)
        action = service.core.ledger.row("action", data.action)
        if action is not None and action["gate"] != name:
            raise Forbidden(f"The action {data.action} was asked for at another gate.")
        await service.report(data)
        return {"action": data.action}

    @post("/sessions", status_code=201, summary="Open a session", tags=["gates"])
    async def open_session(request: AnyRequest, data: JSONBody[model.Session]) -> SessionView:
        name = gate_of(request, service)
        row = service.core.ledger.row("gate", name) or {}
        return await service.open_session(
            agent=Agent(data.agent, data.client),
            human=_declared(service, Human(data.human, "declared") if data.human else None),
            gate=Gate(name, row.get("assurance", "advisory")),
            cwd=data.cwd,
            client_session=data.client_session,
            parents=data.parents,
            definition=data.definition,
        )

    @post("/sessions/{session:str}/close", status_code=200, summary="Close a session", tags=["gates"])
    async def close(
        request: AnyRequest, session: FromPath[str], data: JSONBody[model.Closing]
    ) -> SessionView:
        _require_own(service, session, gate_of(request, service))
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
        _require_own(service, session, gate_of(request, service))
        await service.instruct(session, Text(data.text, data.source))
        return {"session": session}

    @post("/requests/{request_id:str}/claim", status_code=200, summary="Claim the permit", tags=["gates"])
    async def claim(request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Claim]) -> Outcome:
        name = gate_of(request, service)
        return await service.claim(request_id, data.digest, name, consume=data.consume)

    @post("/probes", status_code=201, summary="Record a deny probe", tags=["gates"])
    async def probe(request: AnyRequest, data: JSONBody[model.Probe]) -> dict[str, str]:
        person_of(request, service)
        await service.probe(data.gate, data.client, data.stopped, data.how)
        return {"gate": data.gate}

    return [propose, consume, report, open_session, close, instruct, claim, probe]


def _declared(service: Keyturn, human: Human | None) -> Human | None:
    """The human whom a remote gate names: somebody enrolled, and recorded as its word, not as evidence."""
    if human is None:
        return None
    if service.core.roster.get(human.person) is None:
        raise PersonUnknown(f"There is no person {human.person}.")
    return Human(human.person, "declared")


def _require_own(service: Keyturn, session: str, gate: str) -> None:
    """Raises `Forbidden` when another gate opened that session."""
    row = service.core.ledger.row("session", session)
    if row is not None and row["gate"]["name"] != gate:
        raise Forbidden(f"The session {session} was opened at another gate.")


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
        return await service.request(request_id, person_of(request, service))

    @get("/requests/{request_id:str}/wait", summary="Wait for a request's end", tags=["people", "gates"])
    async def wait(
        request: AnyRequest, request_id: FromPath[str], timeout: FromQuery[float] = 30.0
    ) -> RequestView:
        gate = _anyone(request, service)
        row = service.core.ledger.row("request", request_id)
        if gate is not None and row is not None and row["gate"]["name"] != gate:
            raise Forbidden(f"The request {request_id} was made at another gate.")
        if not math.isfinite(timeout):
            raise Malformed("`timeout` is a number of seconds.")
        return await service.wait(request_id, min(max(timeout, 0.0), WAIT_SECONDS))

    @post("/requests/{request_id:str}/approve", status_code=200, summary="Approve", tags=["people"])
    async def approve(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Verdict]
    ) -> RequestView:
        person = person_of(request, service)
        return await service.decide(
            request_id,
            person,
            "approve",
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            channel=data.channel,
        )

    @post("/requests/{request_id:str}/deny", status_code=200, summary="Deny", tags=["people"])
    async def deny(
        request: AnyRequest, request_id: FromPath[str], data: JSONBody[model.Verdict]
    ) -> RequestView:
        person = person_of(request, service)
        return await service.decide(
            request_id,
            person,
            "deny",
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            channel=data.channel,
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
        return ServerSentEvent(_stream(service))

    return [requests, one, wait, approve, deny, withdraw, events]


async def _stream(service: Keyturn) -> AsyncIterator[ServerSentEventMessage]:
    async for change in service.changes():
        yield ServerSentEventMessage(
            data=msgspec.json.encode(change).decode(), id=str(change["index"]), event="entry"
        )


def _anyone(request: AnyRequest, service: Keyturn) -> str | None:
    """A person or a gate: gives the gate's name."""
    if tokens.token_prefix(request.headers.get("authorization", "").partition(" ")[2]) == "ktg":
        return gate_of(request, service)
    person_of(request, service)
    return None


def _page(limit: int) -> int:
    """How many items one answer holds: never none, never all (a negative LIMIT is none to a database)."""
    return min(max(limit, 1), PAGE)


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
    async def enrol(request: AnyRequest, data: JSONBody[model.NewPerson]) -> dict[str, Any]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        token = await service.enrol(
            data.id,
            name=data.name,
            groups=data.groups,
            roles=data.roles,
            os_uids=data.os_uids,
            by=admin.id,
        )
        return {"id": data.id, "token": token}

    @patch("/people/{person:str}", summary="Change a person", tags=["people"])
    async def change(
        request: AnyRequest, person: FromPath[str], data: JSONBody[model.PersonChange]
    ) -> dict[str, Any]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        given = {k: v for k, v in msgspec.to_builtins(data).items() if v is not None}
        await people.change(core, person, given, by=admin.id)
        return people.public(core.ledger.row("person", person) or {})

    @post("/people/{person:str}/remove", status_code=200, summary="Remove a person", tags=["people"])
    async def remove(request: AnyRequest, person: FromPath[str]) -> dict[str, Any]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        await people.remove(core, person, by=admin.id)
        return people.public(core.ledger.row("person", person) or {})

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

    @post("/gates", status_code=201, summary="Give a gate on another machine its token", tags=["gates"])
    async def new_gate(request: AnyRequest, data: JSONBody[model.NewGate]) -> dict[str, str]:
        admin = person_of(request, service)
        require_role(admin, "admin")
        check_person_id(data.name)
        if data.assurance not in ("advisory", "cooperative"):
            raise Malformed(
                "A gate with a token is `advisory` or `cooperative`; higher levels are proven, not declared."
            )
        token = tokens.new_token("ktg")
        fields = {
            "name": data.name,
            "assurance": data.assurance,
            "token": tokens.hash_token(token),
            "by": admin.id,
        }
        await core.ledger.append([Draft("gate.enrolled", fields)])
        return {"gate": data.name, "token": token}

    @post("/gates/{gate:str}/remove", status_code=200, summary="Revoke a gate's token", tags=["gates"])
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
        _anyone(request, service)
        return ledger.head() or ""

    @get("/ledger/entries", summary="Entries", tags=["ledger"])
    async def entries(
        request: AnyRequest,
        start: FromQuery[int] = 0,
        limit: FromQuery[int] = 100,
        newest: FromQuery[bool] = False,
    ) -> list[model.Entry]:
        person_of(request, service)
        size, limit = ledger.size, _page(limit)
        start = max(0, size - limit) if newest else min(max(start, 0), size)
        end = min(size, start + limit)
        return await asyncio.to_thread(lambda: [_entry(e) for e in ledger.entries(start, end)])

    @get("/ledger/entries/{index:int}", summary="One entry", tags=["ledger"])
    async def entry(request: AnyRequest, index: FromPath[int]) -> model.Entry:
        person_of(request, service)
        found = ledger.entry(_known_index(service, index))
        if found is None:
            raise NotFound(f"The ledger has no entry {index}; it has {ledger.size}.")
        return _entry(found)

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
