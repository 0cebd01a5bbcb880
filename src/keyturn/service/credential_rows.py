"""How entries about credentials become rows. Pure, part of `projections.fold`.

Row kinds: `credential` (one each, by id), `credential-secret` (digest of what is presented → id), `credential-use` (what a
credential was used from).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]

MOST_KEPT = 16
"""Definitions that are remembered of one credential: beyond that, what is found was found many times."""


def issued(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A credential was issued."""
    f = entry.fields
    yield _credential({**f, "issued": entry.time, "entry": entry.index, "state": "active"})
    if f.get("secret"):
        yield Put("credential-secret", f["secret"], {"credential": f["id"]})


def rotated(entry: Entry, rows: Rows) -> Iterable[Put]:
    """It was replaced; until `until` both are good."""
    yield from _changed(
        entry, rows, {"state": "rotated", "until": entry.fields["until"], "next": entry.fields["next"]}
    )


def revoked(entry: Entry, rows: Rows) -> Iterable[Put]:
    """It opens nothing from here on."""
    f = entry.fields
    changes = {
        "state": "revoked",
        "revoked": entry.time,
        "revoked_by": f.get("by"),
        "revoked_why": f.get("why", ""),
    }
    yield from _changed(entry, rows, changes)


def used(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A session was opened with a credential: from which machine, by which definition."""
    opener = entry.fields.get("opener") or {}
    credential = opener.get("credential")
    if not credential:
        return
    use = rows.row("credential-use", credential) or {"definitions": [], "open": {}}
    definition = entry.fields.get("definition")
    known: list[str] = use["definitions"]
    if definition and definition not in known:
        known = [*known, definition][-MOST_KEPT:]
    there = {**use["open"], str(entry.session): opener.get("machine", "")}
    yield Put("credential-use", credential, {"definitions": known, "open": there, "last": entry.time})


def unused(session: Body, rows: Rows) -> Iterable[Put]:
    """A session that was opened with a credential ended."""
    credential = (session.get("opener") or {}).get("credential")
    use = rows.row("credential-use", credential) if credential else None
    if credential and use is not None:
        there = {key: machine for key, machine in use["open"].items() if key != session["id"]}
        yield Put("credential-use", credential, {**use, "open": there})


def _changed(entry: Entry, rows: Rows, changes: Body) -> Iterable[Put]:
    row = rows.row("credential", entry.fields["credential"])
    if row is not None:
        yield _credential({**row, **changes})


def _credential(body: Body) -> Put:
    return Put("credential", body["id"], body, listed_under(body), body["issued"])


def listed_under(body: Body) -> str:
    """In which list it is: a person's own tokens; certificates and workloads, which last; the tokens, of which there are many."""
    if body["kind"] == "person":
        return f"person:{body['name']}"
    return str(body["form"])


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "credential.issued": issued,
    "credential.rotated": rotated,
    "credential.revoked": revoked,
}
