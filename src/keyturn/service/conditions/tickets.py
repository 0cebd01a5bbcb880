"""Tickets: the approved change that an approval names is looked up at its source before the approval is recorded.

Rules kept here:

- Where policy asks for a ticket, an approval without one that counts is refused; a denial never needs one.
- The source is asked before the entry is written, and what it said goes into the approval: reference, state, time, and the
  digest of the answer. Its time is looked at again when the entry is written, when the permit is claimed, and when it is used.
- A source that does not answer stops approvals, not denials.
- Nobody who may not approve makes the source be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from keyturn.actions import Reading
from keyturn.approvals import machine
from keyturn.approvals.errors import DecisionRefused
from keyturn.approvals.request import RequestState
from keyturn.ledger.entries import Draft
from keyturn.policy.requirements import tickets as rules
from keyturn.policy.requirements.answers import Unreadable
from keyturn.policy.requirements.tickets import Tickets
from keyturn.service.conditions import moments
from keyturn.service.conditions.errors import TicketMissing, TicketRefused, TicketSourceFailed
from keyturn.service.conditions.sources import SourceFailed
from keyturn.service.core import Core

Row = dict[str, Any]


class Checked(Struct, frozen=True):
    """A ticket that counted when it was looked up: what the approval records. Times are milliseconds since 1970."""

    reference: str
    source: str
    states: tuple[str, ...]
    begins: int | None
    ends: int | None
    covers: tuple[str, ...]
    answer: str
    checked: int


async def checked(
    core: Core, row: Row, state: Callable[[], RequestState], person: str, reference: str
) -> Checked | None:
    """The ticket for *person*'s approval of the request in *row*, looked up now; None where none is asked for or named.

    Raises `TicketMissing`, `TicketRefused`, `TicketSourceFailed`, `CredentialsInvalid`.
    """
    wanted = moments.obligations_of(core, row).ticket_required
    named = reference.strip() or (known_reference(core, row) if wanted else "")
    if not wanted and not named:
        return None
    refused = machine.refusal(state(), person, "approve", core.roster, core.now())
    if refused is not None or moments.refusal(core, row) is not None:
        return None  # it will be refused for that, and nobody is asked about a ticket
    rule = core.policy.requirements.tickets
    if rule is None:
        raise TicketSourceFailed("The policy names no source of tickets, so none can be looked up.")
    if not named:
        raise TicketMissing("This request can't be approved without an approved change.")
    return await _looked_up(core, rule, row, named)


def told(given: Draft, ticket: Checked | None) -> Draft:
    """The approval's draft, with the ticket that was looked up for it."""
    return given if ticket is None else replace(given, fields={**given.fields, "ticket": to_builtins(ticket)})


def refusal(core: Core, row: Row, ticket: Checked | None, now: int) -> DecisionRefused | None:
    """Why the approval can't be recorded with *ticket*, at the moment of recording."""
    if ticket is None:
        wanted = moments.obligations_of(core, row).ticket_required
        return TicketMissing("This request can't be approved without an approved change.") if wanted else None
    words = moments.lapsed(to_builtins(ticket), now)
    return TicketRefused(words) if words else None


def known_reference(core: Core, row: Row) -> str:
    """The reference that an earlier approver named, else one out of what the human asked the agent for; may be empty."""
    given = [core.full(a["ticket"]) for a in row["approvals"] if a.get("ticket")]
    if given:
        return str(given[-1]["reference"])
    rule = core.policy.requirements.tickets
    instruction = (core.full(row["attribution"]) or {}).get("instruction") or {}
    return rule.named_in(str(instruction.get("text", ""))) if rule is not None else ""


async def _looked_up(core: Core, rule: Tickets, row: Row, reference: str) -> Checked:
    try:
        place = rule.request_of(reference)
        if rule.source == "file":
            answer = await core.sources.read(place)
        else:
            found = await core.sources.get(place, rule.credential, core.clock())
            if found is None:
                raise TicketRefused(f"There is no {reference} at {rule.where}.")
            answer = found
        ticket = rules.ticket_of(rule, reference, answer.data, place)
    except SourceFailed as error:
        raise TicketSourceFailed(f"The source of tickets gives no answer: {error}.") from error
    except Unreadable as error:
        raise TicketSourceFailed(f"The answer of the source of tickets can't be read: {error}.") from error
    except ValueError as error:
        raise TicketRefused(f"{error}.") from error
    if ticket is None:
        raise TicketRefused(f"There is no {reference} in {place}.")
    now = moments.moment(core)
    target, labels = _touched(core, row)
    words = rules.refusal(rule, ticket, now=now, target=target, labels=labels)
    if words:
        raise TicketRefused(words)
    covered = tuple(word for word in ticket.covers if word == target or word in labels)
    return Checked(
        reference=reference,
        source=f"{rule.source} {rule.where}",
        states=tuple(state[:100] for state in ticket.states[:5]),
        begins=ticket.begins,
        ends=ticket.ends,
        covers=covered[:20],
        answer=answer.digest,
        checked=now,
    )


def _touched(core: Core, row: Row) -> tuple[str, tuple[str, ...]]:
    """(target, labels) of what the request is about; a change has its subject for a target."""
    if row["subject"] != "action":
        return row["subject"], ()
    reading = msgspec.convert(core.full(row["reading"]), Reading)
    labels = tuple(dict.fromkeys(label for effect in reading.effects for label in effect.labels))
    action = core.ledger.row("action", row["action"])
    entry = core.ledger.entry(action["entry"]) if action else None
    return (core.full(entry.fields["action"])["target"] if entry else "local"), labels
