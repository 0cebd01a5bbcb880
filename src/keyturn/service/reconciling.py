"""Reconciliation: a target's own log against the ledger (`keyturn reconcile`).

Rules kept here:

- The server reads the file itself, and records its digest: what was compared can be compared again by anybody who has the file.
- What policy says about a target (`[coverage.NAME]` in drift.toml) can't be said otherwise by whoever reconciles.
- A run begins where the last one ended (the watermark) and ends at the newest line; a line of the future moves no watermark. What
  lies before is counted, and not judged again unless `since` says so.
- What is kept and shown of an event is its fingerprint, in which no values stand; of a command its words. Secrets are taken out of
  them as they are out of actions, so that the two are still the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.drift import coverage, matching, seen, sources
from keyturn.drift.matching import Frame, Outcome, Used
from keyturn.drift.observed import Observed
from keyturn.drift.sources.lines import Sheet
from keyturn.drift.tags import MAX_TARGET
from keyturn.errors import KeyturnError, Malformed, NotFound
from keyturn.identity import Person
from keyturn.ledger.entries import MAX_FIELD_BYTES, Draft, Rows
from keyturn.policy.drift.coverage import Covered, Tagging
from keyturn.service import findings
from keyturn.service.core import Core
from keyturn.service.coverage_rows import coverage_key
from keyturn.service.recollection import Recollection, without_secrets
from keyturn.service.tagging import tags_of

MAX_EVENTS = 1_000_000
"""Events of one run. A longer log is read in several runs: each goes on where the last one ended."""

AHEAD_MS = 60_000
"""How far a target's clock may be ahead of ours; a line of later still is one that can't be."""

SETTLE_MS = {"cloudtrail": 15 * 60 * 1000}
"""How long a source's lines may still come out of order (AWS: within 15 minutes, mostly within 5). Only what is older is judged."""

LISTED = 1_000
"""Bypasses, surpluses and missing actions that the detail lists; the counts are of all."""
USED = 20_000


class NothingToCompare(KeyturnError):
    """The file has no event that could be compared."""

    code = "reconcile.nothing"
    status = 422
    not_done = "Nothing was recorded."
    next_step = "Look at the reasons above, at the source's name and at how the target's logging is set up (docs/how-to/reconcile.md)."


class TargetUnknown(KeyturnError):
    """It was not said which target's log this is."""

    code = "reconcile.target"
    status = 400
    not_done = "Nothing was compared."
    next_step = (
        "Name it as actions do, with --target, or give the target a section [coverage.NAME] in drift.toml."
    )


class ReconciledMeanwhile(KeyturnError):
    """Two runs over the same target at once: the second would judge lines twice."""

    code = "reconcile.meanwhile"
    status = 409
    not_done = "This run was not recorded."
    next_step = "Run it again: it goes on where the other one ended."


class Asked(Struct, frozen=True):
    """What to compare: a log of *source*, of *target*; `paths` for JSON lines. Times in milliseconds, 0 for not said."""

    source: str
    target: str = ""
    since: int = 0
    until: int = 0
    principals: tuple[str, ...] = ()
    tagging: Tagging = "auto"
    paths: dict[str, str] = {}


class ReconciliationView(Struct, frozen=True):
    """One reconciliation. `coverage` is the share of the agents' events with a matching action; None without events.

    `bypasses`, `surplus` and `missing` list the first ones, with what is shown of each; `counts` are of all. `skew` is the target's
    clock minus ours, in milliseconds. `reasons`: why lines could not be read, the first few.
    """

    id: str
    source: str
    target: str
    entry: int
    time: int
    since: int
    until: int
    counts: dict[str, int]
    coverage: float | None
    skew: int | None
    tagging: bool
    principals: tuple[str, ...]
    file: str
    size: int
    by: str
    reasons: tuple[str, ...] = ()
    stopped: str = ""
    bypasses: tuple[dict[str, Any], ...] = ()
    surplus: tuple[dict[str, Any], ...] = ()
    missing: tuple[dict[str, Any], ...] = ()

    @property
    def drift(self) -> bool:
        """Whether something happened there that nobody was asked about, or the reverse."""
        return any(self.counts[name] for name in ("bypasses", "missing"))


class CoverageView(Struct, frozen=True):
    """How well one target's log is accounted for. `watermark`: until when it was judged, 0 for never.

    `lag` is how many milliseconds ago that is. `history`: [time, watermark, events, accounted, bypasses] for each run.
    """

    source: str
    target: str
    watermark: int
    lag: int
    coverage: float | None
    counts: dict[str, int]
    last: str = ""
    time: int = 0
    entry: int = 0
    skew: int | None = None
    tagging: bool = False
    history: tuple[tuple[int, int, int, int, int], ...] = ()


async def reconcile(
    core: Core, person: Person, asked: Asked, file: BinaryIO, digest: str, size: int
) -> ReconciliationView:
    """Compare the log *file* with the ledger, and record what came of it. Raises `NothingToCompare`, `TargetUnknown`, `Malformed`."""
    if asked.source not in sources.NAMES:
        raise Malformed(f"There is no source {asked.source!r}, only {', '.join(sources.NAMES)}.")
    rule = _rule(core, asked.source, asked.target)
    target = asked.target or (rule.target if rule else "")
    if not target or len(target) > MAX_TARGET:
        raise TargetUnknown("It is not known which target's log this is.")
    key = coverage_key(asked.source, target)
    known = core.ledger.row("coverage", key) or {}
    since = asked.since or int(known.get("watermark", 0))
    sheet = Sheet()
    events = await asyncio.to_thread(_events, core, asked, file, sheet)
    ahead = core.now() + AHEAD_MS
    newest = max((one.time for one in events if one.time <= ahead), default=0)
    if not newest:
        raise NothingToCompare(_nothing(sheet, len(events)), reasons=sheet.reasons)
    until = min(newest + 1 - SETTLE_MS.get(asked.source, 0), asked.until or newest + 1)
    first = min(one.time for one in events)
    frame = Frame(
        target=target,
        since=since or first,
        until=max(until, since or first),
        principals=rule.principals if rule and rule.principals else asked.principals,
        tagging=rule.tagging if rule else asked.tagging,
    )
    again = asked.since and asked.since < int(known.get("watermark", 0))
    used = [] if again else msgspec.convert(core.full(known.get("used")) or [], list[Used])
    outcome = await asyncio.to_thread(_compared, core, events, frame, used)
    fields = _fields(core, person, asked, frame, outcome, sheet, digest, size)
    fields["counts"]["late"] = sum(one.time < frame.since for one in events)
    fields["counts"]["ahead"] = sum(one.time > ahead for one in events)
    fields["seen"], blobs = await asyncio.to_thread(_kept, core, outcome)
    found = coverage.drifts(outcome, asked.source, target, frame.until)
    watermark = int(known.get("watermark", 0))

    def plan(rows: Rows) -> Sequence[Draft]:
        now = rows.row("coverage", key) or {}
        if int(now.get("watermark", 0)) != watermark:
            raise ReconciledMeanwhile("Somebody else reconciled this target meanwhile.")
        return [
            Draft("source.reconciled", fields, blobs=blobs),
            *(draft for one in found for draft in findings.drafts(core, rows, one)),
        ]

    await core.ledger.append(plan)
    return view(core, fields["id"])


def _rule(core: Core, source: str, target: str) -> Covered | None:
    """What policy says about the target; the only one of that source when none was named."""
    mine = [one for one in core.policy.drift.coverage if one.source == source]
    if target:
        return next((one for one in mine if one.target == target), None)
    return mine[0] if len(mine) == 1 else None


def _events(core: Core, asked: Asked, file: BinaryIO, sheet: Sheet) -> list[Observed]:
    events = []
    for event in sources.read(asked.source, file, sheet, asked.paths or None):
        events.append(without_secrets(core.redaction, event))
        if len(events) >= MAX_EVENTS:
            sheet.stopped = (
                f"It was read up to line {event.index}, {MAX_EVENTS:,} events: the next run goes on there."
            )
            break
    return events


def _nothing(sheet: Sheet, events: int) -> str:
    if events:
        return (
            f"All {events:,} events of the file lie in the future: look at the target's clock and time zone."
        )
    why = f"; {'; '.join(sheet.reasons)}" if sheet.reasons else ""
    return (
        f"The file has no event that can be compared: {sheet.lines:,} lines, {sheet.broken:,} of them not readable and"
        f" {sheet.other:,} about something else{why}. {sheet.stopped}".strip()
    )


def _compared(core: Core, events: Sequence[Observed], frame: Frame, used: Sequence[Used]) -> Outcome:
    tags = tags_of(core)
    named = {found.id for one in events if one.tag and (found := tags.checked(one.tag, frame.target))}
    memory = Recollection(core, tags)
    memory.read(frame.since, frame.until, named)
    return matching.compare(events, list(memory.actions.values()), memory.spans, tags, frame, used)


def _fields(
    core: Core,
    person: Person,
    asked: Asked,
    frame: Frame,
    outcome: Outcome,
    sheet: Sheet,
    digest: str,
    size: int,
) -> dict[str, Any]:
    detail = {
        "bypasses": [_shown(one.event, one.kind, one.why) for one in outcome.bypasses[:LISTED]],
        "surplus": [_named(to_builtins(one)) for one in outcome.surplus[:LISTED]],
        "missing": [to_builtins(one) for one in outcome.missing[:LISTED]],
    }
    detail = core.redaction.value(detail)
    kinds = [one.kind for one in outcome.bypasses]
    return {
        "id": core.id("v"),
        "source": asked.source,
        "target": frame.target,
        "by": person.id,
        "file": digest,
        "size": size,
        "since": frame.since,
        "until": frame.until,
        "principals": list(outcome.principals),
        "tagging": outcome.tagging,
        "skew": outcome.skew,
        "counts": {
            "lines": sheet.lines,
            "broken": sheet.broken,
            "other": sheet.other,
            "events": outcome.events,
            "others": outcome.others,
            "outside": outcome.outside,
            "accounted": outcome.accounted,
            "tagged": outcome.tagged,
            "in_session": outcome.in_session,
            "matched": outcome.matched,
            "within": outcome.within,
            "bypasses": len(outcome.bypasses) + outcome.surpluses,
            "unknown_tag": kinds.count("unknown_tag"),
            "untagged": kinds.count("untagged"),
            "surplus": outcome.surpluses,
            "missing": len(outcome.missing),
        },
        "reasons": core.redaction.value(sheet.reasons),
        "stopped": sheet.stopped,
        "bypassed": canonical.digest(detail),
        "content": detail,
        "used": [to_builtins(one) for one in outcome.used[-USED:]],
    }


def _kept(core: Core, outcome: Outcome) -> tuple[Any, dict[str, bytes]]:
    """The field `seen`, and the blob that it stands for where it is large: made on another thread, since a log may be long."""
    agents = {}
    for session in {one.session for one in outcome.accounts if one.session}:
        row = core.ledger.row("session", session)
        agents[session] = str((core.full(row["agent"]) or {}).get("name", "")) if row is not None else ""
    made = seen.kept(outcome, agents)
    data = canonical.dumps(made)
    if len(data) <= MAX_FIELD_BYTES:
        return made, {}
    digest = canonical.digest_bytes(data)
    return {"blob": digest, "size": len(data)}, {digest: data}


def _shown(event: Observed, kind: str, why: str) -> dict[str, Any]:
    return {
        "kind": kind, "why": why, "line": event.index, "time": event.time, "principal": event.principal,
        "statement": event.shown, "operation": event.operation, "object": event.object, "tag": event.tag,
    }  # fmt: skip


def _named(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "fingerprint"}


def view(core: Core, id: str, content: bool = True) -> ReconciliationView:
    """One reconciliation; without *content* only its counts. Raises `NotFound`."""
    row = core.ledger.row("reconciliation", id)
    if row is None:
        raise NotFound(f"There is no reconciliation {id}.")
    given = {
        name: core.full(value)
        for name, value in row.items()
        if name not in ("content", "used", "bypassed", "seen")
    }
    detail = core.full(row["content"]) if content else {}
    counts = given["counts"]
    share = counts["accounted"] / counts["events"] if counts["events"] else None
    return msgspec.convert({**given, **detail, "coverage": share}, ReconciliationView)


def views(core: Core) -> list[CoverageView]:
    """Every target that policy says is covered, or that was reconciled; the oldest watermark first."""
    rows = {(row["source"], row["target"]): row for row in core.ledger.rows("coverage", limit=1_000)}
    for rule in core.policy.drift.coverage:
        never: dict[str, Any] = {"source": rule.source, "target": rule.target, "watermark": 0, "counts": {}}
        rows.setdefault((rule.source, rule.target), never)
    return sorted((_view(core, row) for row in rows.values()), key=lambda one: (one.watermark, one.target))


def _view(core: Core, row: Mapping[str, Any]) -> CoverageView:
    counts, watermark = core.full(row["counts"]), int(row["watermark"])
    share = counts["accounted"] / counts["events"] if counts.get("events") else None
    lag = max(0, core.now() - watermark) if watermark else 0
    given = {
        name: core.full(row[name])
        for name in ("last", "time", "entry", "skew", "tagging", "history")
        if name in row
    }
    return msgspec.convert(
        {"source": row["source"], "target": row["target"], "watermark": watermark, "lag": lag, "coverage": share,
         "counts": counts, **given},
        CoverageView,
    )  # fmt: skip


__all__ = [
    "Asked", "CoverageView", "NothingToCompare", "ReconciliationView", "TargetUnknown", "reconcile", "view", "views",
]  # fmt: skip
