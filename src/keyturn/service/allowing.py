"""“Always allow”, done right: from a held action the narrowest rule, what it would have run, and another person's approval.

The rule is proposed like any policy (`publication`): cases green, replayed, approved by somebody of `policy` who did not ask for
it. Before that, everybody sees what it would have run of the last 30 days, and whether people denied some of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from keyturn import canonical
from keyturn.actions import Reading
from keyturn.errors import Malformed
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Entry
from keyturn.policy import Policy
from keyturn.policy.suggest import NoRule, suggest
from keyturn.service import publication, requests, sealed
from keyturn.service.conditions.moments import moment
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden
from keyturn.service.model import Allowed, AlwaysAllow, RequestView, UnusedRule

Row = dict[str, Any]
FILE = "rules/50-always.cedar"
DAYS, MAX_DAYS = 30, 366
"""For how long a rule lets run unless something else is asked for, and at most."""
LOOKED_BACK = 30 * 86_400_000
"""Milliseconds of the past over which a rule is tried."""
MOST_ACTIONS = 20_000
LISTED = 50
UNUSED_DAYS = 30


def propose(core: Core, request: str, *, days: int = DAYS) -> AlwaysAllow:
    """The rule for the held action of *request*, ending after *days*, and what it would have run. Raises `NoRule`."""
    if not 1 <= days <= MAX_DAYS:
        raise Malformed(f"A rule lets run for 1 to {MAX_DAYS} days.")
    row = requests.required(core, request)
    entry = _decided(core, row)
    if entry is None:
        raise NoRule("Only of a recorded action a rule can be made.")
    reading = msgspec.convert(core.full(entry.fields["reading"]), Reading)
    facts = publication.facts_of(core, entry.fields)
    until = (datetime.fromtimestamp(core.now() / 1000, UTC) + timedelta(days=days)).date()
    because = f"proposed from request {request}"
    found = suggest(core.policy, row["kind"], reading, facts, until=until, because=because)
    files = with_rule(core.policy.files, found.text)
    policy = Policy.parse(files)
    allowed, looked = _replayed(core, policy, found.rules)
    return AlwaysAllow(
        request=request,
        text=found.text,
        rules=found.rules,
        lifts=found.lifts,
        until=until.isoformat(),
        warnings=(*_denied_words(allowed), *found.warnings),
        looked=looked,
        count=len(allowed),
        denied=sum(one.people == "denied" for one in allowed),
        allowed=tuple(allowed[:LISTED]),
        digest=canonical.digest({"text": found.text, "policy": core.policy.digest}),
    )


async def publish(
    core: Core, request: str, person: Person, *, days: int, digest: str, note: str
) -> RequestView:
    """Send the proposed rule through publication. *digest* is the proposal's: what was shown is what is proposed.

    Looking at a drill's rule tells nothing, or everybody could tell drills by it; a rule is never made of one.
    """
    found = await asyncio.to_thread(propose, core, request, days=days)
    if found.digest != digest:
        raise Malformed(
            "The proposal changed since you looked at it.", next_step="Look at it again, then propose it."
        )
    if sealed.is_drill(core, requests.required(core, request)) and {"author", "admin"} & set(person.roles):
        raise NoRule("Only of a recorded action a rule can be made.")
    said = (
        f"Always allow, from request {request}, until {found.until}. Of {found.looked} actions of the last 30 days it would have run "
        f"{found.count}; people denied {found.denied} of those. {note}"
    ).strip()
    return await publication.propose(core, with_rule(core.policy.files, found.text), person, said)


def with_rule(files: Mapping[str, bytes], text: str) -> dict[str, bytes]:
    """*files* with the rules of *text* beside those that were proposed so before; the same rule again takes its place."""
    before = files.get(FILE, b"").decode()
    kept = [chunk for chunk in before.split("\n\n") if chunk.strip() and _id(chunk) not in _ids(text)]
    return {**files, FILE: ("\n\n".join([*(chunk.strip() for chunk in kept), text.strip()]) + "\n").encode()}


def _ids(text: str) -> set[str]:
    return {_id(chunk) for chunk in text.split("\n\n")}


def _id(chunk: str) -> str:
    first = chunk.strip().split("\n", 1)[0]
    return first if first.startswith("@id(") else ""


def _decided(core: Core, row: Row) -> Entry | None:
    action = core.ledger.row("action", row["action"]) if row["subject"] == "action" else None
    entry = core.ledger.entry(action["entry"]) if action else None
    return entry if entry is not None and "reading" in entry.fields else None


def _replayed(core: Core, policy: Policy, rules: tuple[str, ...]) -> tuple[list[Allowed], int]:
    """What *rules* would have let run, newest first, and how many actions were looked at."""
    found: list[Allowed] = []
    looked = 0
    now = moment(core)
    for row, entry in _recent(core, LOOKED_BACK):
        looked += 1
        if (core.full(entry.fields["decision"]) or {}).get("would") == "run":
            continue
        reading = msgspec.convert(core.full(entry.fields["reading"]), Reading)
        after = policy.decide(entry.fields["kind"], reading, publication.facts_of(core, entry.fields), now)
        if after.would == "run" and {hit.rule for hit in after.rules} & set(rules):
            request = core.ledger.row("request", row["request"]) if row.get("request") else None
            if request is not None and sealed.view(core, request["id"]) is not None:
                continue  # a drill that was told; one that was not has to look like everything else
            found.append(
                Allowed(
                    row["id"],
                    row["sentence"],
                    row["time"],
                    request["state"] if request else "",
                    row.get("request") or "",
                )
            )
    return found, looked


def _recent(core: Core, span: int) -> Iterator[tuple[Row, Entry]]:
    """Recorded actions of the last *span* milliseconds, newest first, with their entries."""
    since, seen = core.now() - span, 0
    before: tuple[int, str] | None = None
    while seen < MOST_ACTIONS:
        page = core.ledger.rows("action", limit=500, before=before)
        for row in page:
            if row["time"] < since:
                return
            entry = core.ledger.entry(row["entry"])
            if entry is not None and "reading" in entry.fields:
                yield row, entry
        if len(page) < 500:
            return
        seen += len(page)
        before = (page[-1]["time"], page[-1]["id"])


def _denied_words(allowed: list[Allowed]) -> list[str]:
    denied = sum(one.people == "denied" for one in allowed)
    if not denied:
        return []
    return [f"PEOPLE DENIED {denied} of the {len(allowed)} actions that it would have run."]


# --- rules that nobody needs any more -------------------------------------------------------------------------------


def unused(core: Core, days: int = UNUSED_DAYS) -> list[UnusedRule]:
    """Rules that let run, and let nothing run in the last *days*; and those that have ended. In the order of the files."""
    if not 1 <= days <= MAX_DAYS:
        raise Malformed(f"The past is looked at for 1 to {MAX_DAYS} days.")
    used: dict[str, int] = {}
    for row, entry in _recent(core, days * 86_400_000):
        for hit in (core.full(entry.fields["decision"]) or {}).get("rules", ()):
            used[hit["rule"]] = used.get(hit["rule"], 0) + 1
        del row
    now = moment(core)
    since = (core.ledger.row("policy-active", "active") or {}).get("since", now)
    return [
        UnusedRule(
            rule.id, rule.file, rule.line, rule.because, rule.until is not None and now >= rule.until, since
        )
        for rule in core.policy.rules
        if rule.verdict == "run" and not used.get(rule.id)
    ]


async def review(core: Core, person: Person, days: int = UNUSED_DAYS) -> list[UnusedRule]:
    """Record that the unused rules are up for review. Raises `Forbidden` for whoever writes no policies."""
    if not {"author", "admin"} & set(person.roles):
        raise Forbidden("Only policy authors open a review of rules.")
    found = await asyncio.to_thread(unused, core, days)
    if found:
        fields = {
            "rules": [rule.rule for rule in found],
            "days": days,
            "policy": core.policy.digest,
            "by": person.id,
        }
        await core.ledger.append([Draft("review.opened", fields)])
    return found


async def decay(core: Core) -> bool:
    """Open a review by itself, once in `UNUSED_DAYS`, for proposed rules (`FILE`) that nobody used since; whether it did.

    Only after the active policy is that old: before, nobody can tell.
    """
    span = UNUSED_DAYS * 86_400_000
    now = moment(core)
    since = (core.ledger.row("policy-active", "active") or {}).get("since", now)
    last = (core.ledger.row("rules-review", "last") or {}).get("time", 0)
    if now - since < span or now - last < span:
        return False
    found = [rule.rule for rule in await asyncio.to_thread(unused, core) if rule.file == FILE]
    if found:
        fields = {"rules": found, "days": UNUSED_DAYS, "policy": core.policy.digest, "by": None}
        await core.ledger.append([Draft("review.opened", fields)])
    return bool(found)


__all__ = ["DAYS", "FILE", "UNUSED_DAYS", "decay", "propose", "publish", "review", "unused", "with_rule"]
