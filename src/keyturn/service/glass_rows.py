"""How broken glass becomes rows (promise 7). Pure, like the rest of `projections`.

Row kind: `breakglass`, with the instant by which it is to be reviewed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from keyturn.ledger.entries import Entry, Put, Rows
from keyturn.service import artefact_rows, finding_rows


def _used(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    body = {**f, "time": entry.time, "entry": entry.index}
    yield Put("breakglass", f["id"], body, "unreviewed", f["review_by"])
    request = rows.row("request", f["request"])
    if request is not None:
        released = {**request, "breakglass": f["id"], "lapses": f["lapses"]}
        yield Put("request", request["id"], released, request["state"], request["opened"])


def _reviewed(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    row = rows.row("breakglass", f["id"])
    if row is not None:
        review = {
            "by": f["by"],
            "verdict": f["verdict"],
            "note": f["note"],
            "time": entry.time,
            "entry": entry.index,
        }
        yield Put("breakglass", row["id"], {**row, "review": review}, "reviewed", row["review_by"])


def _finding(entry: Entry, rows: Rows) -> Iterable[Put]:
    yield from finding_rows.found(entry, rows)
    yield from artefact_rows.found(entry, rows)
    f = entry.fields
    about = f["subject"].get("breakglass") if f["kind"] == "breakglass.unreviewed" else None
    row = rows.row("breakglass", about) if about else None
    if row is not None:
        yield Put("breakglass", row["id"], {**row, "overdue": f["id"]}, "overdue", row["review_by"])


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "breakglass.used": _used,
    "breakglass.reviewed": _reviewed,
    "finding.opened": _finding,
}
