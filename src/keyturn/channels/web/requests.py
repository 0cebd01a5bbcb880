"""The request page: what would run, why it is held, who stands behind it, and the decision."""

from __future__ import annotations

from typing import Any, Literal

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.approvals.gesture import Gesture
from keyturn.approvals.proof import PasskeyProof
from keyturn.channels.web.exact import HEX_PAGE, Span, exact, hex_lines, matched
from keyturn.channels.web.rendering import path, render
from keyturn.channels.web.signing import Signing, signing
from keyturn.channels.web.site import HTML, AnyRequest, Site, now
from keyturn.channels.web.wording import RANK_PLACES, STATE_MEANS, STATES, rank, rank_of
from keyturn.channels.web.you import own_origin
from keyturn.errors import NotFound, TooLarge
from keyturn.identity import Person
from keyturn.service.model import OF_AGENTS, ApprovalView, RequestView

MOST_WAITING = 1_000
"""Waiting requests among which the next one is looked for."""
MAX_REASON = 2_000
"""Characters of a reason."""


class Verdict(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /requests/{id}/decision`: the choice, bound to the digests of what was shown, and how it was made."""

    choice: Literal["approve", "deny"]
    digest: str
    display: str
    reason: str = ""
    ticket: str = ""
    grant: str = ""
    proof: PasskeyProof | None = None
    nonce: str | None = None
    typed: str = ""
    dwell_ms: int | None = None
    opened: tuple[str, ...] = ()


class Recorded(Struct, frozen=True):
    """Its answer, given only once the ledger has the entry."""

    entry: int
    state: str
    words: str


class Part(Struct, frozen=True):
    """One part of the attribution: `text` is None where the client gave nothing."""

    name: str
    text: str | None
    note: str = ""
    quote: bool = False


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/requests/{id}` and what belongs to it."""

    @get("/requests/{request_id:str}")
    async def page(request: AnyRequest, request_id: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        view = await site.web.service.request(request_id, viewer)
        site.web.service.served(request_id, viewer)
        others = site.web.count("waiting") - (view.state == "waiting")
        sign = await sign_of(site, request, view, viewer)
        shown = exact(
            view.text, spans_of(view), diff=view.subject in ("policy", "definition") or view.kind == "file"
        )
        return site.page(
            request,
            "request.html",
            person=viewer,
            r=view,
            shown=shown,
            parts=parts_of(view),
            own_words=_text(view.attribution.get("reasoning")),
            matched=matched if view.kind == "shell" and not view.withheld else _nothing,
            most_reason=MAX_REASON,
            others=others,
            own=own_approval(view, viewer),
            sign=sign,
        )

    @get(["/requests/{request_id:str}/next", "/requests/{request_id:str}/previous"])
    async def neighbour(request: AnyRequest, request_id: FromPath[str]) -> Redirect:
        viewer = site.viewer(request)
        view = await site.web.service.request(request_id, viewer)
        found = await _neighbour(site, view, request.url.path.endswith("/next"))
        return Redirect(path("requests", found) if found else "/")

    @get("/fragments/standing/{request_id:str}")
    async def standing(request: AnyRequest, request_id: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        view = await site.web.service.request(request_id, viewer)
        sign = await sign_of(site, request, view, viewer)
        body = render("standing.html", r=view, now=now(), own=own_approval(view, viewer), sign=sign)
        return Response(body, media_type=HTML)

    @get("/requests/{request_id:str}/raw")
    async def raw(request: AnyRequest, request_id: FromPath[str]) -> Response[bytes]:
        viewer = site.viewer(request)
        view = await site.web.service.request(request_id, viewer)
        if view.withheld:
            site.web.require_content(viewer)
        return Response(
            view.text.encode("utf-8", "surrogatepass"),
            media_type="text/plain",
            headers={
                "content-disposition": "attachment; filename=action.txt",
                "content-security-policy": "default-src 'none'; sandbox",
            },
        )

    @get("/requests/{request_id:str}/hex")
    async def hexadecimal(request: AnyRequest, request_id: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        view = await site.web.service.request(request_id, viewer)
        if view.withheld:
            site.web.require_content(viewer)
        data = view.text.encode("utf-8", "surrogatepass")
        given = str(request.query_params.get("page", "0"))
        number = int(given) if given.isdecimal() and len(given) < 9 else 0
        last = max(0, (len(data) - 1) // HEX_PAGE)
        if number > last:
            raise NotFound(f"The content has {last + 1} hex pages.")
        return site.page(
            request,
            "hex.html",
            person=viewer,
            r=view,
            lines=hex_lines(data, number),
            number=number,
            last=last,
            size=len(data),
        )

    @post("/requests/{request_id:str}/decision", status_code=200)
    async def decide(request: AnyRequest, request_id: FromPath[str], data: JSONBody[Verdict]) -> Recorded:
        viewer = site.viewer(request)
        require_short(data.reason)
        view = await site.web.service.decide(
            request_id,
            viewer,
            data.choice,
            reason=data.reason,
            digest=data.digest,
            display=data.display,
            channel="web",
            ticket=data.ticket[:100],
            grant=data.grant,
            proof=data.proof,
            statement_nonce=data.nonce,
            gesture=Gesture(typed=data.typed, dwell_ms=data.dwell_ms, opened=data.opened),
        )
        if view.drill is not None:
            return Recorded(view.drill.entry, view.state, view.ended_why)
        given = own_approval(view, viewer)
        entry = given.entry if given else view.entry
        once = "Approved once" if data.grant in ("", "once") else "Approved"
        done = once if data.choice == "approve" else "Denied"
        return Recorded(
            entry,
            view.state,
            f"{done}. Recorded as entry {entry}. {STATES[view.state]}: {STATE_MEANS[view.state]}",
        )

    return [page, neighbour, standing, raw, hexadecimal, decide]


def require_short(reason: str) -> None:
    """Raises `TooLarge` for a reason that is longer than is recorded."""
    if len(reason) > MAX_REASON:
        raise TooLarge(f"The reason has {len(reason):,} characters; at most {MAX_REASON:,} are recorded.")


async def sign_of(site: Site, request: AnyRequest, view: RequestView, viewer: Person) -> Signing:
    """How the viewer signs on this page."""
    if view.state != "waiting":
        return Signing()
    return signing(view, await site.web.service.keys(viewer.id), own_origin(request))


def own_approval(view: RequestView, viewer: Person) -> ApprovalView | None:
    """What this person decided on that request, if they did."""
    return next((given for given in view.approvals if given.person == viewer.id and not given.void), None)


def spans_of(view: RequestView) -> list[Span]:
    """What to mark in the text: steps alternately, bytes that rules matched, bytes that were not understood."""
    if view.withheld or view.subject == "plan":  # a plan's text says of each step what was not understood
        return []
    if view.kind != "shell":  # offsets are into the content; only a script is shown as it is in the content
        size = len(view.text.encode("utf-8", "surrogatepass"))
        return [Span(0, size, "unread")] if view.reading.unread or not view.reading.complete else []
    spans = [
        Span(step.span[0], step.span[1], "step-b" if number % 2 else "step-a")
        for number, step in enumerate(view.reading.steps)
    ]
    spans += [Span(*hit.matched, "hit") for hit in view.decision.rules if hit.verdict != "run"]
    spans += [Span(unread.start, unread.end, "unread") for unread in view.reading.unread]
    return spans


def parts_of(view: RequestView) -> list[Part]:
    """Who stands behind it. Behind a proposed change stand people only, so agents' parts are not "missing" there."""
    parts = attribution(view.attribution)
    if view.parties:
        parts.append(
            Part("Also behind it", ", ".join(view.parties), "through the sessions above; they can't decide")
        )
    if view.subject in OF_AGENTS:
        return parts
    return [Part("Proposed by", parts[0].text, parts[0].note), *(part for part in parts[1:-1] if part.text)]


def attribution(given: dict[str, Any]) -> list[Part]:
    """Human · instruction · agent · definition · parents, in that order; what is missing is there as missing."""
    agent, human = _dict(given.get("agent")), _dict(given.get("human"))
    instruction = _dict(given.get("instruction"))
    parents = [str(p) for p in given.get("parents") or ()]
    runs = " ".join(str(agent[k]) for k in ("client", "version") if agent.get(k))
    return [
        Part("Human", _given(human, "person"), f"known by {human['how']}" if human.get("how") else ""),
        Part("Instruction", _given(instruction, "text"), _from(instruction), quote=True),
        Part(
            "Agent", _given(agent, "name"), ", ".join(x for x in (runs, str(agent.get("model") or "")) if x)
        ),
        Part("Agent's owner", _given(agent, "owner")),
        Part("Definition", str(given["definition"]) if given.get("definition") else None),
        Part("Parents", " → ".join(parents) if parents else "none: started by the human directly"),
    ]


def _text(value: Any) -> Part | None:
    found = _dict(value)
    return Part("reasoning", str(found["text"]), _from(found)) if found.get("text") else None


def _from(value: dict[str, Any]) -> str:
    return f"from {value['source']}" if value.get("source") else ""


def _given(value: dict[str, Any], name: str) -> str | None:
    return str(value[name]) if value.get(name) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


async def _neighbour(site: Site, view: RequestView, forward: bool) -> str | None:
    """The waiting request after (or before) this one in the queue's order; forward from the end starts anew."""
    here = (RANK_PLACES[rank(view)], view.expires, view.id)
    waiting = await site.web.service.waiting(MOST_WAITING)
    places = [(RANK_PLACES[rank_of(one.tier)], one.expires, one.id) for one in waiting if one.id != view.id]
    if forward:
        found = min((place for place in places if place > here), default=min(places, default=None))
    else:
        found = max((place for place in places if place < here), default=None)
    return found[2] if found else None


def _nothing(text: str, span: tuple[int, int], limit: int = 0) -> str:
    """For contents whose offsets are not those of the text shown."""
    return ""
