"""Erasing from the log what is somebody's own, or should never have been in it: with approval, on the record, never under a legal hold.

Rules kept here:

- What is erased are fields of `keyturn.ledger.erasable`; every proof stays valid.
- A person's own words, name and accounts go once that person was removed; their id stays, as what binds decisions to one human.
  The content of a session or an action goes once nothing of it waits for people.
- Another administrator approves, and not the person it is about. What is approved is an exact list of fields, by its digest.
- It is recorded before it is done. What a stop left undone is done at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from keyturn import canonical, recordings
from keyturn.errors import ExitCode, KeyturnError, Malformed
from keyturn.identity import Person
from keyturn.identity.people import ADMINS
from keyturn.ledger import Lagged
from keyturn.ledger.entries import Draft, Entry, Rows
from keyturn.ledger.erasable import ERASABLE
from keyturn.ledger.erasing import Targets
from keyturn.service import legal_holds
from keyturn.service.changes import open_change
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden, PersonUnknown, UnknownAction, UnknownSession
from keyturn.service.model import RequestView

log = logging.getLogger("keyturn.erasing")

Scope = Literal["person", "session", "action"]
SCOPES: tuple[Scope, ...] = ("person", "session", "action")
MAX_WHY = 2_000
_OF_CONTENT = (
    "session.instructed", "action.decided", "action.receipt", "request.opened", "request.commented", "grant.opened", "plan.opened",
)  # fmt: skip


class ErasureMalformed(Malformed):
    """An erasure needs a scope, what of it, and a reason."""

    code = "erasure.malformed"
    not_done = "Nothing was erased."
    next_step = "For example: `keyturn erasure propose person kim --why 'asked for it on 3 May'`."


class NothingToErase(KeyturnError):
    """Nothing of that is in the log, or it was erased before."""

    code = "erasure.nothing"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was erased."
    next_step = "`keyturn erasure list` shows what was erased."


class OnHold(KeyturnError):
    """A legal hold covers some of it."""

    code = "erasure.on_hold"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was erased."
    next_step = "`keyturn legal-hold list` shows it; another administrator can lift it when the case is over."


class StillInUse(KeyturnError):
    """What would be erased is still needed: the person decides, or a request waits."""

    code = "erasure.in_use"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was erased."
    next_step = "Remove the person, or let the requests end; then ask again."


class ErasureView(Struct, frozen=True):
    """One erasure. Times in milliseconds since 1970. `fields` and `entries`: how many fields of how many entries."""

    id: str
    scope: Scope
    of: str
    why: str
    by: str
    request: str
    fields: int
    entries: int
    until: int
    time: int
    entry: int


class Selected(Struct, frozen=True):
    """What an erasure would erase: fields by entry, and whom and which sessions that concerns."""

    targets: dict[int, frozenset[str]]
    subjects: tuple[dict[str, str], ...]

    @property
    def fields(self) -> int:
        """How many."""
        return sum(len(names) for names in self.targets.values())

    @property
    def digest(self) -> str:
        """Names exactly these fields."""
        return canonical.digest([[index, sorted(names)] for index, names in sorted(self.targets.items())])


async def propose(core: Core, scope: str, of: str, why: str, person: Person) -> RequestView:
    """Ask another administrator. Raises `Forbidden`, `ErasureMalformed`, `StillInUse`, `OnHold`, `NothingToErase`, unknown ids."""
    if "admin" not in person.roles:
        raise Forbidden("Only administrators ask for an erasure.")
    why, of = core.redaction.text(why.strip()[:MAX_WHY]), of.strip()
    if scope not in SCOPES or not of or not why:
        raise ErasureMalformed(
            f"A scope is one of {', '.join(SCOPES)}; it names something, and there is a reason."
        )
    _require_over(core, scope, of)
    until = core.ledger.size
    found = await asyncio.to_thread(select, core, scope, of, until)
    if not found.targets:
        raise NothingToErase(f"There is nothing to erase of {scope} {of[:80]}.")
    _require_free(core, found.subjects)
    counted = f"{found.fields} fields of {len(found.targets)} entries"
    text = (
        f"Erase {counted}, for ever: {_what(scope)} {of}, in the log up to entry {until - 1}.\nWhy: {why}\n"
        f"Proofs stay valid; what is erased can't be read again by anybody. List of fields: {found.digest}\n"
    )
    content = {
        "scope": scope, "of": of, "why": why, "until": until, "fields": found.fields, "entries": len(found.targets),
        "list": found.digest, "subjects": list(found.subjects), "text": text,
    }  # fmt: skip
    return await open_change(
        core,
        subject="erasure",
        content=content,
        sentence=f"erases {counted}: {_what(scope)} {of[:200]}",
        why="What is erased is gone for good.",
        by=person,
        authors=[of] if scope == "person" else [],
        approve=f"1 of {ADMINS}",
        reason_required=True,
    )


def effect(core: Core, rows: Rows, row: Mapping[str, Any]) -> Sequence[Draft]:
    """What the last approval records. Raises `OnHold`, `StillInUse`."""
    content = core.full(row["content"])
    _require_over(core, content["scope"], content["of"])
    _require_free(core, content["subjects"])
    kept = ("scope", "of", "why", "until", "fields", "entries", "list")
    fields = {
        "id": core.id("e"),
        "request": row["id"],
        "by": row["initiator"],
        **{name: content[name] for name in kept},
    }
    return [Draft("erasure.done", fields, once=f"erasure.done:{row['id']}")]


def select(core: Core, scope: str, of: str, until: int) -> Selected:
    """The fields that an erasure of that scope is about, among the first *until* entries. Reads the log once."""
    sessions: dict[str, dict[str, str]] = {}
    targets: dict[int, frozenset[str]] = {}
    subjects: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for entry in core.ledger.entries(0, until):
        if entry.type == "session.opened" and entry.session:
            sessions[entry.session] = _subject_of(core, entry)
        names = frozenset(_names(core, scope, of, entry, sessions)) - set(entry.erased)
        names &= entry.fields.keys()
        if names:
            targets[entry.index] = names
            subject = sessions.get(entry.session or "", {"person": of} if scope == "person" else {})
            subjects[tuple(sorted(subject.items()))] = subject
    return Selected(targets, tuple(subjects.values()))


def _names(
    core: Core, scope: str, of: str, entry: Entry, sessions: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Which fields of *entry* are meant."""
    erasable = ERASABLE.get(entry.type, {})
    f = entry.fields
    if scope == "session" and entry.session == of and entry.type in _OF_CONTENT:
        yield from erasable
    elif scope == "action":
        key = {"action.decided": "id", "action.receipt": "action", "request.opened": "action"}.get(entry.type)
        if key is not None and f.get(key) == of:
            yield from erasable
    elif scope == "person" and entry.type.startswith("person.") and f.get("id") == of:
        yield from erasable
    elif scope == "person" and entry.type in ("session.instructed", "action.decided"):
        if sessions.get(entry.session or "", {}).get("person") == of:
            yield from ("instruction", "reasoning")
    elif scope == "person" and entry.type == "request.opened":
        if f.get("initiator") == of and f.get("subject") == "action":
            yield "attribution"
    elif scope == "person" and of in (f.get("person"), f.get("by")):
        yield from (name for name in erasable if name not in ("sentence", "content", "reading"))


def _subject_of(core: Core, entry: Entry) -> dict[str, str]:
    human, agent = core.full(entry.fields.get("human")) or {}, core.full(entry.fields.get("agent")) or {}
    return {
        "session": entry.session or "",
        "person": str(human.get("person", "")),
        "agent": str(agent.get("name", "")),
    }


def _require_over(core: Core, scope: str, of: str) -> None:
    if scope == "person":
        person = core.ledger.row("person", of)
        if person is None:
            raise PersonUnknown(f"There is no person {of[:80]}.")
        if not person.get("removed"):
            raise StillInUse(f"{of} is still on the roster.")
        return
    if scope == "action":
        action = core.ledger.row("action", of)
        if action is None:
            raise UnknownAction(f"There is no action {of[:80]}.")
        session = core.ledger.row("session", action["session"] or "")
    else:
        session = core.ledger.row("session", of)
        if session is None:
            raise UnknownSession(f"There is no session {of[:80]}.")
    if session is not None and session["waiting"]:
        raise StillInUse(f"Requests of the session {session['id']} wait for people.")
    if scope == "session" and session is not None and not session.get("closed"):
        raise StillInUse(f"The session {of} has not ended.")


def _require_free(core: Core, subjects: Iterable[Mapping[str, str]]) -> None:
    holds = legal_holds.standing(core)
    for subject in subjects:
        if legal_holds.cover(holds, subject):
            names = ", ".join(f"{kind} {name}" for kind, name in subject.items() if name)
            raise OnHold(f"A legal hold covers {names}.")


def _what(scope: str) -> str:
    return "what is personal of" if scope == "person" else f"the content of {scope}"


async def run(core: Core) -> None:
    """Do what was recorded: at the start all that a stop left undone, then each as it lands."""
    while True:
        with contextlib.suppress(Lagged):
            async with core.ledger.subscribe(types=["erasure.done"]) as entries:
                for row in core.ledger.rows("erasure", limit=10_000):
                    await _attempt(core, row)
                async for entry in entries:
                    await _attempt(core, entry.fields)
                return


async def _attempt(core: Core, row: Mapping[str, Any]) -> None:
    """Try until it works: a full disk or a busy database ends one day."""
    pause = 1.0
    while True:
        try:
            await perform(core, row)
            return
        except (KeyturnError, OSError) as error:
            why = error.happened if isinstance(error, KeyturnError) else str(error)
            log.warning("The erasure %s is recorded and not done yet: %s It is tried again.", row["id"], why)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 300.0)


async def perform(core: Core, row: Mapping[str, Any]) -> int:
    """Erase what the recorded erasure *row* names; gives how many fields were still there."""
    found = await asyncio.to_thread(select, core, row["scope"], row["of"], row["until"])
    if row["scope"] == "session" and core.recordings is not None:
        await asyncio.to_thread(recordings.remove, core.recordings, row["of"])
    if not found.targets:
        return 0
    targets: Targets = found.targets
    count = await asyncio.to_thread(core.ledger.erase, targets, row["until"])
    core.people_changed()
    return count


def views(core: Core, limit: int = 1000) -> list[ErasureView]:
    """Newest first."""
    return [
        ErasureView(
            row["id"], row["scope"], row["of"], row["why"], row["by"], row["request"], row["fields"], row["entries"], row["until"],
            row["time"], row["entry"],
        )
        for row in core.ledger.rows("erasure", limit=limit)
    ]  # fmt: skip


__all__ = ["ErasureView", "effect", "perform", "propose", "run", "select", "views"]
