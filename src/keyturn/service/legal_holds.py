"""Legal holds: what must not be deleted or erased, whatever its time, until people lift them.

A hold covers a person, a session, an agent, a label, or everything. Whoever is an administrator places one at once, with a reason;
lifting it is a change that another administrator approves, since from then on things can go for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError, Malformed, NotFound
from keyturn.identity import Person
from keyturn.identity.people import ADMINS
from keyturn.ledger.entries import Draft, Rows
from keyturn.service.changes import open_change
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden
from keyturn.service.model import RequestView

Scope = Literal["everything", "person", "session", "agent", "label"]
SCOPES: tuple[Scope, ...] = ("everything", "person", "session", "agent", "label")
MOST = 1_000


class UnknownHold(NotFound):
    """There is no such legal hold."""

    code = "legalhold.unknown"


class HoldLifted(KeyturnError):
    """That legal hold was lifted already."""

    code = "legalhold.lifted"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn legal-hold list --all` shows who lifted it."


class HoldMalformed(Malformed):
    """A legal hold needs a scope, what it covers, and a reason."""

    code = "legalhold.malformed"
    not_done = "No legal hold was placed."
    next_step = "For example: `keyturn legal-hold place person riley --why 'case 2026-14'`."


class HoldView(Struct, frozen=True):
    """One legal hold. Times in milliseconds since 1970."""

    id: str
    state: Literal["on", "lifted"]
    scope: Scope
    of: str
    why: str
    by: str
    placed: int
    entry: int
    lifted: int | None = None
    lifted_by: str = ""


async def place(core: Core, scope: str, of: str, why: str, person: Person) -> HoldView:
    """Place one now. Raises `Forbidden` for who is no administrator, `HoldMalformed`."""
    _require_admin(person)
    if scope not in SCOPES or (scope != "everything" and not of.strip()) or not why.strip():
        raise HoldMalformed(
            f"A scope is one of {', '.join(SCOPES)}; all but the first name something, and all have a reason."
        )
    identity = core.id("h")
    fields = {
        "id": identity,
        "scope": scope,
        "of": of.strip()[:500],
        "why": why.strip()[:2000],
        "by": person.id,
    }
    await core.ledger.append([Draft("legalhold.placed", fields)])
    return view(core, identity)


async def lift(core: Core, hold: str, why: str, person: Person) -> RequestView:
    """Ask another administrator to lift it. Raises `Forbidden`, `UnknownHold`, `HoldLifted`, `HoldMalformed`."""
    _require_admin(person)
    _required(core.ledger, hold)
    why = core.redaction.text(why.strip()[:2000])
    if not why:
        raise HoldMalformed("Lifting a legal hold needs a reason.")
    shown = view(core, hold)
    text = f"Lift the legal hold {hold} over {_words(shown)}.\nPlaced by {shown.by}: {shown.why}\nWhy lift it: {why}\n"
    return await open_change(
        core,
        subject="legal-hold",
        content={"hold": hold, "text": text},
        sentence=f"lifts the legal hold over {_words(shown)}",
        why="What a legal hold covers can be erased for good once it is lifted.",
        by=person,
        approve=f"1 of {ADMINS}",
        reason_required=True,
    )


def effect(core: Core, rows: Rows, row: Mapping[str, Any]) -> Sequence[Draft]:
    """What the last approval of lifting records. Raises `UnknownHold`, `HoldLifted`."""
    hold = core.full(row["content"])["hold"]
    _required(rows, hold)
    return [Draft("legalhold.lifted", {"hold": hold, "request": row["id"]}, once=f"legalhold.lifted:{hold}")]


def standing(core: Core) -> tuple[HoldView, ...]:
    """Those that are on."""
    return tuple(_view(row) for row in core.ledger.rows("legal-hold", state="on", limit=MOST))


def cover(holds: Iterable[HoldView], subject: Mapping[str, Any]) -> bool:
    """Whether one of *holds* covers *subject*, a mapping that may have `person`, `session`, `agent` and `labels`."""
    for hold in holds:
        if hold.scope == "everything":
            return True
        if hold.scope == "label" and hold.of in (subject.get("labels") or ()):
            return True
        if hold.scope in ("person", "session", "agent") and subject.get(hold.scope) == hold.of:
            return True
    return False


def views(core: Core, only: str = "on") -> list[HoldView]:
    """Newest first; *only* `on` or `all`."""
    return [
        _view(row) for row in core.ledger.rows("legal-hold", state="on" if only == "on" else None, limit=MOST)
    ]


def view(core: Core, hold: str) -> HoldView:
    """One. Raises `UnknownHold`."""
    row = core.ledger.row("legal-hold", hold)
    if row is None:
        raise UnknownHold(f"There is no legal hold {hold[:80]}.")
    return _view(row)


def _required(rows: Rows, hold: str) -> None:
    row = rows.row("legal-hold", hold)
    if row is None:
        raise UnknownHold(f"There is no legal hold {hold[:80]}.")
    if row["state"] != "on":
        raise HoldLifted(f"The legal hold {hold} was lifted already.")


def _require_admin(person: Person) -> None:
    if "admin" not in person.roles:
        raise Forbidden("Only administrators place and lift legal holds.")


def _words(hold: HoldView) -> str:
    return "everything" if hold.scope == "everything" else f"{hold.scope} {hold.of}"


def _view(row: Mapping[str, Any]) -> HoldView:
    return HoldView(
        row["id"], row["state"], row["scope"], row["of"], row["why"], row["by"], row["placed"], row["entry"],
        row.get("lifted"), row.get("lifted_by", ""),
    )  # fmt: skip


__all__ = ["HoldView", "cover", "effect", "lift", "place", "standing", "view", "views"]
