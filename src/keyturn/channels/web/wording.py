"""Words for times, states, kinds and entries. Pure: the time comes in as an argument (milliseconds since 1970)."""

from __future__ import annotations

import datetime
from typing import Any

from keyturn.ledger.entries import Entry

STATES = {
    "waiting": "Waiting",
    "approved": "Approved",
    "denied": "Denied",
    "expired": "Expired",
    "withdrawn": "Withdrawn",
    "superseded": "Superseded",
}
STATE_MEANS = {
    "waiting": "Nothing has run.",
    "approved": "It may run once.",
    "denied": "Nothing ran.",
    "expired": "Nobody decided in time. Nothing ran.",
    "withdrawn": "The asking side gave up. Nothing ran.",
    "superseded": "Another request took its place. Nothing ran.",
}
KINDS = {
    "shell": "command",
    "file": "file change",
    "tool": "tool call",
    "http": "web request",
    "policy": "policy change",
}
VERDICTS = {"run": "ran at once", "hold": "held for people", "refuse": "refused"}
MISSING = "not given by the client"


def duration(milliseconds: int) -> str:
    """Rough, short and never rounded up: `4 min`, `2 h 5 min`, `3 days`."""
    seconds = max(0, milliseconds // 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        rest = minutes % 60
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} days"


def left(expires: int, now: int) -> str:
    """`6 min left`, or `time is up`."""
    return f"{duration(expires - now)} left" if expires > now else "time is up"


def ago(time: int, now: int) -> str:
    """`14 min ago`."""
    return f"{duration(now - time)} ago"


def moment(time: int) -> str:
    """`2026-11-20 21:14:05 UTC`."""
    try:
        stamp = datetime.datetime.fromtimestamp(time / 1000, tz=datetime.UTC)
    except (OverflowError, OSError, ValueError):
        return f"{time} ms since 1970"
    return f"{stamp:%Y-%m-%d %H:%M:%S} UTC"


def size(count: int) -> str:
    """`312 bytes`, `1,048,576 bytes`."""
    return "1 byte" if count == 1 else f"{count:,} bytes"


def short(digest: str) -> str:
    """The first twelve hexadecimal digits of `sha256:<hex>`."""
    return digest.removeprefix("sha256:")[:12]


def gist(entry: Entry) -> str:
    """One line about an entry, from the fields that are disclosed; empty when nothing is."""
    f = entry.fields
    parts = {
        "action.decided": (VERDICTS.get(str(f.get("verdict")), ""), f.get("sentence")),
        "request.opened": (f.get("sentence"),),
        "request.ended": (f.get("state"), f.get("why")),
        "approval.given": (f.get("person"), _chose(f.get("choice")), f.get("reason")),
        "action.started": (f.get("action"), f.get("gate")),
        "action.receipt": (f.get("outcome"), f.get("note")),
        "session.opened": (_name(f.get("agent")), _name(f.get("human"), "person")),
        "session.closed": (f.get("why"),),
        "session.stopped": (f.get("by"), f.get("why")),
        "policy.published": (f.get("digest"),),
        "policy.proposed": (f.get("digest"),),
        "person.enrolled": (f.get("id"),),
        "person.changed": (f.get("id"),),
        "person.removed": (f.get("id"),),
        "login.opened": (f.get("person"),),
        "login.closed": (f.get("person"),),
    }.get(entry.type, (f.get("name"),))
    line = " · ".join(str(part) for part in parts if isinstance(part, str) and part)
    return line if len(line) <= 300 else line[:299] + "…"


def _chose(choice: Any) -> str:
    return {"approve": "approved", "deny": "denied"}.get(str(choice), "")


def _name(value: Any, member: str = "name") -> str:
    if isinstance(value, dict):
        return str(value.get(member) or "")
    return value if isinstance(value, str) else ""


def request_of(entry: Entry) -> str | None:
    """The request an entry is about, if it is about one."""
    found = entry.fields.get("id") if entry.type == "request.opened" else entry.fields.get("request")
    return found if isinstance(found, str) else None


def change_of(entry: Entry) -> dict[str, Any]:
    """An entry as the stream of changes announces it (the form `Service.changes` gives)."""
    change: dict[str, Any] = {"index": entry.index, "type": entry.type, "session": entry.session}
    request = request_of(entry)
    if request:
        change["request"] = request
    if entry.type == "request.ended":
        change["state"] = entry.fields.get("state")
    elif entry.type == "request.opened":
        change["state"] = "waiting"
    return change
