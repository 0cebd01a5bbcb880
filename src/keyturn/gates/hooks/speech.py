"""What the hook desk says to an agent: what happened, what did not, what to do. Pure."""

from __future__ import annotations

from keyturn.errors import KeyturnError
from keyturn.service.model import RequestView


def failed(error: KeyturnError) -> str:
    """A refusal in an error's own words."""
    return f"keyturn: {error}"


def broken() -> str:
    """Something inside went wrong."""
    return "keyturn: something inside went wrong. Nothing ran. Tell the person you work for. [internal]"


def refused(words: str) -> str:
    """Policy's refusal."""
    return f"keyturn: {words}"


def still_held(view: RequestView) -> str:
    """The client can wait no longer, but the request does."""
    return held_meanwhile(view.obligations.approve, view.id)


def held_meanwhile(approve: str, request: str) -> str:
    """Nobody waits for *request*, which waits for *approve*."""
    return (
        f"keyturn: held: waiting for {approve} (request {request}). Nothing ran. Do not retry in other "
        "words. When it has been approved, asking for exactly the same action again runs it; until then do something "
        "else or stop."
    )


def ended(view: RequestView) -> str:
    """The request ended without approval."""
    why = f" {view.ended_why}" if view.ended_why else ""
    if view.state == "denied":
        denials = [a for a in view.approvals if a.choice == "deny"]
        by = denials[-1].person if denials else "a reviewer"
        reason = denials[-1].reason if denials and denials[-1].reason else view.ended_why
        said = f": {reason}" if reason else "."
        return f"keyturn: denied by {by}{said} (request {view.id}). Nothing ran. Do not retry; take the reason into account."
    if view.state == "expired":
        return (
            f"keyturn: nobody approved it in time, so it was refused (request {view.id}). Nothing ran. Ask the person you "
            "work for before you ask again."
        )
    return f"keyturn: {view.state}.{why} (request {view.id}). Nothing ran."


def changed_meanwhile(error: KeyturnError) -> str:
    """What was approved is not what would run now."""
    return f"keyturn: it was approved, but can't be run as it was approved: {error}"


def partly(words: str, count: int) -> str:
    """One of several things that a call does was not allowed, so none of them is."""
    return f"{words} (The call does {count} things; all of them must be allowed.)"


def mismatched(event: str) -> str:
    """The hook was installed for one event and its input speaks of another."""
    return (
        f"keyturn: the hook of {event} was called with another event's input. Nothing ran. [hooks.malformed]"
    )


def nothing_read(event: str) -> str:
    """The call names nothing that could be read."""
    return f"keyturn: nothing could be read from {event or 'this call'}, so it was refused. Nothing ran. [hooks.malformed]"
