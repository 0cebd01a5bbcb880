"""The ledger as pages: the stream of entries, one entry with its proof, one session's entries."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from keyturn.channels.web.context import LedgerReader
from keyturn.channels.web.entries import Damaged, each, sound
from keyturn.channels.web.guard import POLICY
from keyturn.channels.web.proofs import Proof, leaf_hash, parse_checkpoint, parse_proof
from keyturn.channels.web.site import AnyRequest, Site
from keyturn.channels.web.wording import request_of
from keyturn.errors import KeyturnError, NotFound
from keyturn.ledger.entries import ENTRY_TYPES, Entry
from keyturn.recordings import check_recording

PAGE = 50
CHUNK = 500
MOST_SEARCHED = 20_000
"""Entries one filtered page looks at; the page says how far it looked and links on."""


class Proven(Struct, frozen=True):
    """What the browser needs to verify an entry itself. `leaf` is base64; `disclosures` as they lie beside it."""

    index: int
    leaf: str
    disclosures: tuple[str, ...]
    proof: str
    checkpoint: str


class Found(Struct, frozen=True):
    """Entries newest first, and where looking further back starts (None: the beginning was reached)."""

    entries: list[Entry | Damaged]
    older: int | None


def handlers(site: Site) -> list[ControllerRouterHandler]:
    """`/ledger`, `/ledger/{index}`, `/sessions/{id}`."""

    @get("/ledger")
    async def stream(request: AnyRequest) -> Response[str]:
        viewer = site.viewer(request)
        asked = {name: str(request.query_params.get(name, "")) for name in ("type", "session", "request")}
        before = _number(str(request.query_params.get("before", "")), site.web.ledger.size)
        found = await asyncio.to_thread(_search, site.web.ledger, before, asked)
        shown = [e if isinstance(e, Damaged) else site.web.disclosed(e, viewer) for e in found.entries]
        found = Found(shown, found.older)
        return site.page(
            request,
            "ledger.html",
            person=viewer,
            found=found,
            asked=asked,
            types=sorted(ENTRY_TYPES),
            meanings=ENTRY_TYPES,
            checkpoint=parse_checkpoint(site.web.ledger.head() or ""),
            newest=before >= site.web.ledger.size,
        )

    @get("/ledger/{index:int}")
    async def entry_page(request: AnyRequest, index: FromPath[int]) -> Response[str]:
        viewer = site.viewer(request)
        entry = site.web.disclosed(_entry(site.web.ledger, index), viewer)
        proof, trouble = _proof(site.web.ledger, index)
        return site.page(
            request,
            "entry.html",
            person=viewer,
            e=entry,
            index=index,
            meaning=ENTRY_TYPES.get(entry.type, "This version does not know that type."),
            request_id=request_of(entry),
            leaf_text=entry.leaf.decode("utf-8", "surrogateescape"),
            leaf_hash=leaf_hash(entry.leaf).hex(),
            proof=proof,
            trouble=trouble,
            size=site.web.ledger.size,
        )

    @get("/ledger/{index:int}/proof")
    async def entry_proof(request: AnyRequest, index: FromPath[int]) -> Proven:
        entry = site.web.disclosed(_entry(site.web.ledger, index), site.viewer(request))
        return Proven(
            index,
            base64.b64encode(entry.leaf).decode(),
            entry.disclosures,
            site.web.ledger.inclusion(index),
            site.web.ledger.head() or "",
        )

    @get("/sessions/{session:str}")
    async def session_page(request: AnyRequest, session: FromPath[str]) -> Response[str]:
        viewer = site.viewer(request)
        view = await site.web.session(session)
        if view is None:
            raise NotFound(f"There is no session {session}.")
        start = _number(str(request.query_params.get("from", "")), -1)
        timeline = await asyncio.to_thread(
            _timeline, site.web.ledger, view.id, view.opened, view.entries, start
        )
        check = await asyncio.to_thread(
            check_recording, site.web.recordings, view.id, view.recording, closed=view.closed is not None
        )
        page = site.page(request, "session.html", person=viewer, s=view, timeline=timeline, recording=check)
        if check.replays:
            page.headers["content-security-policy"] = f"{POLICY}; frame-src 'self'"
        return page

    return [stream, entry_page, entry_proof, session_page]


def _entry(ledger: LedgerReader, index: int) -> Entry:
    entry = ledger.entry(index) if 0 <= index < ledger.size else None
    if entry is None:
        raise NotFound(f"The ledger has no entry {index}; it has {ledger.size:,} entries.")
    return entry


def _proof(ledger: LedgerReader, index: int) -> tuple[Proof | None, str]:
    """The entry's proof for showing, or why there is none."""
    try:
        return parse_proof(ledger.inclusion(index)), ""
    except KeyturnError as error:
        return None, error.happened


def _number(given: str, otherwise: int) -> int:
    return int(given) if given.isdecimal() and len(given) < 16 else otherwise


def _search(ledger: LedgerReader, before: int, asked: dict[str, str]) -> Found:
    """The newest `PAGE` entries below *before* that fit, looking at most at `MOST_SEARCHED`."""
    end = min(before, ledger.size)
    stop = max(0, end - MOST_SEARCHED)
    found: list[Entry | Damaged] = []
    step = CHUNK if any(asked.values()) else PAGE
    while end > stop:
        start = max(stop, end - step)
        for entry in reversed(list(each(ledger, start, end))):
            if isinstance(entry, Damaged) or _fits(entry, asked):
                found.append(entry)
                if len(found) == PAGE:
                    return Found(found, entry.index if entry.index > 0 else None)
        end = start
    return Found(found, end if end > 0 else None)


def _fits(entry: Entry, asked: dict[str, str]) -> bool:
    return (
        (not asked["type"] or entry.type == asked["type"])
        and (not asked["session"] or entry.session == asked["session"])
        and (not asked["request"] or request_of(entry) == asked["request"])
    )


class Timeline(Struct, frozen=True):
    """A session's entries in order. `lost` are numbers of the sequence that were passed over; `further` where to go on."""

    entries: list[Entry]
    lost: tuple[int, ...]
    further: int | None
    closing: int | None


def _timeline(ledger: LedgerReader, session: str, opened: int, count: int, start: int) -> Timeline:
    """Entries of *session* from *start* (or from its opening, found by time: entry times never go back)."""
    at = start if start >= 0 else _first_at(ledger, opened)
    stop = min(ledger.size, at + MOST_SEARCHED)
    found: list[Entry] = []
    lost: list[int] = []
    closing = None
    for entry in sound(ledger, at, stop):
        if entry.session != session:
            continue
        if found and entry.n is not None and found[-1].n is not None:
            lost.extend(range(found[-1].n + 1, min(entry.n, found[-1].n + 100)))
        found.append(entry)
        if entry.type == "session.closed":
            given: Any = entry.fields.get("count")
            closing = given if isinstance(given, int) else None
            return Timeline(found, tuple(lost), None, closing)
        if entry.n is not None and entry.n >= count:
            return Timeline(found, tuple(lost), None, None)
        if len(found) >= 10 * PAGE:
            return Timeline(found, tuple(lost), entry.index + 1, None)
    return Timeline(found, tuple(lost), stop if stop < ledger.size else None, closing)


def _first_at(ledger: LedgerReader, time: int) -> int:
    """Index of the first entry not before *time*, by bisection."""
    low, high = 0, ledger.size
    while low < high:
        middle = (low + high) // 2
        entry = next(sound(ledger, middle, high), None)
        if entry is not None and entry.time < time:
            low = middle + 1
        else:
            high = middle
    return low
