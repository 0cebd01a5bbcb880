"""The HTTP application: API, pages, health and metrics over one service, with errors in words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from keyturn import __version__, metrics
from keyturn.channels import api, scim, web
from keyturn.channels.building import Channels
from keyturn.channels.evidence_desk import PageEvidence
from keyturn.channels.finding_desk import PageFindings
from keyturn.channels.notices.desk import ChatDesk
from keyturn.channels.peers import NotInTheClear, PeopleOnly
from keyturn.channels.sinks import Sinks
from keyturn.channels.telling import PageTelling
from keyturn.channels.web.conditions import health_lines
from keyturn.channels.web.context import HealthLine, Retention
from keyturn.channels.web.controls import EvidenceDesk
from keyturn.channels.web.findings import FindingDesk
from keyturn.channels.web.told import Telling
from keyturn.drift.definition_diff import Comparison
from keyturn.drift.practice import Practice
from keyturn.errors import KeyturnError, Malformed, NotFound, TooLarge
from keyturn.identity import Person
from keyturn.ledger import Ledger
from keyturn.ledger.entries import Entry
from keyturn.service import (
    access_review,
    artefacts,
    behaviour_views,
    breakglass,
    configuration_views,
    credentials,
    defining,
    definition_views,
    disclosure,
    erasing,
    findings,
    legal_holds,
    practising,
    reconciling,
    roster_changes,
    sessions,
)
from keyturn.service.access_review import AccessView, LastReview, LastUse, Reviewed
from keyturn.service.artefacts import ArtefactView
from keyturn.service.behaviour_views import AgentDrift, Course
from keyturn.service.conditions.overview import overview
from keyturn.service.configuration_views import ConfigurationView
from keyturn.service.credentials import STANDING, CredentialView
from keyturn.service.definition_views import AgentView, DefinitionView
from keyturn.service.errors import UnknownSession
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import SessionView
from keyturn.service.reconciling import CoverageView, ReconciliationView
from keyturn.service.redacting import Redaction
from keyturn.service.settings import Settings
from keyturn.service.signing_in import SigningIn
from keyturn.service.words import span

AnyRequest = Request[Any, Any, Any]


def _standing(listed: Sequence[CredentialView]) -> list[CredentialView]:
    return [one for one in listed if one.state in STANDING]


class Pages:
    """What the pages are given: implements `channels.web.context.WebContext`."""

    def __init__(
        self,
        service: Keyturn,
        settings: Settings,
        channels: Channels | None = None,
        sinks: Callable[[], Sinks | None] = lambda: None,
    ) -> None:
        self.sinks = sinks
        self.service = service
        self.settings = settings
        self.channels = channels or Channels()
        self.telling: Telling | None = PageTelling(service.core, self.channels)

    @property
    def ledger(self) -> Ledger:
        """The log."""
        return self.service.core.ledger

    @property
    def hosts(self) -> Sequence[str]:
        """Names under which pages may be opened."""
        return self.settings.hosts

    async def login(self, code: str) -> str:
        """Redeem a one-time code for a web session's key."""
        return await self.service.logins.redeem(code)

    async def logout(self, cookie: str) -> None:
        """End a web session."""
        await self.service.logins.close(cookie)

    @property
    def signing_in(self) -> SigningIn | None:
        """Journeys to the provider, where there is one."""
        return self.service.signing_in if self.settings.oidc.on else None

    async def link_account(self, person: str, account: str) -> str:
        """Link an account that somebody has shown to be theirs, or ask another administrator for it."""
        core = self.service.core
        asked = await roster_changes.link(core, person, account, by=core.roster.people[person])
        return f"/requests/{asked.request.id}" if asked.request else ""

    def disclosed(self, entry: Entry, viewer: Person) -> Entry:
        """An entry as that person may see it."""
        return disclosure.disclosed(self.service.core, entry, viewer)

    def require_content(self, viewer: Person) -> None:
        """Whether that person is shown contents at all."""
        disclosure.require_content(self.service.core, viewer)

    def person_of_cookie(self, cookie: str) -> Person | None:
        """Whose web session that is."""
        return self.service.logins.person(cookie)

    def count(self, state: str) -> int:
        """Requests in that state."""
        return self.ledger.count("request", state=state)

    def unreviewed(self) -> int:
        """Times that the glass was broken and nobody reviewed it yet."""
        return breakglass.unreviewed(self.service.core)

    @property
    def recordings(self) -> Path | None:
        """Where this home keeps recordings."""
        return self.service.core.recordings

    async def session(self, session: str) -> SessionView | None:
        """One agent run."""
        try:
            return sessions.view(self.service.core, session)
        except UnknownSession:
            return None

    def credentials(self, viewer: Person) -> tuple[Sequence[CredentialView], Sequence[CredentialView]]:
        """Those of gates and agents, and *viewer*'s own tokens, as far as they open anything."""
        core = self.service.core
        others, own = credentials.views(core, 200), credentials.tokens_of(core, viewer.id, 200)
        return _standing(others), _standing(own)

    async def revoke_credential(self, viewer: Person, credential: str) -> CredentialView:
        """Revoke it."""
        return await credentials.revoke_by(self.service.core, credential, viewer, "")

    async def access(
        self, viewer: Person
    ) -> tuple[AccessView, Mapping[str, LastUse], Mapping[str, LastReview]]:
        """Who may do what, when each person last did, and when somebody else last looked at them."""
        core = self.service.core
        return (
            await asyncio.to_thread(access_review.look, core, viewer),
            access_review.last_uses(core, viewer),
            access_review.last_looks(core, viewer),
        )

    async def review_access(self, viewer: Person, digest: str, note: str) -> Reviewed:
        """Record that *viewer* looked through the list of *digest*."""
        return await access_review.record(self.service.core, viewer, digest, note)

    def practice(self) -> tuple[int, Practice] | None:
        """How the policy's rules were used."""
        return practising.latest(self.service.core)

    def retention(self) -> Retention:
        """What has to go, what must stay, and what went."""
        core = self.service.core
        rules = {
            name: f"{', '.join(rule.labels)}: {span(rule.keep)}{', ' + rule.because if rule.because else ''}"
            for name, rule in core.policy.drift.retention.items()
        }
        return Retention(
            artefacts.views(core), legal_holds.views(core, "all"), erasing.views(core, 200), rules
        )

    async def gone(self, viewer: Person, artefact: str, why: str) -> ArtefactView:
        """Record that a file is gone."""
        return await artefacts.attest(self.service.core, artefact, viewer, why)

    def agents(self) -> Sequence[AgentView]:
        """Agents that were seen."""
        return definition_views.agents(self.service.core)

    def agent(self, name: str) -> AgentView | None:
        """One agent."""
        return definition_views.agent(self.service.core, name)

    def definitions(self, agent: str) -> Sequence[DefinitionView]:
        """What it is, and was."""
        return definition_views.definitions(self.service.core, agent)

    async def compared(self, agent: str, before: str, after: str) -> Comparison:
        """What is different between two of its definitions."""
        core = self.service.core
        row = defining.found(core, after, agent)
        other = defining.found(core, before, agent) if before else definition_views.other(core, row)
        return await defining.compared_apart(core, other, row)

    @property
    def evidence(self) -> EvidenceDesk:
        """Controls, packs, and who looked at them."""
        return PageEvidence(self.service)

    @property
    def findings(self) -> FindingDesk:
        """What was observed that should not be."""
        return PageFindings(self.service)

    def configurations(self) -> Sequence[ConfigurationView]:
        """See `WebContext`."""
        return configuration_views.views(self.service.core)

    def configuration(self, target: str) -> ConfigurationView:
        """See `WebContext`."""
        return configuration_views.view(self.service.core, target)

    def coverage(self) -> Sequence[CoverageView]:
        """How well targets' own logs are accounted for."""
        return reconciling.views(self.service.core)

    def reconciliation(self, viewer: Person, id: str) -> ReconciliationView:
        """One comparison, as far as *viewer* may see it."""
        core = self.service.core
        return reconciling.view(core, id, disclosure.sees_content(core, viewer))

    def drift(self) -> Sequence[AgentDrift]:
        """How far every agent is from its baseline."""
        return behaviour_views.fleet(self.service.core)

    def drift_of(self, agent: str, last: int) -> Course:
        """One agent with its newest *last* sessions."""
        return behaviour_views.course(self.service.core, agent, last)

    def health(self) -> Sequence[HealthLine]:
        """What to say about this server."""
        core = self.service.core
        policy = core.policy
        reviewers = {p.id for p in core.roster.people.values() if p.groups and not p.removed}
        lines = [
            HealthLine("Ledger", "ok", f"{core.ledger.size:,} entries, writable."),
            HealthLine(
                "Policy",
                "ok" if policy.mode == "enforce" else "warning",
                "Enforced."
                if policy.mode == "enforce"
                else "Observing: what would be held runs, and is recorded.",
            ),
        ]
        if len(reviewers) < 2:
            lines.append(
                HealthLine(
                    "People", "warning", "Fewer than two people can review: nobody approves their own agent."
                )
            )
        if glass := breakglass.views(core, "unreviewed", 100):
            late = [one for one in glass if one.state == "overdue"]
            words = f"{len(glass)} used and not reviewed" + (f", {len(late)} overdue." if late else ".")
            lines.append(HealthLine("Break-glass", "bad" if late else "warning", words))
        found = findings.unresolved(core)
        if found:
            lines.append(HealthLine("Findings", "warning", f"{found:,} open: look at the page Findings."))
        lines += health_lines(overview(core))
        sinks = self.sinks()
        lines += [
            HealthLine(f"Sink {name}", state, told) for name, state, told in (sinks.health() if sinks else ())
        ]
        rows = core.ledger.rows("channel")
        return lines + [
            HealthLine(f"Channel {one.name}", one.state, " ".join(filter(None, (one.words, one.mend))))
            for one in self.channels.health(rows, core.now())
        ]


def make_app(
    service: Keyturn,
    settings: Settings,
    channels: Channels | None = None,
    desk: ChatDesk | None = None,
    sinks: Callable[[], Sinks | None] = lambda: None,
) -> Litestar:
    """The ASGI application. *desk* takes what people decide in chats."""
    pages = Pages(service, settings, channels, sinks)
    shown = web.error_handlers(pages)[Exception]

    def answer(request: AnyRequest, error: Exception) -> Response[Any]:
        return (
            answer_error(request, error, service.core.redaction)
            if request.url.path.startswith("/v1")
            else shown(request, error)
        )

    inbound = [route for channel in pages.channels.made for route in channel.routes(desk)] if desk else []
    handlers: list[Any] = [
        *inbound,
        api.routes(service),
        scim.routes(service, settings.max_body),
        *web.routes(pages),
        *_operations(service),
    ]
    return Litestar(
        route_handlers=handlers,
        middleware=[NotInTheClear(settings.proxies), PeopleOnly(service, settings.proxies)],
        openapi_config=OpenAPIConfig(
            title="Keyturn",
            version=__version__,
            path="/v1",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        exception_handlers={Exception: answer, HTTPException: answer, KeyturnError: answer},
        request_max_body_size=settings.max_body,
        logging_config=None,
        debug=False,
    )


def _operations(service: Keyturn) -> list[BaseRouteHandler]:
    @get(["/livez", "/healthz"], media_type="text/plain", summary="The process answers", tags=["operations"])
    async def livez() -> str:
        return "ok\n"

    @get("/readyz", media_type="text/plain", summary="The ledger can be written", tags=["operations"])
    async def readyz() -> Response[str]:
        broken = service.core.ledger.broken
        return Response(f"not ready: {broken}\n" if broken else "ok\n", status_code=503 if broken else 200)

    @get("/metrics", media_type="text/plain", summary="Prometheus metrics", tags=["operations"])
    async def exposition() -> Response[bytes]:
        return Response(metrics.exposition(service), media_type="text/plain; version=0.0.4")

    return [livez, readyz, exposition]


def answer_error(request: AnyRequest, error: Exception, redaction: Redaction) -> Response[Any]:
    """Any exception as words, without secrets. Tracebacks go to the log, never to a caller."""
    known = _known(error)
    if known is None:
        metrics.log_failure(error)
        known = KeyturnError("Keyturn failed inside.")
    body = msgspec.json.encode(redaction.value(known.as_json()))
    return Response(body, status_code=known.status, media_type="application/json")


def _known(error: Exception) -> KeyturnError | None:
    if isinstance(error, KeyturnError):
        return error
    if isinstance(error, RecursionError):
        return Malformed("The body is nested too deep to be read.")
    if isinstance(error, ValidationException):
        extra = error.extra if isinstance(error.extra, list) else []
        words = "; ".join(
            f"{e.get('key', 'body')}: {e.get('message', '')}" for e in extra if isinstance(e, dict)
        )
        return Malformed(f"The request is not what the API describes: {words or error.detail}.")
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return NotFound("There is nothing at that address.")
        if error.status_code == 413:
            return TooLarge("The body is larger than the setting `max_body` allows.")
        known = Malformed(f"{error.detail}.")
        known.status = error.status_code  # type: ignore[misc]
        return known
    return None
