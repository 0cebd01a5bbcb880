"""The conditions of one request as every channel shows them."""

from __future__ import annotations

from typing import Any

from keyturn.policy.obligations import windows
from keyturn.policy.requirements.windows import next_opening
from keyturn.service.conditions import due, moments, tickets
from keyturn.service.core import Core
from keyturn.service.model import Conditions, EscalatedView

Row = dict[str, Any]


def conditions_of(core: Core, row: Row) -> Conditions:
    """What the request in *row* asks beside people, as of now."""
    asked = moments.obligations_of(core, row)
    past = tuple(EscalatedView(one.to, one.at_ms) for one in due.escalations(row))
    if row["state"] != "waiting":
        known = tickets.known_reference(core, row) if asked.ticket_required else ""
        return Conditions(window=asked.window, ticket=asked.ticket_required, reference=known, escalated=past)
    now = moments.moment(core)
    closed = moments.shut_words(core.policy, asked, now)
    times = due.due_times(core.full(row["obligations"]), row["opened"], row["expires"])
    frozen = moments.frozen_words(core, row, now)
    return Conditions(
        window=asked.window,
        closed=closed,
        opens=next_opening(core.policy.requirements.windows, windows(asked.window), now) if closed else None,
        frozen=frozen,
        ticket=asked.ticket_required,
        reference=tickets.known_reference(core, row) if asked.ticket_required else "",
        remind_at=None if row.get("reminded") else times.get("remind"),
        escalate_at=None if past else times.get("escalate"),
        escalate_to="" if past else asked.escalate_to,
        escalated=past,
    )
