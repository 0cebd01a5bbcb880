"""Rows of people's keys (`key`, `person-keys`) and what a revocation does to requests that wait. Pure, part of the fold.

Rules kept here:

- The first enrolment of a public key stands; a revoked key stays revoked.
- A key's row lists the waiting requests that it signed, so that its revocation marks these signatures void in the same entry:
  they no longer count. What was complete before stays as it was decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def enrolled(entry: Entry, rows: Rows) -> Iterable[Put]:
    """`key.enrolled`."""
    f = entry.fields
    if rows.row("key", f["id"]) is not None:
        return
    body = {
        "id": f["id"], "person": f["person"], "name": f["name"], "record": f["record"], "backup": f["backup"],
        "attested_by": f["attested_by"], "genesis": f["genesis"], "enrolled": entry.time, "entry": entry.index,
        "revoked": None, "waiting": [],
    }  # fmt: skip
    yield _key(body)
    held = (rows.row("person-keys", f["person"]) or {"keys": []})["keys"]
    yield Put("person-keys", f["person"], {"keys": [*held, f["id"]]})


def revoked(entry: Entry, rows: Rows) -> Iterable[Put]:
    """`key.revoked`."""
    f = entry.fields
    key = rows.row("key", f["id"])
    if key is None or key["revoked"] is not None:
        return
    about = {"revoked": entry.time, "revoked_by": f["by"], "why": f["why"], "revoked_entry": entry.index}
    yield _key({**key, **about, "waiting": []})
    for request in key["waiting"]:
        row = rows.row("request", request)
        if row is not None and row["state"] == "waiting":
            given = [{**one, "void": "key"} if one.get("key") == f["id"] else one for one in row["approvals"]]
            yield Put("request", request, {**row, "approvals": given}, row["state"], row["opened"])


def signed(entry: Entry, rows: Rows) -> Iterable[Put]:
    """`approval.given`: its key, if it has one, remembers the request while that waits."""
    key = rows.row("key", entry.fields["key"]) if entry.fields.get("key") else None
    if key is not None and entry.fields["request"] not in key["waiting"]:
        yield _key({**key, "waiting": [*key["waiting"], entry.fields["request"]]})


def ended(request: Body, rows: Rows) -> Iterable[Put]:
    """`request.ended`: the keys that signed *request* need not remember it any more."""
    for name in sorted({one["key"] for one in request["approvals"] if one.get("key")}):
        key = rows.row("key", name)
        if key is not None and request["id"] in key["waiting"]:
            yield _key({**key, "waiting": [one for one in key["waiting"] if one != request["id"]]})


def _key(body: Body) -> Put:
    return Put("key", body["id"], body, "active" if body["revoked"] is None else "revoked", body["enrolled"])
