"""Rows of what a SCIM client provisioned: `scim-user` and `scim-group` by id, `scim-name` by the user's name, `scim` its token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def token(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The client's one token."""
    yield Put("scim", "token", {**entry.fields, "entry": entry.index, "since": entry.time})


def user(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A user, and the name under which it is found. `in`: the groups it is in, id → name."""
    f = entry.fields
    old = rows.row("scim-user", f["id"]) or {"in": {}, "created": entry.time, "resource": {}}
    before, name = name_key(old["resource"]), name_key(f["resource"])
    if before and before != name:
        yield Put("scim-name", before, None)
    yield Put("scim-name", name, {"id": f["id"]})
    yield _user({**old, **_kept(f), "modified": entry.time, "entry": entry.index})


def group(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A group; its members know that they are in it."""
    f = entry.fields
    old = rows.row("scim-group", f["id"]) or {"created": entry.time, "resource": {}}
    members = set(f["resource"]["members"])
    for member in sorted(members | set(old["resource"].get("members", ()))):
        row = rows.row("scim-user", member)
        if row is not None:
            within = {k: v for k, v in row["in"].items() if k != f["id"]}
            if member in members:
                within[f["id"]] = f["resource"]["displayName"]
            yield _user({**row, "in": within})
    yield _group({**old, **_kept(f), "modified": entry.time, "entry": entry.index})


def removed(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A user or a group that is gone; nobody is in it, and it is in nothing."""
    f = entry.fields
    row = rows.row(f"scim-{f['kind']}", f["id"])
    if row is None:
        return
    yield Put(f"scim-{f['kind']}", f["id"], None)
    if f["kind"] == "user":
        yield Put("scim-name", name_key(row["resource"]), None)
        for within in row["in"]:
            found = rows.row("scim-group", within)
            if found is not None:
                members = [m for m in found["resource"]["members"] if m != f["id"]]
                yield _group(
                    {**found, "resource": {**found["resource"], "members": members}, "entry": entry.index}
                )
    else:
        for member in row["resource"]["members"]:
            found = rows.row("scim-user", member)
            if found is not None:
                yield _user({**found, "in": {k: v for k, v in found["in"].items() if k != f["id"]}})


def name_key(resource: Body) -> str:
    """Names of users differ whatever their case (RFC 7643 §4.1.1)."""
    return str(resource.get("userName", "")).casefold()


def _kept(fields: Body) -> Body:
    return {k: v for k, v in fields.items() if k != "by"}


def _user(body: Body) -> Put:
    return Put("scim-user", body["id"], body, "", body["created"])


def _group(body: Body) -> Put:
    return Put("scim-group", body["id"], body, "", body["created"])
