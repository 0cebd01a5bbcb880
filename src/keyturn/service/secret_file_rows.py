"""Rows of files into which agents wrote secrets. Pure, part of the fold.

`secret-file` (by path; state `kept` or `gone`) whose it is and which secrets are in it, as keyed digests · `secret-at` (by keyed
digest) the paths at which that secret was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]
MOST_PATHS = 20
"""Paths that are remembered of one secret, the newest."""


def _placed(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    body = {**f, "session": entry.session or "", "entry": f["decided"], "written": f["made"]}
    before = rows.row("secret-file", f["path"])
    if before is not None and before["state"] == "kept":
        body["secrets"] = [*f["secrets"], *(one for one in before["secrets"] if one not in f["secrets"])][:10]
    yield Put("secret-file", f["path"], {**body, "state": "kept"}, "kept", f["made"])
    for _, digest in f["secrets"]:
        paths = (rows.row("secret-at", digest) or {"paths": []})["paths"]
        kept = [*(path for path in paths if path != f["path"]), f["path"]][-MOST_PATHS:]
        yield Put("secret-at", digest, {"paths": kept})


def _gone(entry: Entry, rows: Rows) -> Iterable[Put]:
    row = rows.row("secret-file", entry.fields["path"])
    if row is not None:
        body = {**row, "state": "gone", "gone": entry.time, "by": entry.fields["action"]}
        yield Put("secret-file", row["path"], body, "gone", entry.time)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "secret.placed": _placed,
    "secret.gone": _gone,
}

__all__ = ["HANDLERS"]
