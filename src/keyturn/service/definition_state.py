"""What people know of a definition, and what the log has of it, out of the rows."""

from __future__ import annotations

from typing import Any, cast

from keyturn.drift.definition import Definition, Part
from keyturn.ledger.entries import Rows
from keyturn.policy.decision import Definition as State
from keyturn.service.core import Core
from keyturn.service.definition_rows import key

Row = dict[str, Any]


def state_of(rows: Rows, agent: str, digest: str | None, place: str) -> State:
    """What people know of *agent* being *digest* where it works."""
    row = rows.row("definition", key(agent, digest)) if digest else None
    if row is not None and (row["withdrawn"] or row["approved"]):
        return "changed" if row["withdrawn"] else "approved"
    where = rows.row("agent-place", key(agent, place))
    if where is not None and where["pinned"]:
        return "changed"
    # A digest of which nobody told the parts, or where it works, says no more than no digest.
    told = row is not None and row["told"]
    if not told and (rows.row("agent", agent) or {}).get("pinned"):
        return "changed"
    return "unknown"


def baseline(rows: Rows, agent: str, place: str) -> str | None:
    """The newest definition that is approved for *agent* at *place*."""
    where = rows.row("agent-place", key(agent, place))
    return cast(str, where["approved"][-1]) if where and where["approved"] else None


def of_row(core: Core, row: Row) -> Definition:
    """The definition that a row records, without texts."""
    parts = tuple(
        Part(part["kind"], part["name"], part["digest"], part["size"]) for part in core.full(row["parts"])
    )
    return Definition(row["client"], row["model"], core.full(row["parameters"]), parts, row["place"])


def texts_of(core: Core, *rows: Row | None) -> dict[str, str]:
    """The kept texts of the parts of *rows*, by the part's own digest; what was erased, or never kept, is not there."""
    found: dict[str, str] = {}
    for row in rows:
        for part in core.full(row["parts"]) if row else ():
            data = core.ledger.blob(part["text"]) if part["text"] and part["digest"] not in found else None
            if data is not None:
                found[part["digest"]] = data.decode("utf-8", "replace")
    return found


__all__ = ["baseline", "of_row", "state_of", "texts_of"]
