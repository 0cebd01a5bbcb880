"""Rows of groups that a schedule fills (`oncall`). Pure, part of the fold.

A published policy says which groups those are: from that entry on nobody is in a new one until its schedule was read, whatever
people's own records say, and what a policy no longer fills by schedule is an ordinary group again.
"""

from __future__ import annotations

from collections.abc import Iterable

from keyturn.ledger.entries import Entry, Put, Rows

GROUPS = ("oncall-groups", "oncall-groups")


def published(entry: Entry, rows: Rows) -> Iterable[Put]:
    """`policy.published`."""
    before = (rows.row(*GROUPS) or {"groups": []})["groups"]
    now = entry.fields.get("oncall", [])
    if before == now:
        return
    yield Put(*GROUPS, {"groups": now})
    for group in before:
        if group not in now:
            yield Put("oncall", group, None)
    for group in now:
        if group not in before:
            empty = {
                "group": group,
                "people": [],
                "unknown": [],
                "until": 0,
                "why": "Its schedule was not read yet.",
            }
            yield Put(
                "oncall", group, {**empty, "entry": entry.index, "time": entry.time}, "filled", entry.time
            )


def changed(entry: Entry, rows: Rows) -> Iterable[Put]:
    """`oncall.changed`. One that comes behind a policy without that group changes nothing."""
    if rows.row("oncall", entry.fields["group"]) is not None:
        body = {**entry.fields, "entry": entry.index, "time": entry.time}
        yield Put("oncall", entry.fields["group"], body, "filled", entry.time)
