"""A comment on a request by a program that the operator configured, a model perhaps: shown folded, and input to nothing.

It is recorded after the request was opened, so neither reading, nor risk, nor decision, nor what an approval is bound to can
come of it. It is untrusted text, like the agent's own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.service import requests
from keyturn.service.core import Core

Row = dict[str, Any]
MAX_COMMENT = 2_000
"""Characters that are kept."""


def asked(core: Core, request: str) -> Row | None:
    """What the program is told of *request*: what reviewers see of the action. None for changes, and once it has ended."""
    row = core.ledger.row("request", request)
    if row is None or row["subject"] != "action" or row["state"] != "waiting":
        return None
    shown = requests.document(core, row)
    names = ("request", "kind", "sentence", "text", "cwd", "environment", "executes", "reading", "risk")
    return {name: shown[name] for name in names if name in shown}


async def record(core: Core, request: str, text: str, source: str) -> None:
    """Keep *text* with the request while it waits; the first comment stands."""
    fields = {"request": request, "text": text.strip()[:MAX_COMMENT], "source": source}

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("request", request)
        if row is None or row["state"] != "waiting" or row.get("comment") or not fields["text"]:
            return []
        return [Draft("request.commented", fields, once=f"request.commented:{request}")]

    await core.ledger.append(plan)


def fold(entry: Entry, rows: Rows) -> list[Put]:
    """The request's row with the comment."""
    row = rows.row("request", entry.fields["request"])
    if row is None:
        return []
    body = {**row, "comment": entry.fields["text"], "comment_by": entry.fields["source"]}
    return [Put("request", row["id"], body, row["state"], row["opened"])]


__all__ = ["MAX_COMMENT", "asked", "fold", "record"]
