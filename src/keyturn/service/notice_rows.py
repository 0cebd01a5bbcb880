"""What the ledger says about notices: who was told what, which messages still say *waiting*, and how each channel is.

Row kinds: `notice` (one for each receiver of each request; its state is the request, so that a request's are found together),
`notice-open` (requests that some message shows as waiting), `channel` (one for each channel, with its last success and failure),
`notice-choice` (what a person chose to be told by), `push` (browsers that asked for push messages).
Pure: handlers for `projections.fold`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows
from keyturn.service import finding_rows

Body = dict[str, Any]

WAITING = "waiting"
"""How `shown` begins for a message that shows a request as waiting."""


def notice_key(about: str, channel: str, to: str) -> str:
    """Under which it is found what a receiver was told about a request."""
    return f"{about}\x1f{channel}\x1f{to}"


def _sent(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    key = notice_key(f["about"], f["channel"], f["to"])
    old = rows.row("notice", key) or {"phases": [], "ref": {}}
    body = {
        "about": f["about"], "channel": f["channel"], "to": f["to"], "person": f["person"], "shown": f["shown"],
        "ref": f["ref"] or old["ref"], "phases": [*old["phases"], f["phase"]], "time": entry.time, "dropped": "",
    }  # fmt: skip
    yield Put("notice", key, body, f["about"], entry.time)
    waits = f["follows"] and f["shown"].startswith(WAITING)
    yield from _open(entry, rows, key, waits)
    yield from finding_rows.delivered(entry, rows)
    yield _channel(
        entry, rows, {"sent": entry.time, "failures": 0, "why": "", "failing": None, "retry": None}
    )


def _failed(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    old = rows.row("channel", f["channel"]) or {}
    if f["final"]:  # the receiver is at fault, or time is up: the channel itself is as it was
        key = notice_key(f["about"], f["channel"], f["to"])
        told = rows.row("notice", key) or {
            "about": f["about"], "channel": f["channel"], "to": f["to"], "person": f["person"],
            "shown": "", "ref": {}, "phases": [],
        }  # fmt: skip
        yield Put("notice", key, {**told, "dropped": f["why"], "time": entry.time}, f["about"], entry.time)
        yield from _open(entry, rows, key, False)
        dropped = {"dropped": old.get("dropped", 0) + 1, "dropped_why": f["why"], "dropped_at": entry.time}
        yield _channel(entry, rows, dropped)
    else:
        failing = {"failing": old.get("failing") or entry.time, "retry": f["retry"]}
        yield _channel(entry, rows, {**failing, "failures": old.get("failures", 0) + 1, "why": f["why"]})


def _open(entry: Entry, rows: Rows, key: str, waits: bool) -> Iterable[Put]:
    """Keep the list of messages that have to be changed when the request ends."""
    about = entry.fields["about"]
    row = rows.row("notice-open", about)
    before: list[str] = row["keys"] if row else []
    after = [one for one in before if one != key] + ([key] if waits else [])
    if after != before:
        body = {"about": about, "keys": after, "time": entry.time} if after else None
        yield Put("notice-open", about, body, "open", entry.time)


def _channel(entry: Entry, rows: Rows, changes: Body) -> Put:
    name = entry.fields["channel"]
    old = rows.row("channel", name) or {
        "channel": name, "sent": None, "failing": None, "failures": 0, "why": "", "retry": None,
    }  # fmt: skip
    return Put("channel", name, {**old, **changes}, "", entry.time)


def _chosen(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put("notice-choice", f["person"], {"person": f["person"], "without": f["without"]}, "", entry.time)


def _subscribed(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put("push", f["id"], {**f, "time": entry.time, "entry": entry.index}, f["person"], entry.time)


def _unsubscribed(entry: Entry, rows: Rows) -> Iterable[Put]:
    yield Put("push", entry.fields["id"], None)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "notice.sent": _sent,
    "notice.failed": _failed,
    "notice.chosen": _chosen,
    "push.subscribed": _subscribed,
    "push.ended": _unsubscribed,
}
