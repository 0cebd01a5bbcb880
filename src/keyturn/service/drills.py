"""Drills: opening one, what a decision on it leaves, and telling that it was one.

Rules kept here (`approvals.drill` has the seal and the catalogue):

- A drill copies a request that was recorded, made bad by one mutation of the catalogue, and held by the policy as it is now. It
  has a session, an action and a request of its own, recorded like any others: until the decision nobody can tell.
- Nothing can run by it: a decision on a drill never reaches the request's state, which so is never *approved*; no approval is
  recorded, no permit is made, and no gate knows of it.
- The first decision reveals it in the same commit, whatever else ends it right after (`service.sealed`): `drill.decided`
  names all three and opens the seal, and the session is closed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from keyturn import readers
from keyturn.actions import Action, Agent, Attribution, Gate, Human, Reading, Shell, Text
from keyturn.approvals.drill import Mutation, mutations
from keyturn.errors import KeyturnError
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Entry, Rows
from keyturn.policy.decision import Decision
from keyturn.resources import Surroundings
from keyturn.service import authorization
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden
from keyturn.service.sealed import closed, is_drill, seals, told

Row = dict[str, Any]
COPIED_FROM = 200
"""Among so many of the newest requests one is copied."""
TRIES = 12


class NothingToCopy(KeyturnError):
    """There is no recorded request that could be made bad and would be held."""

    code = "drill.nothing_to_copy"
    status = 409
    not_done = "No drill was opened."
    next_step = "Wait until agents asked for something that was held, then try again."


async def now(core: Core, admin: Person) -> None:
    """Open one now. Which request it is, nobody is told: administrators review, too. Raises `Forbidden`, `NothingToCopy`."""
    if "admin" not in admin.roles:
        raise Forbidden("Only administrators start drills.")
    await open_one(core)


async def follow(core: Core, entry: Entry) -> None:
    """After a real request was opened, perhaps open a drill: as often as the policy says."""
    rate = core.policy.requirements.drills
    request = entry.fields["id"]
    if entry.fields["subject"] != "action" or not rate or not seals(core).chosen(request, rate):
        return
    row = core.ledger.row("request", request)
    if row is not None and not is_drill(core, row):
        await open_one(core)


async def open_one(core: Core, rng: random.Random | None = None) -> str:
    """Open a drill; gives the request's id, which is for tests and for nobody else. Raises `NothingToCopy`."""
    rng = rng or random.SystemRandom()
    for template in _templates(core, rng):
        for mutation, script in mutations(template.content.script, rng):  # type: ignore[union-attr]
            found = _held(core, msgspec.structs.replace(template, content=Shell(script)))
            if found is not None:
                return await _open(core, *found, mutation, rng)
    raise NothingToCopy("Nothing that was recorded could be made bad in a way that policy would hold.")


def _templates(core: Core, rng: random.Random) -> Iterator[Action]:
    """Recorded commands that were held, in random order, as the actions that they were."""
    rows = [
        row
        for row in core.ledger.rows("request", limit=COPIED_FROM)
        if row["subject"] == "action" and row["kind"] == "shell" and not is_drill(core, row)
    ]
    for row in rng.sample(rows, min(TRIES, len(rows))):
        known = core.ledger.row("action", row["action"])
        entry = core.ledger.entry(known["entry"]) if known else None
        if entry is not None and "action" in entry.fields:
            yield _action(core, entry)


def _action(core: Core, entry: Entry) -> Action:
    f = {name: core.full(value) for name, value in entry.fields.items()}
    return Action(
        content=msgspec.convert(f["action"]["content"], Shell),
        attribution=Attribution(
            agent=msgspec.convert(f["agent"], Agent),
            human=msgspec.convert(f["human"], Human | None),
            instruction=msgspec.convert(f["instruction"], Text | None),
            reasoning=msgspec.convert(f["reasoning"], Text | None),
            definition=f["definition"],
            parents=tuple(f["parents"]),
        ),
        gate=msgspec.convert(f["gate"], Gate),
        session=entry.session or "",
        cwd=f["action"]["cwd"],
        environment=f["action"]["environment"],
        target=f["action"]["target"],
        executes=f["action"]["executes"],
        call=f["call"],
    )


def _held(core: Core, action: Action) -> tuple[Action, Reading, Decision] | None:
    """*action* with its reading and decision, if policy holds it now."""
    around = Surroundings(
        cwd=action.cwd,
        workspace=action.cwd,
        labels=core.policy.labels,
        programs=core.policy.programs,
        protected=core.protected,
    )
    reading = readers.read(action.content, around)
    decision = authorization.decided(core, action, reading)
    return (action, reading, decision) if decision.verdict == "hold" else None


async def _open(
    core: Core, action: Action, reading: Reading, decision: Decision, mutation: Mutation, rng: random.Random
) -> str:
    now_ms = core.now()
    session, request = core.ids("s", now_ms), core.ids("r", now_ms)
    copied = core.ledger.row("session", action.session)
    if copied is None:
        raise NothingToCopy("The session of what was copied is not recorded.")
    action = msgspec.structs.replace(action, session=session, call=_like(action.call or "", rng) or None)
    like = core.ledger.entry(copied["entry"])
    opened = {name: core.full(value) for name, value in (like.fields if like else {}).items()}
    opened["client_session"] = _like(opened.get("client_session") or "", rng)
    if opened.get("pid") is not None:
        opened["pid"] = rng.randrange(2_000, 4_000_000)
    ids = (core.ids("a", now_ms), request)
    fields, asked = authorization.held(core, action, ids, reading, decision, copied["id"])
    asked["seal"] = seals(core).seal(request, mutation.id)
    drafts = [
        Draft("session.opened", opened, session=session),
        Draft("action.decided", fields, session=session),
        Draft("request.opened", asked, session=session),
    ]
    await core.ledger.append(lambda rows: drafts)
    return request


def _like(text: str, rng: random.Random) -> str:
    """Another identifier of the same form: letters and digits where there were some."""
    kinds = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    hexadecimal = all(letter in "0123456789abcdef-" for letter in text)
    made = []
    for letter in text:
        pool = next((kind for kind in kinds if letter in kind), letter)
        made.append(rng.choice("0123456789abcdef" if hexadecimal and letter != "-" else pool))
    return "".join(made)


LANDED = ("request.opened", "request.ended")
"""Entries that mean something for drills."""


async def landed(core: Core, entry: Entry) -> None:
    """What an entry means for drills."""
    if entry.type == "request.opened":
        await follow(core, entry)
    elif entry.type == "request.ended":
        await settle(core, entry.fields["request"])


async def settle_all(core: Core) -> None:
    """Tell of every drill among the newest requests that ended untold: after a start, or when too much landed at once."""
    for row in core.ledger.rows("request", limit=COPIED_FROM):
        if row["state"] != "waiting":
            await settle(core, row["id"])


async def settle(core: Core, request: str) -> None:
    """Tell of a drill that ended otherwise: nobody decided in time, its session was stopped, policy changed."""
    row = core.ledger.row("request", request)
    if row is None or not is_drill(core, row) or core.ledger.row("drill", request) is not None:
        return

    def plan(rows: Rows) -> Sequence[Draft]:
        if rows.row("drill", request) is not None:
            return []
        session = rows.row("session", row["session"]) or {}
        stopped = session.get("stopped_by") or ""
        given: Row = {
            "person": stopped or None,
            "choice": "deny" if stopped else None,
            "caught": bool(stopped),
        }
        given["reason"] = session.get("stopped_why", "")
        own = None if session.get("closed") else row["session"]
        return [told(core, row, given, own), *closed(rows, row)]

    await core.ledger.append(plan)


__all__ = ["NothingToCopy", "follow", "landed", "now", "open_one", "settle", "settle_all"]
