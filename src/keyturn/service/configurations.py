"""Configurations of targets: what they were seen to be, which change explains it, and what people approve beforehand.

Rules kept here:

- A sighting is recorded whole (its state beside the entry, without secrets) with its patch against the last one, and is compared with
  what was approved at the moment of recording. What is not proven is a finding.
- `good` is the state that people's approvals lead to: the first sighting, and every patch that was proven since. Whatever goes back to
  it is explained by that.
- Approving a change approves exactly its patch, in its window, so many times. Whoever asks for it can't approve it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import to_builtins

from keyturn import canonical
from keyturn.drift import configuration, explaining, patches
from keyturn.drift.configuration import Configuration, Hiding
from keyturn.drift.explaining import Approved, Linked, Observed
from keyturn.drift.finding import Drift, Explanation, Since
from keyturn.errors import ExitCode, KeyturnError, Malformed, TooLarge
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import findings, people
from keyturn.service.changes import open_change
from keyturn.service.configuration_rows import bitmap
from keyturn.service.configuration_views import Sighting, sighting, used_of
from keyturn.service.core import Core
from keyturn.service.model import RequestView
from keyturn.service.publication import REVIEWERS

Row = dict[str, Any]
MAX_TARGET = 200
MAX_WHY = 2_000
MAX_FIELDS = 2_000
"""Fields of a patch that people can be asked to approve at once."""
MAX_WINDOW_MS = 90 * 24 * 3600 * 1000
DEFAULT_WINDOW_MS = 7 * 24 * 3600 * 1000
MAX_USES = 100
TRIES = 5


class ConfigurationUnchanged(KeyturnError):
    """There is nothing to approve: what is proposed is what was seen last."""

    code = "configuration.unchanged"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was asked for."
    next_step = "`keyturn configuration show TARGET` shows what was seen last."


class ConfigurationMoved(KeyturnError):
    """The target was seen by somebody else at the same moment, again and again."""

    code = "configuration.moved"
    status = 409
    not_done = "Nothing was recorded."
    next_step = "Run the command again."


def hiding(core: Core) -> Hiding:
    """Takes secrets out of what is read, under a key of this home: nobody without it can try guesses."""
    return Hiding(
        hmac.new(core.permit_key.private_bytes_raw(), b"keyturn/configuration/v1", hashlib.sha256).digest()
    )


async def seen(core: Core, source: str, data: bytes, target: str, by: Person, tag: str = "") -> Sighting:
    """Record what *target* is now. Raises `ConfigurationMalformed`, `TooLarge`, `ReadsOnly`, `Malformed`."""
    people.require_writer(by)
    _check_target(target)
    found = configuration.read(source, data, hiding(core))
    body = canonical.dumps(_storable(found.state))
    for _ in range(TRIES):
        name = core.id("c")
        row = core.ledger.row("configuration", target)
        patch, linked, good = _compared(core, row, found, target, tag)
        good_body = canonical.dumps(_storable(good))
        fields = {
            "id": name,
            "source": source,
            "target": target,
            "digest": patches.state_digest(found.state),
            "state": canonical.digest_bytes(body),
            "good": canonical.digest_bytes(good_body),
            "objects": len(found.state),
            "patch": _storable(patch),
            "first": not (row and row["state"]),
            "drifted": patches.size(patches.between(good, found.state, found.normal)),
            "tag": tag[:MAX_TARGET],
            "at": core.now(),
            "by": by.id,
            "explanation": to_builtins(linked.explanation),
            "used": _used(core, linked),
        }
        blobs = {fields["state"]: body, fields["good"]: good_body}
        moved: list[bool] = []

        def plan(
            rows: Rows, row: Row | None = row, fields: Row = fields, blobs: dict[str, bytes] = blobs,
            linked: Linked = linked, patch: patches.Patch = patch, moved: list[bool] = moved,
        ) -> Sequence[Draft]:  # fmt: skip
            if rows.row("configuration", target) != row:
                moved.append(True)
                return []
            draft = Draft("configuration.seen", fields, blobs=blobs)
            drift = _finding(target, source, patch, linked.explanation, row, core.now())
            return [draft, *(findings.drafts(core, rows, drift) if drift else [])]

        await core.ledger.append(plan)
        if not moved:
            return sighting(core, name)
    raise ConfigurationMoved(f"{target} was recorded by somebody else at the same moment, {TRIES} times.")


def _compared(
    core: Core, row: Row | None, found: Configuration, target: str, tag: str
) -> tuple[dict[str, dict[str, Any]], Linked, patches.State]:
    """The patch against the last sighting, what explains it, and the good state after it."""
    if row is None or not row["state"]:
        return (
            {},
            Linked(
                Explanation(searched="It is seen for the first time: there is nothing to compare it with.")
            ),
            found.state,
        )
    before, good = state_of(core, row["state"]), state_of(core, row["good"])
    patch = patches.between(before, found.state, found.normal)
    if not patch:
        return {}, Linked(Explanation("PROVEN", outcome="Nothing has changed.")), good
    if not patches.between(good, found.state, found.normal):
        words = f"It is again as people had approved it, after what was found in entry {row['entry']}."
        return patch, Linked(Explanation("PROVEN", outcome=words)), good
    observed = Observed(target, patch, core.now(), row["time"], tag)
    linked = explaining.explain(observed, changes_of(core, core.ledger, row), found.normal)
    told = patches.normalised(patch, found.normal)
    accounted = {one for fields in linked.used.values() for one in fields}
    part = {
        name: {
            field: value
            for field, value in fields.items()
            if linked.explanation.grade == "PROVEN"
            or (name, field) in accounted
            or field not in told.get(name, {})
        }
        for name, fields in patch.items()
    }
    return patch, linked, patches.applied(good, {name: fields for name, fields in part.items() if fields})


def state_of(core: Core, digest: str) -> dict[str, dict[str, Any]]:
    """A recorded state."""
    made: dict[str, dict[str, Any]] = json.loads(core.bytes_of(digest))
    return made


def changes_of(core: Core, rows: Rows, row: Row) -> list[Approved]:
    """The approved changes of a target."""
    found = [rows.row("configuration-change", name) for name in row["changes"]]
    return [approved_of(core, rows, one) for one in found if one is not None]


def approved_of(core: Core, rows: Rows, row: Row) -> Approved:
    """An approved change, with who approved it."""
    request = rows.row("request", row["request"]) or {}
    return Approved(
        id=row["request"],
        target=row["target"],
        patch=core.full(row["patch"]),
        opens=row["opens"],
        closes=row["closes"],
        max_uses=row["max_uses"],
        tag=row["request"],
        actor=row["by"],
        approvers=tuple(
            one["person"] for one in request.get("approvals", ()) if one.get("choice", "approve") == "approve"
        ),
        reason=row["why"],
        time=row["time"],
        used=used_of(core.full(row["patch"]), row["used"]),
        effects=tuple(row["effects"]),
    )


def _finding(
    target: str, source: str, patch: patches.Patch, explanation: Explanation, row: Row | None, now: int
) -> Drift | None:
    """What nobody approved."""
    if not patch or explanation.grade in ("PROVEN", "VERSION-BOUND"):
        return None
    shown = [patches.shown(one) for one in patches.pairs(patch)]
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
    partly = (
        f" {explanation.change} is near, but does not cover it."
        if explanation.change
        else " No approved change is near."
    )
    return Drift(
        "configuration.unexplained",
        (target, patches.patch_digest(patch)),
        f"The {source} configuration of {target} changed in {len(shown)} {'field' if len(shown) == 1 else 'fields'}, and nobody "
        f"approved it like that: {'; '.join(shown[:6])}{more}.{partly}",
        subject={"target": target, "object": sorted(patch)[0]},
        observed="; ".join(shown[:20]),
        expected="what was seen before, or what people approved",
        since=Since(row["time"] if row else now, now),
        entries=(row["entry"],) if row else (),
        explanation=explanation,
    )


# --- approving -----------------------------------------------------------------------------------------------------


async def propose(
    core: Core,
    source: str,
    data: bytes,
    target: str,
    by: Person,
    why: str,
    *,
    opens: int = 0,
    closes: int = 0,
    max_uses: int = 1,
    effects: Sequence[str] = (),
    whole: bool = False,
) -> RequestView:
    """Ask people to approve exactly the change from what *target* is to what *data* says.

    A plan says both; else *data* is what shall be, of the objects that it names, or of all of them with *whole*. `opens` and `closes`
    are milliseconds since 1970 (0: now, and a week later). Raises `ConfigurationUnchanged`, `ConfigurationMalformed`, `Malformed`,
    `ReadsOnly`.
    """
    people.require_writer(by)
    _check_target(target)
    why = core.redaction.text(why.strip())
    opens = opens or core.now()
    closes = closes or opens + DEFAULT_WINDOW_MS
    if not why or len(why) > MAX_WHY:
        raise Malformed(f"A change is proposed with a reason of at most {MAX_WHY:,} characters.")
    if not (opens < closes <= opens + MAX_WINDOW_MS) or closes <= core.now() or not 1 <= max_uses <= MAX_USES:
        raise Malformed(
            f"A window ends after it begins, in at most 90 days, and is not over; a change is used 1 to {MAX_USES} times."
        )
    found = configuration.read(source, data, hiding(core))
    row = core.ledger.row("configuration", target)
    known = state_of(core, row["state"]) if row and row["state"] else {}
    before, after = (found.state, found.proposed) if found.proposed is not None else (known, found.state)
    if found.proposed is None and not whole:
        before = {name: fields for name, fields in known.items() if name in after}
    patch = patches.between(before, after, found.normal)
    if not patch:
        raise ConfigurationUnchanged(f"What is proposed for {target} is what it is already.")
    if patches.size(patch) > MAX_FIELDS:
        raise TooLarge(
            f"The change has {patches.size(patch):,} fields; people are asked about {MAX_FIELDS:,} at most. Split it."
        )
    change = {
        "source": source,
        "target": target,
        "patch": _storable(patch),
        "base": patches.state_digest(before),
        "opens": opens,
        "closes": closes,
        "max_uses": max_uses,
        "effects": sorted(set(effects))[:50],
        "why": why,
        "by": by.id,
    }
    count = patches.size(patch)
    return await open_change(
        core,
        subject="configuration",
        content={"change": change, "text": text_of(target, source, before, patch, change, found.notes)},
        sentence=f"Changes {count} {'field' if count == 1 else 'fields'} of the {source} configuration of {target}.",
        why="What is approved here explains exactly this change later, and no other.",
        by=by,
        approve=REVIEWERS,
        reason_required=True,
        within=max(60, min(7 * 24 * 3600, (closes - core.now()) // 1000)),
    )


def text_of(
    target: str,
    source: str,
    before: patches.State,
    patch: patches.Patch,
    change: Mapping[str, Any],
    notes: Sequence[str],
) -> str:
    """What reviewers read: every field with both values."""
    lines = [f"{target} ({source}), {change['max_uses']} time{'s' if change['max_uses'] != 1 else ''}"]
    lines.append(f"from {explaining.moment(change['opens'])} to {explaining.moment(change['closes'])}")
    lines.append(f"why: {change['why']}")
    lines += [f"expected to do more: {effect}" for effect in change["effects"]]
    for name, field, value in patches.pairs(patch):
        was = before.get(name, {}).get(field)
        old = "" if was is None else f"  (was {json.dumps(was, ensure_ascii=False)})"
        lines.append(f"  {patches.shown((name, field, value))}{old}")
    return "\n".join([*lines, *(f"note: {note}" for note in notes)]) + "\n"


def effect(core: Core, rows: Rows, row: Row) -> Sequence[Draft]:
    """The approval of a change takes effect."""
    change = core.full(row["content"])["change"]
    fields = {**change, "request": row["id"]}
    return [Draft("configuration.approved", fields, once=f"configuration.approved:{row['id']}")]


# --- small things --------------------------------------------------------------------------------------------------


def _check_target(target: str) -> None:
    if not target.strip() or len(target) > MAX_TARGET or not target.isprintable():
        raise Malformed(f"A target has a name of at most {MAX_TARGET} characters.")


def _used(core: Core, linked: Linked) -> dict[str, str]:
    """Change → which fields of its patch this sighting accounts for."""
    made = {}
    for change, fields in linked.used.items():
        row = core.ledger.row("configuration-change", change)
        if row is not None:
            places = {
                (name, field): number
                for number, (name, field, _) in enumerate(patches.pairs(core.full(row["patch"])))
            }
            made[change] = bitmap(places[one] for one in fields)
    return made


def _storable(value: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A state or patch as canonical JSON can hold it."""
    return {
        name: {field: patches.storable(one) for field, one in fields.items()}
        for name, fields in value.items()
    }


__all__ = ["approved_of", "changes_of", "effect", "propose", "seen", "state_of"]
