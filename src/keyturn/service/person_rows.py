"""What a person's row remembers beside the entry's own fields: former accounts, and until when they were an administrator.

And rows of their own: `last-use`, the newest entry that says that a person did something here, or an agent for them; `looked-at`, the
newest review in which somebody else looked through what they may do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def marks(old: Body, new: Body, fields: Body, time: int) -> Body:
    """`former` and `admin_until` of the row that turns *old* into *new* by an entry with *fields* at *time*."""
    marked: Body = {}
    gone = set(old.get("accounts", ())) - set(new.get("accounts", ()))
    # An account that is unlinked still says who is whom, or unlinking would make two people of one (promise 6).
    former = set(old.get("former", ())) | gone
    if "mistake" in fields:
        former -= set(fields["mistake"])
    former -= set(new.get("accounts", ()))
    if former or "former" in old:
        marked["former"] = sorted(former)
    if _administers(old) and not _administers(new):
        marked["admin_until"] = time
    return marked


def _administers(row: Body) -> bool:
    return "admin" in row.get("roles", ()) and not row.get("removed", False)


KNOWN_BY = ("os-uid", "token")
"""How it is known for whom an agent runs, where it is no mere word of the agent."""
HOW = {
    "login.opened": "signed in",
    "approval.given": "decided",
    "session.opened": "an agent ran for them",
    "evidence.viewed": "read",
}
"""What a person did, as one says it; else they acted."""


def used(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The row of the person who did what *entry* says, if it was one."""
    person = _doer(entry)
    if person and rows.row("person", person) is not None:
        how = HOW.get(entry.type, "acted")
        body = {"person": person, "time": entry.time, "entry": entry.index, "how": how}
        yield Put("last-use", person, body, "", entry.time)


def _doer(entry: Entry) -> str:
    if entry.type in ("login.opened", "approval.given"):
        found = entry.fields.get("person")
    elif entry.type == "session.opened":
        human = entry.fields.get("human") or {}
        found = human.get("person") if human.get("how") in KNOWN_BY else ""
    else:
        found = entry.fields.get("by")
    return found if isinstance(found, str) else ""


def looked_at(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The rows of a review of access: itself, and those whose rights somebody else looked through."""
    fields = entry.fields
    yield Put("access-review", "last", {**fields, "time": entry.time, "entry": entry.index})
    for one in fields["people"]:
        if not one["own"]:
            body = {"person": one["person"], "time": entry.time, "by": fields["by"], "entry": entry.index}
            yield Put("looked-at", one["person"], body, "", entry.time)
