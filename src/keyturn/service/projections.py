"""How entries become the tables that pages, API and use cases read (promise 7).

`fold` is pure: replaying the log gives the same rows, byte for byte. Every row is replaced as a whole.
Row kinds: `session`, `session-key`, `action`, `request`, `waiting`, `deadline`, `seen`, `person`, `token`, `login`, `policy`,
`gate`, `gate-token`, `log`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn import canonical
from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def fold(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The rows that *entry* changes."""
    handler = _HANDLERS.get(entry.type)
    puts = list(handler(entry, rows)) if handler else []
    if entry.session and entry.type in ("request.opened", "request.ended"):
        session = rows.row("session", entry.session)
        if session is not None:
            puts.append(_session({**session, "waiting": _waiting_after(session, entry)}))
    return puts


def _waiting_after(session: Body, entry: Entry) -> list[str]:
    """The session's requests that wait, after *entry*."""
    waiting: list[str] = session["waiting"]
    if entry.type == "request.opened":
        return [*waiting, entry.fields["id"]]
    return [request for request in waiting if request != entry.fields["request"]]


def _session(body: Body) -> Put:
    return Put("session", body["id"], body, "closed" if body.get("closed") else "open", body["opened"])


def _session_opened(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    body = {
        "id": entry.session, "agent": f["agent"], "human": f.get("human"), "gate": f["gate"], "cwd": f["cwd"],
        "client_session": f.get("client_session", ""), "definition": f.get("definition"), "parents": f.get("parents", []),
        "pid": f.get("pid"), "waiting": [],
        "opened": entry.time, "entry": entry.index,
    }  # fmt: skip
    yield _session(body)
    if body["client_session"]:
        yield Put(
            "session-key", session_key(f["gate"]["name"], body["client_session"]), {"session": entry.session}
        )


def session_key(gate: str, client_session: str) -> str:
    """Under which an open session is found again by its gate and the client's own id."""
    return f"{gate}\x1f{client_session}"


def _session_closed(entry: Entry, rows: Rows) -> Iterable[Put]:
    session = rows.row("session", entry.session or "")
    if session is None:
        return
    yield _session(
        {
            **session,
            "closed": entry.time,
            "count": entry.fields.get("count"),
            "why": entry.fields.get("why", ""),
            **({"recording": entry.fields["recording"]} if entry.fields.get("recording") else {}),
        }
    )
    if session["client_session"]:
        yield Put("session-key", session_key(session["gate"]["name"], session["client_session"]), None)


def _session_stopped(entry: Entry, rows: Rows) -> Iterable[Put]:
    session = rows.row("session", entry.session or "")
    if session is not None:
        f = entry.fields
        yield _session(
            {**session, "stopped": entry.time, "stopped_by": f.get("by", ""), "stopped_why": f.get("why", "")}
        )


def _instructed(entry: Entry, rows: Rows) -> Iterable[Put]:
    session = rows.row("session", entry.session or "")
    if session is not None:
        yield _session({**session, "instruction": entry.fields["instruction"]})


def _decided(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put(
        "action",
        f["id"],
        {
            "id": f["id"], "digest": f["digest"], "kind": f["kind"], "session": entry.session, "verdict": f["verdict"],
            "sentence": f["sentence"], "entry": entry.index, "time": entry.time, "call": f.get("call"),
            "permit": f.get("permit"), "request": None, "gate": f["gate"]["name"],
        },
        f["verdict"],
        entry.time,
    )  # fmt: skip


def _permit_issued(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    request = rows.row("request", f["request"])
    if request is not None:
        yield _request({**request, "permit": f["permit"]["id"]})
        yield Put("waiting", waiting_key(request["session"], request["digest"]), None)
    action = rows.row("action", f["action"])
    if action is not None:
        yield _action({**action, "permit": f["permit"]})


def _permit_consumed(entry: Entry, rows: Rows) -> Iterable[Put]:
    action = rows.row("action", entry.fields["action"])
    if action is not None and action["permit"] is not None:
        yield _action({**action, "permit": {**action["permit"], "consumed": entry.time}})


def _action(body: Body) -> Put:
    return Put("action", body["id"], body, body["verdict"], body["time"])


def _receipt(entry: Entry, rows: Rows) -> Iterable[Put]:
    action = rows.row("action", entry.fields["action"])
    if action is not None:
        receipt = {k: v for k, v in entry.fields.items() if k != "action"}
        yield Put(
            "action",
            action["id"],
            {**action, "receipt": {**receipt, "entry": entry.index}},
            action["verdict"],
            action["time"],
        )


def _started(entry: Entry, rows: Rows) -> Iterable[Put]:
    action = rows.row("action", entry.fields["action"])
    if action is not None:
        began = {"session": entry.session, "gate": entry.fields["gate"], "time": entry.time}
        yield _action({**action, "started": began})


def waiting_key(session: str, digest: str) -> str:
    """Under which a session's request for the same bytes is found while it waits or is approved and unclaimed."""
    return f"{session}\x1f{digest}"


def _request(body: Body) -> Put:
    return Put("request", body["id"], body, body["state"], body["opened"])


def _request_opened(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    seen = (rows.row("seen", seen_key(f)) or {"count": 0})["count"]
    yield Put("seen", seen_key(f), {"count": seen + 1})
    yield _request(
        {
            **f, "state": "waiting", "opened": entry.time, "entry": entry.index, "session": entry.session,
            "approvals": [], "seen_before": seen,
        }
    )  # fmt: skip
    yield Put("deadline", f["id"], {"request": f["id"], "expires": f["expires"]}, "waiting", f["expires"])
    if f["subject"] == "action" and entry.session:
        yield Put("waiting", waiting_key(entry.session, f["digest"]), {"request": f["id"]})
        action = rows.row("action", f["action"])
        if action is not None:
            yield Put(
                "action", action["id"], {**action, "request": f["id"]}, action["verdict"], action["time"]
            )


def seen_key(fields: Body) -> str:
    """Under which requests for the same content by the same agent are counted."""
    return canonical.digest({"agent": fields["agent"], "content": fields["content"], "cwd": fields["cwd"]})


def _approval(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    request = rows.row("request", f["request"])
    if request is None:
        return
    given = {
        "person": f["person"], "choice": f["choice"], "reason": f.get("reason", ""), "time": entry.time,
        "channel": f["channel"], "digest": f["digest"], "display": f["display"], "entry": entry.index,
        "assurance": f.get("assurance", "click"),
    }  # fmt: skip
    yield _request({**request, "approvals": [*request["approvals"], given]})


def _request_ended(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    request = rows.row("request", f["request"])
    if request is None:
        return
    yield _request(
        {
            **request,
            "state": f["state"],
            "ended": entry.time,
            "ended_why": f.get("why", ""),
            "ended_entry": entry.index,
            "ended_by": f.get("by"),
            "placed": f.get("placed", []),
        }
    )
    yield Put("deadline", request["id"], None)
    if f["state"] != "approved" and request["subject"] == "action" and request.get("session"):
        yield Put("waiting", waiting_key(request["session"], request["digest"]), None)


def _person(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    old = rows.row("person", f["id"]) or {}
    token = f.get("token", old.get("token"))
    if old.get("token") and old["token"] != token:
        yield Put("token", old["token"], None)
    body = {
        **old,
        **{k: v for k, v in f.items() if k != "by"},
        "token": token,
        "since": old.get("since", entry.time),
        "entry": entry.index,
    }
    if old.get("token") != token:
        body["token_entry"] = entry.index
    removed = entry.type == "person.removed"
    body["removed"] = removed
    yield Put("person", f["id"], body, "removed" if removed else "active", body["since"])
    if token:
        yield Put("token", token, None if removed else {"person": f["id"]})


def _login(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    opened = entry.type == "login.opened"
    body = (
        {"person": f["person"], "expires": f["expires"], "opened": entry.time, "entry": entry.index}
        if opened
        else None
    )
    yield Put("login", f["cookie"], body, "open", entry.time)


def _policy(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    published = entry.type == "policy.published"
    old = rows.row("policy", f["digest"]) or {}
    if published:
        active = rows.row("policy-active", "active")
        if active and active["digest"] != f["digest"]:
            previous = rows.row("policy", active["digest"])
            if previous is not None:
                yield Put(
                    "policy",
                    previous["digest"],
                    {**previous, "until": entry.time},
                    "replaced",
                    previous["at"],
                )
        yield Put(
            "policy-active", "active", {"digest": f["digest"], "entry": entry.index, "since": entry.time}
        )
    body = {**old, **f, "at": entry.time, "entry": entry.index}
    yield Put("policy", f["digest"], body, "published" if published else "proposed", entry.time)


def _gate(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    old = rows.row("gate", f["name"]) or {"since": entry.time}
    if entry.type == "gate.removed":
        if old.get("token"):
            yield Put("gate-token", old["token"], None)
        yield Put("gate", f["name"], None)
        return
    body = {**old, **f, "seen": entry.time}
    yield Put("gate", f["name"], body, entry.type.split(".")[1], body["since"])
    if f.get("token"):
        if old.get("token") and old["token"] != f["token"]:
            yield Put("gate-token", old["token"], None)  # a gate has one token: the newest
        yield Put("gate-token", f["token"], {"gate": f["name"]})


def _log(entry: Entry, rows: Rows) -> Iterable[Put]:
    yield Put("log", "log", {**entry.fields, "opened": entry.time})


def _probe(entry: Entry, rows: Rows) -> Iterable[Put]:
    gate = rows.row("gate", entry.fields["gate"])
    if gate is not None:
        yield Put(
            "gate",
            gate["name"],
            {**gate, "probe": {**entry.fields, "time": entry.time}},
            "probed",
            gate["since"],
        )


_HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "log.opened": _log,
    "session.opened": _session_opened,
    "session.instructed": _instructed,
    "session.stopped": _session_stopped,
    "session.closed": _session_closed,
    "action.decided": _decided,
    "action.started": _started,
    "action.receipt": _receipt,
    "request.opened": _request_opened,
    "request.ended": _request_ended,
    "approval.given": _approval,
    "permit.issued": _permit_issued,
    "permit.consumed": _permit_consumed,
    "policy.proposed": _policy,
    "policy.published": _policy,
    "person.enrolled": _person,
    "person.changed": _person,
    "person.removed": _person,
    "login.opened": _login,
    "login.closed": _login,
    "gate.enrolled": _gate,
    "gate.removed": _gate,
    "gate.started": _gate,
    "probe.result": _probe,
}
