"""An action that one gate allowed, and that a client starts under another one: seen once, recorded once.

A hook says *yes* and the client runs the command; the exec gate around that client sees it start. Rules kept here:

- Only an action that was allowed and used (its permit is consumed, ADR 0007), without a receipt yet, in an open session
  that was started from the one that asks. Another run's action is nobody's business here.
- Once: `action.started` is in the ledger at most once for each action, across restarts, before the program starts.
- Not for ever: what was allowed longer than `START_SECONDS` ago is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from keyturn.actions import Reading
from keyturn.errors import ExitCode, KeyturnError
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import grants, plans, responses
from keyturn.service.core import Core
from keyturn.service.errors import UnknownAction
from keyturn.service.model import Begun
from keyturn.service.sessions import require_open, require_own

START_SECONDS = 300
"""How long after it was allowed an action may begin. A client starts at once; it may have several to start."""


class NotStartable(KeyturnError):
    """The action is not one that may begin now at that gate."""

    code = "action.not_startable"
    status = 409
    exit_code = ExitCode.REFUSED
    next_step = "Ask for it as a new action."


async def begin(core: Core, action: str, session: str, gate: str, human: str | None) -> Begun:
    """See `Service.begin`. Raises `NotStartable`, `UnknownAction`, and what keeps a session from acting."""

    def plan(rows: Rows) -> Sequence[Draft]:
        require_own(rows, session, gate, human)
        row = rows.row("action", action)
        if row is None:
            raise UnknownAction(f"There is no action {action}.")
        _require_startable(rows, row, session, core.now())
        ended = grants.over(core, rows, row.get("grant"), counted=True) or plans.over(
            core, rows, row.get("plan")
        )
        asked = rows.row("request", row["request"]) if row.get("request") else None
        ended = ended or responses.since(core, rows, action, (asked or row)["entry"])
        if ended:
            raise NotStartable(ended)
        fields = {"action": action, "gate": gate}
        return [Draft("action.started", fields, session=session, once=f"action.started:{action}")]

    await core.ledger.append(plan)
    row = core.ledger.row("action", action) or {}
    return Begun(
        action,
        core.true_readings.reading(action) or reading_of(core, action),
        row.get("grant") or row.get("plan"),
    )


def reading_of(core: Core, action: str) -> Reading:
    """The reading with which *action* was decided on. Raises `UnknownAction`."""
    row = core.ledger.row("action", action)
    entry = core.ledger.entry(row["entry"]) if row else None
    if entry is None:
        raise UnknownAction(f"There is no action {action}.")
    return msgspec.convert(core.full(entry.fields["reading"]), Reading)


def _require_startable(rows: Rows, row: dict[str, Any], session: str, now: int) -> None:
    used = (row.get("permit") or {}).get("consumed")
    if not used:
        raise NotStartable(f"The action {row['id']} was not allowed, or not yet.")
    if row.get("started") or row.get("receipt"):
        raise NotStartable(f"The action {row['id']} has begun already.")
    if used + START_SECONDS * 1000 <= now:
        raise NotStartable(f"The action {row['id']} was allowed too long ago.")
    own = require_open(rows, row["session"])
    if session not in own.get("parents", ()):
        raise NotStartable(f"The action {row['id']} belongs to another run.")


__all__ = ["START_SECONDS", "NotStartable", "begin", "reading_of"]
