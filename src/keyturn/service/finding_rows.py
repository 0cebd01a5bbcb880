"""How entries about findings and responses become rows. Pure, part of `projections.fold`.

Row kinds: `finding` (one each, its state its list), `finding-key` (what was found once is not found again while it is open),
`finding-open` (what still asks something of people; its state is the severity), `finding-about` (kinds of those, counted, for
each agent, definition and session, and under `any` for all), `finding-unseen` (bad ones that nobody looked at),
`finding-accepted` (by the end of the acceptance), `response` (one each), `response-of` (those in force, for each agent, definition
and session, and under `any`), `response-ending` (by its end).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn import canonical
from keyturn.drift.finding_life import UNRESOLVED
from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]

LOUD = ("high", "critical")
"""Severities of which people are told, and of which it is measured when somebody looked."""
MOST_NAME = 120
"""Bytes of a name; a longer one is known by its digest."""
MOST_STEPS = 100
"""Steps of a finding's life that its row holds; all of them are in the ledger."""


def about_key(pair: Iterable[str]) -> str:
    """Under which it is found what is known about an agent, a definition or a session."""
    return "\x1f".join(pair)


def pair(kind: str, name: str) -> tuple[str, str]:
    """An agent, a definition or a session as findings and responses name it: a name that is too long to be a key by its digest.

    So nobody is out of reach by a long name, and what is recorded stays small enough to be read with the entry.
    """
    return (kind, name if len(name.encode("utf-8", "surrogatepass")) <= MOST_NAME else canonical.digest(name))


def found(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A finding was opened."""
    f = entry.fields
    state = f.get("state", "open")
    body = {
        **f, "opened": entry.time, "entry": entry.index, "session": entry.session, "state": state, "life": [], "until": None,
        "viewed": None, "delivered": None, "change": f.get("change", ""), "responses": [],
    }  # fmt: skip
    yield _finding(body)
    times = (rows.row("finding-key", f["key"]) or {"times": 0})["times"] + 1
    sure = state == "explained"
    yield Put("finding-key", f["key"], {"finding": f["id"], "open": True, "times": times, "sure": sure})
    if state in UNRESOLVED:
        yield from _open(body, rows)
        if _loud(body):
            yield _unseen(body, "waiting")
    overdue = rows.row("finding-unseen", f["about_finding"]) if f.get("about_finding") else None
    if overdue is not None:
        yield Put("finding-unseen", overdue["finding"], overdue, "late", overdue["opened"])


def moved(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A person, or time, did something with it."""
    f = entry.fields
    row = rows.row("finding", f["finding"])
    if row is None:
        return
    step = {k: f[k] for k in ("by", "reason", "until", "change", "outcome") if f.get(k)}
    step |= {"verb": entry.type.partition(".")[2], "time": entry.time, "entry": entry.index}
    new = {**row, "state": f["state"], "until": f.get("until"), "life": [*row["life"], step][-MOST_STEPS:]}
    new["change"] = f.get("change") or row["change"]
    if f.get("apart") and row["viewed"] is None:
        new["viewed"] = {"by": f["by"], "time": entry.time, "entry": entry.index}
    yield _finding(new)
    if row["state"] in UNRESOLVED and new["state"] not in UNRESOLVED:
        yield from _closed(row, rows)
    elif row["state"] not in UNRESOLVED and new["state"] in UNRESOLVED:
        yield from _open(new, rows)
    if new["viewed"] is not None or new["state"] not in UNRESOLVED:
        yield Put("finding-unseen", row["id"], None)
    elif row["state"] not in UNRESOLVED and _loud(row):
        yield _unseen({**row, "opened": entry.time}, "waiting")
    accepted = new["state"] == "accepted"
    if accepted or row["state"] == "accepted":
        end = {"finding": row["id"], "until": new["until"]} if accepted else None
        yield Put("finding-accepted", row["id"], end, "", new["until"] or 0)
    if new["state"] == "closed":
        key = rows.row("finding-key", row["key"])
        if key is not None and key["finding"] == row["id"]:
            yield Put("finding-key", row["key"], {**key, "open": False})


def viewed(entry: Entry, rows: Rows) -> Iterable[Put]:
    """Somebody with no part in it looked at it for the first time."""
    f = entry.fields
    row = rows.row("finding", f["finding"])
    if row is not None:
        seen = {"by": f["by"], "time": entry.time, "entry": entry.index, "exposure": f.get("exposure")}
        yield _finding({**row, "viewed": seen})
        yield Put("finding-unseen", row["id"], None)


def delivered(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A channel took a message about it: part of `notice.sent`."""
    row = rows.row("finding", entry.fields["about"])
    if row is not None and row["delivered"] is None:
        yield _finding({**row, "delivered": entry.time})


def _finding(body: Body) -> Put:
    return Put("finding", body["id"], body, body["state"], body["opened"])


def _loud(body: Body) -> bool:
    return body.get("severity") in LOUD and not body.get("about_finding")


def _unseen(body: Body, state: str) -> Put:
    row = {"finding": body["id"], "opened": body["opened"]}
    return Put("finding-unseen", body["id"], row, state, body["opened"])


def _open(body: Body, rows: Rows) -> Iterable[Put]:
    listed = {"finding": body["id"], "opened": body["opened"]}
    yield Put("finding-open", body["id"], listed, body.get("severity") or "high", body["opened"])
    yield from _counted(body, rows, 1)


def _closed(body: Body, rows: Rows) -> Iterable[Put]:
    yield Put("finding-open", body["id"], None)
    yield from _counted(body, rows, -1)


def _counted(body: Body, rows: Rows, by: int) -> Iterable[Put]:
    """One more, or one less, of its kind for everything that it is about."""
    about = [about_key(pair) for pair in body.get("about", ())]
    if any(pair[0] == "definition" for pair in body.get("about", ())):
        about.append(about_key(("any", "definition")))
    for key in dict.fromkeys([*about, *(["any"] if about else [])]):
        kinds: dict[str, int] = dict((rows.row("finding-about", key) or {"kinds": {}})["kinds"])
        count = kinds.pop(body["kind"], 0) + by
        if count > 0:
            kinds[body["kind"]] = count
        yield Put("finding-about", key, {"kinds": kinds} if kinds else None)


# --- responses -----------------------------------------------------------------------------------------------------


def begun(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A response is in force."""
    f = entry.fields
    body = {**f, "begun": entry.time, "entry": entry.index, "state": "on"}
    yield Put("response", f["id"], body, "on", entry.time)
    yield from _in_force(f, rows, True)
    finding = rows.row("finding", f["finding"])
    if finding is not None:
        yield _finding({**finding, "responses": [*finding["responses"], f["id"]]})
    if f["ends"]:
        yield Put("response-ending", f["id"], {"response": f["id"], "ends": f["ends"]}, "", f["ends"])


def did(entry: Entry, rows: Rows, responses: Iterable[str], what: str) -> Iterable[Put]:
    """Responses did something once more: `held` or `refused` an action, or `stopped` a session."""
    for one in responses:
        row = rows.row("response", one)
        if row is not None:
            yield Put("response", one, {**row, what: row.get(what, 0) + 1}, row["state"], row["begun"])


def decided(entry: Entry, rows: Rows) -> Iterable[Put]:
    """An action was decided under responses."""
    what = {"hold": "held", "refuse": "refused"}.get(entry.fields["verdict"])
    if what is not None:
        yield from did(entry, rows, entry.fields.get("responses", ()), what)


def stopped(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A response stopped a session."""
    one = entry.fields.get("response")
    yield from did(entry, rows, (one,) if one else (), "stopped")


def lifted(entry: Entry, rows: Rows) -> Iterable[Put]:
    """It no longer is."""
    f = entry.fields
    row = rows.row("response", f["response"])
    if row is None or row["state"] != "on":
        return
    ended = {"lifted": entry.time, "lifted_by": f.get("by", ""), "lifted_why": f.get("why", "")}
    body = {**row, **ended, "lifted_entry": entry.index, "request": f.get("request"), "state": "lifted"}
    yield Put("response", row["id"], body, "lifted", row["begun"])
    yield from _in_force(row, rows, False)
    yield Put("response-ending", row["id"], None)


def _in_force(body: Body, rows: Rows, on: bool) -> Iterable[Put]:
    for key in (about_key(body["of"]), "any"):
        known: list[str] = (rows.row("response-of", key) or {"responses": []})["responses"]
        after = [one for one in known if one != body["id"]] + ([body["id"]] if on else [])
        yield Put("response-of", key, {"responses": after} if after else None)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "finding.opened": found,
    "finding.viewed": viewed,
    "finding.acknowledged": moved,
    "finding.explained": moved,
    "finding.accepted": moved,
    "finding.closed": moved,
    "finding.reopened": moved,
    "response.begun": begun,
    "response.lifted": lifted,
}
