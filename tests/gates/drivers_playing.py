"""A script of messages played to a driver's core, and what it may never answer."""

from __future__ import annotations

from typing import Any

from keyturn.gates.drivers import Ask, Driver, Ended, Event, Send
from keyturn.gates.hooks.model import Proposal


def sent(events: list[Event]) -> list[dict[str, Any]]:
    """The messages for the client."""
    return [event.message for event in events if isinstance(event, Send)]


def asks(events: list[Event]) -> list[Ask]:
    """The questions for Keyturn."""
    return [event for event in events if isinstance(event, Ask)]


def ended(events: list[Event]) -> Ended | None:
    """How it ended, if it did."""
    return next((event for event in events if isinstance(event, Ended)), None)


def contents(proposals: tuple[Proposal, ...]) -> list[Any]:
    """What the proposals would do."""
    return [proposal.content for proposal in proposals]


def play(core: Driver, *messages: Any) -> list[Event]:
    """Feed *messages* one after another; all events."""
    return [event for message in messages for event in core.receive(message)]


def grants(message: dict[str, Any]) -> bool:
    """Whether *message* lets a client do something, in any of the three protocols."""
    result, body = message.get("result"), message.get("body")
    if isinstance(body, dict) and body.get("reply") in ("once", "always"):
        return True
    if not isinstance(result, dict):
        return False
    outcome = result.get("outcome")
    selected = outcome.get("optionId") if isinstance(outcome, dict) else None
    return (
        selected not in (None, "reject", "cancel", "reject_once")
        or result.get("decision") not in (None, "decline", "cancel")
        or result.get("action") not in (None, "decline", "cancel")
        or bool(result.get("permissions"))
    )
