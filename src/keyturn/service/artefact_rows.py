"""How entries change what is known of artefacts.

Row kinds: `artefact` (kept, overdue or gone), `artefact-path` (which are kept at a path), `session-labels` (what came into a session),
`legal-hold`, `erasure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def _written(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    body = {**f, "written": f["made"], "entry": entry.index, "session": entry.session, "state": "kept"}
    yield _artefact(body)
    there = rows.row("artefact-path", f["path"]) or {"artefacts": {}}
    yield Put(
        "artefact-path", f["path"], {"artefacts": {**there["artefacts"], f["id"]: f["due"]}}, "", f["due"]
    )


def _deleted(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    row = rows.row("artefact", f["artefact"])
    if row is None:
        return
    how = {"how": f["how"], "by": f.get("by", ""), "why": f.get("why", ""), "action": f.get("action", "")}
    yield _artefact({**row, "state": "gone", "gone": entry.time, "ended": how})
    there = rows.row("artefact-path", row["path"])
    if there is not None:
        left = {one: due for one, due in there["artefacts"].items() if one != row["id"]}
        yield Put(
            "artefact-path",
            row["path"],
            {"artefacts": left} if left else None,
            "",
            min(left.values(), default=0),
        )


def found(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A finding was opened: an overdue artefact is listed as such."""
    f = entry.fields
    row = rows.row("artefact", f["subject"].get("artefact", "")) if f["kind"] == "retention.overdue" else None
    if row is not None and row["state"] == "kept":
        yield _artefact({**row, "state": "overdue", "finding": f["id"]})


def _labels(entry: Entry, rows: Rows) -> Iterable[Put]:
    known = (rows.row("session-labels", entry.session or "") or {"labels": []})["labels"]
    labels = sorted({*known, *entry.fields["labels"]})
    yield Put("session-labels", entry.session or "", {"labels": labels}, "", entry.time)


def _hold_placed(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put(
        "legal-hold",
        f["id"],
        {**f, "placed": entry.time, "entry": entry.index, "state": "on"},
        "on",
        entry.time,
    )


def _hold_lifted(entry: Entry, rows: Rows) -> Iterable[Put]:
    row = rows.row("legal-hold", entry.fields["hold"])
    if row is not None:
        body = {**row, "state": "lifted", "lifted": entry.time, "lifted_by": entry.fields["request"]}
        yield Put("legal-hold", row["id"], body, "lifted", row["placed"])


def _artefact(body: Body) -> Put:
    return Put("artefact", body["id"], body, body["state"], body["due"])


def _erasure(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put("erasure", f["id"], {**f, "time": entry.time, "entry": entry.index}, "", entry.time)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "artefact.written": _written,
    "artefact.deleted": _deleted,
    "session.labelled": _labels,
    "erasure.done": _erasure,
    "legalhold.placed": _hold_placed,
    "legalhold.lifted": _hold_lifted,
}

__all__ = ["HANDLERS", "found"]
