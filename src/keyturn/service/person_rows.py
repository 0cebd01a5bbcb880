"""What a person's row remembers beside the entry's own fields: former accounts, and until when they were an administrator."""

from __future__ import annotations

from typing import Any

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
