"""Words for times, states, kinds and entries. Pure: the time comes in as an argument (milliseconds since 1970)."""

from __future__ import annotations

import datetime
from typing import Any

from keyturn.ledger.entries import Entry
from keyturn.service.model import Conditions

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
    "definition": "agent's definition",
    "plan": "plan",
}
READY = {
    "action": "Approving lets exactly these bytes run, once. The agent is told your reason.",
    "plan": "Approving lets exactly these steps run, in this order, each once. Anything else that policy holds stops the plan.",
    "policy": "Approving publishes exactly this change.",
    "definition": "Approving lets this agent, as it is now, do everything that it was allowed before.",
    "baseline": "Approving pins what is listed as the agent's ordinary behaviour: it raises no alarm from then on.",
    "response": "Approving lifts it at once: what rules and grants allow is allowed again.",
}
"""What approving does, by the subject of the request."""
CLOCKS = {
    "recorded": "from the action to its entry",
    "evaluated": "from that entry to the finding",
    "found": "from the onset to the finding",
    "delivered": "from the finding to the first message",
    "viewed": "until somebody with no part in it looked",
    "acknowledged": "until a person looked after it",
    "resolved": "until it was settled",
}
"""The clocks of audit lag (`drift.lag`)."""
GRADES = {
    "PROVEN": "Proven: what was observed is contained in what people approved, in its window, once.",
    "VERSION-BOUND": "Bound to an approved version: it occurs only under that, and its declared effects cover it.",
    "CANDIDATE": "A candidate: the same object and time only. A person has to confirm it.",
    "NONE": "No approved change explains it.",
}
DEEDS = {
    "step-up": "Stepped up: everything it does is held for people.",
    "suspend": "Suspended: nothing that it was allowed before counts.",
    "stop": "Stopped: its sessions were ended and every action is refused.",
}
RESPONDED = {"step-up": "stepped it up", "suspend": "suspended it", "stop": "stopped it"}
"""What a response did when it began, in the course of its finding."""
STEPS = {
    "acknowledged": "looks after it",
    "explained": "explained it",
    "accepted": "accepted it",
    "closed": "closed it",
    "reopened": "reopened it",
}
TIERS = {"low": "Low risk", "medium": "Medium risk", "high": "High risk", "critical": "Critical"}
RANKS = {"critical": "Critical", "high": "High", "change": "Changes", "medium": "Medium", "low": "Low"}
"""What the queue is filtered by, in its order."""
RANK_PLACES = {rank: place for place, rank in enumerate(RANKS)}
TIER_MARKS = {"low": "○", "medium": "◐", "high": "▲", "critical": "■"}
"""A shape for each tier, so that it is not told by colour alone."""
DEFINITION_STATES = {"approved": "approved", "changed": "denied", "unknown": "expired"}
"""What people know of a definition, as the state whose colour it has."""
DEFINITION_MEANS = {
    "approved": "People approved exactly what it is.",
    "changed": "It is not what people approved.",
    "unknown": "Nobody has approved what it is where it works.",
}
VERDICTS = {"run": "ran at once", "hold": "held for people", "refuse": "refused"}
LEVELS = {"idp": "confirmed at the provider", "signed": "signed", "signed+hardware": "signed in hardware"}
"""How a decision was made, by its verified level."""
MISSING = "not given by the client"


def kind(request: Any) -> str:
    """What a request is about, in a word or two: `command`, `policy change`."""
    return KINDS.get(request.kind, f"{request.kind} change" if request.subject != "action" else request.kind)


def rank(request: Any) -> str:
    """Where a request stands in the queue: its tier, or `change`."""
    return rank_of(request.risk.tier if request.risk else "")


def rank_of(tier: str) -> str:
    """Where a request of that risk tier stands; one without is a change."""
    if not tier:
        return "change"
    return tier if tier in RANKS else "critical"


def ready(subject: str) -> str:
    """What approving does."""
    return READY.get(subject, "Approving makes exactly this change.")


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


def between(since: Any) -> str:
    """A moment that is known as an interval."""
    if since.earliest == since.latest:
        return moment(since.earliest)
    return f"between {moment(since.earliest)} and {moment(since.latest)}"


def number(value: float) -> str:
    """`0.42`, `201`, `1,250`: four significant digits at most."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def odds(evidence: float) -> str:
    """An e-value in words: the odds against there being no drift (Shafer 2021, testing by betting)."""
    if evidence < 10:
        return "weak evidence: it may be chance"
    return f"odds of {number(evidence)} to 1 against no drift"


def did(response: Any) -> str:
    """What a response did so far."""
    parts = [
        f"{count:,} {noun if count == 1 else noun + 's'} {deed}"
        for count, noun, deed in (
            (response.held, "action", "held"),
            (response.refused, "action", "refused"),
            (response.stopped, "session", "ended"),
        )
        if count
    ]
    return f"So far: {', '.join(parts)}." if parts else "It met no action so far."


def change(magnitude: Any) -> str:
    """How large a drift is: from what to what, and how many times that."""
    told = f"{number(magnitude.baseline)} → {number(magnitude.value)} {magnitude.unit}".rstrip()
    if magnitude.baseline > 0 and magnitude.value > 0:
        times = magnitude.value / magnitude.baseline
        told += f", {number(times)} times as much" if times >= 1 else f", {number(1 / times)} times less"
    return told


def clocked(reading: Any) -> str:
    """One clock: `4 min`, `between 4 min and 2 h`, `4 min so far`."""
    least, most = (f"{ms} ms" if ms < 1000 else duration(ms) for ms in (reading.least, reading.most))
    told = most if least == most else f"between {least} and {most}"
    return f"{told} so far" if reading.running else told


def span(milliseconds: int) -> str:
    """A time span that may be short."""
    return f"{milliseconds} ms" if milliseconds < 1000 else duration(milliseconds)


def ago(time: int, now: int) -> str:
    """`14 min ago`."""
    return f"{duration(now - time)} ago"


def conditions(given: Conditions, now: int) -> list[str]:
    """What is asked beside people, and when what happens."""
    said = []
    if given.closed:
        said.append(given.closed)
    elif given.window:
        said.append(f"It can be approved and run only in the window {given.window}, which is open.")
    if given.frozen:
        said.append(given.frozen)
    if given.ticket:
        named = f": {given.reference}" if given.reference else ""
        said.append(f"Approving needs an approved change{named}.")
    if given.remind_at is not None:
        said.append(f"Whoever can still decide is reminded at {clock(given.remind_at, now)}.")
    if given.escalate_at is not None:
        said.append(f"At {clock(given.escalate_at, now)} it goes to {given.escalate_to}, too.")
    said += [f"It went to {one.to}, too, {ago(one.time, now)}." for one in given.escalated]
    return said


def clock(time: int, now: int) -> str:
    """`14:10 UTC (in 6 min)`; with the day when it is not today's."""
    then, today = (datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC) for ms in (time, now))
    shown = then.strftime("%H:%M UTC") if then.date() == today.date() else then.strftime("%Y-%m-%d %H:%M UTC")
    return f"{shown} (in {duration(time - now)})" if time > now else shown


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
        "finding.opened": (f.get("severity"), f.get("words")),
        "finding.viewed": (f.get("by"), f.get("finding")),
        "finding.acknowledged": (f.get("by"), f.get("finding"), f.get("reason")),
        "finding.explained": (f.get("by"), f.get("finding"), f.get("reason")),
        "finding.accepted": (f.get("by"), f.get("finding"), f.get("reason")),
        "finding.closed": (f.get("by"), f.get("outcome"), f.get("reason")),
        "finding.reopened": (f.get("by"), f.get("finding"), f.get("reason")),
        "response.begun": (f.get("do"), f.get("name"), f.get("finding")),
        "response.lifted": (f.get("by"), f.get("response"), f.get("why")),
        "policy.published": (f.get("digest"),),
        "policy.proposed": (f.get("digest"),),
        "person.enrolled": (f.get("id"),),
        "person.changed": (f.get("id"),),
        "person.removed": (f.get("id"),),
        "access.reviewed": (f.get("by"), f.get("note")),
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
