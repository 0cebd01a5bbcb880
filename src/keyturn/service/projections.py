"""How entries become the tables that pages, API and use cases read (promise 7).

`fold` is pure: replaying the log gives the same rows, byte for byte. Every row is replaced as a whole.
Row kinds: `session`, `session-key`, `action`, `request`, `waiting`, `deadline`, `due`, `queue`, `alike`, `review`, `drill`, `rules-review`,
`seen`, `habit`, `person`, `last-use`, `looked-at`, `token`, `login`, `policy`, `key`, `person-keys`, `gate`, `gate-token`, `log`,
`login-account`, `provider`, `provider-keys`, `stranger`, and those of `artefact_rows`, `coverage_rows`, `credential_rows`,
`configuration_rows`, `control_rows`, `definition_rows`, `exporting_rows`, `finding_rows`, `limit_rows`, `order_rows` and `ratchet_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn import canonical
from keyturn.ledger.entries import Entry, Put, Rows
from keyturn.service import (
    artefact_rows,
    behaviour_rows,
    comments,
    configuration_rows,
    control_rows,
    coverage_rows,
    credential_rows,
    definition_rows,
    exporting_rows,
    finding_rows,
    glass_rows,
    granted,
    key_rows,
    limit_rows,
    notice_rows,
    order_rows,
    person_rows,
    place_rows,
    plan_rows,
    queueing,
    ratchet_rows,
    reviewing,
    risks,
    scim_rows,
    sealed,
    secret_file_rows,
)
from keyturn.service.conditions import due, oncall_rows
from keyturn.service.granted import waiting_key
from keyturn.service.roster import CHANGES

Body = dict[str, Any]


def fold(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The rows that *entry* changes."""
    handler = _HANDLERS.get(entry.type)
    puts = list(handler(entry, rows)) if handler else []
    puts += person_rows.used(entry, rows)
    if entry.type in _OF_ROSTER:
        kind, field = _OF_ROSTER[entry.type]
        puts.append(_roster(entry, rows, [(kind, entry.fields[field])]))
    elif entry.type == "policy.published":
        groups = [(put.kind, put.key) for put in puts if put.kind == "oncall"]
        puts += [_roster(entry, rows, groups)] if groups else []
    if entry.session and entry.type in ("request.opened", "request.ended"):
        session = rows.row("session", entry.session)
        if session is not None:
            puts.append(_session({**session, "waiting": _waiting_after(session, entry)}))
    return puts


_OF_ROSTER = {
    "person.enrolled": ("person", "id"),
    "person.changed": ("person", "id"),
    "person.removed": ("person", "id"),
    "person.restored": ("person", "id"),
    "delegation.opened": ("delegation", "id"),
    "delegation.ended": ("delegation", "delegation"),
    "oncall.changed": ("oncall", "group"),
}
"""Entries that change who may decide: the kind of row, and the field with its key."""


def _roster(entry: Entry, rows: Rows, moved: list[tuple[str, str]]) -> Put:
    """The row that says what changed last about people, so that what is remembered of them is known to be old."""
    known = rows.row("roster", "roster") or {"changed": []}
    changed = [*known["changed"], *([entry.index, kind, key] for kind, key in moved)]
    return Put("roster", "roster", {"entry": entry.index, "changed": changed[-CHANGES:]})


def _delegation_opened(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put("delegation", f["id"], {**f, "opened": entry.time, "entry": entry.index}, "open", f["until"])


def _delegation_ended(entry: Entry, rows: Rows) -> Iterable[Put]:
    row = rows.row("delegation", entry.fields["delegation"])
    if row is not None:
        body = {**row, "ended": entry.time, "ended_by": entry.fields["by"]}
        yield Put("delegation", row["id"], body, "ended", row["until"])


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
        "pid": f.get("pid"), "opener": f.get("opener"), "chain": f.get("chain", []), "waiting": [],
        "opened": entry.time, "entry": entry.index, "place": f.get("place", ""),
    }  # fmt: skip
    yield _session(body)
    yield from credential_rows.used(entry, rows)
    yield from definition_rows.used(entry, rows)
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
    yield from credential_rows.unused(session, rows)
    if session["client_session"]:
        yield Put("session-key", session_key(session["gate"]["name"], session["client_session"]), None)


def _session_stopped(entry: Entry, rows: Rows) -> Iterable[Put]:
    session = rows.row("session", entry.session or "")
    if session is not None:
        f = entry.fields
        yield _session(
            {**session, "stopped": entry.time, "stopped_by": f.get("by", ""), "stopped_why": f.get("why", "")}
        )
    if entry.fields.get("response"):
        yield from finding_rows.stopped(entry, rows)


def _instructed(entry: Entry, rows: Rows) -> Iterable[Put]:
    session = rows.row("session", entry.session or "")
    if session is not None:
        yield _session({**session, "instruction": entry.fields["instruction"]})
        yield from order_rows.sign(entry, entry.session, rows, "instruction")


def _decided(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put(
        "action",
        f["id"],
        {
            "id": f["id"], "digest": f["digest"], "kind": f["kind"], "session": entry.session, "verdict": f["verdict"],
            "sentence": f["sentence"], "entry": entry.index, "time": entry.time, "call": f.get("call"),
            "permit": f.get("permit"), "request": None, "gate": f["gate"]["name"],
            **({"sealed": f["sealed"]} if f.get("sealed") else {}),
            **({"counts": counts} if (counts := limit_rows.counts_in(entry)) else {}),
            **({"orders": marks} if (marks := order_rows.marks_in(entry)) else {}),
            **({"reach": reach} if (reach := ratchet_rows.reach_in(entry)) else {}),
        },
        f["verdict"],
        entry.time,
    )  # fmt: skip
    yield from limit_rows.decided(entry, rows)
    yield from order_rows.decided(entry, rows)
    yield from ratchet_rows.decided(entry, rows)
    if "responses" in f:
        yield from finding_rows.decided(entry, rows)


def _permit_issued(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    request = rows.row("request", f["request"])
    if request is not None:
        yield _request({**request, "permit": f["permit"]["id"]})
        yield Put("waiting", waiting_key(request["session"], request["digest"]), None)
    action = rows.row("action", f["action"])
    if action is not None:
        yield _action({**action, "permit": f["permit"], **_issued(action, entry)})
    yield from limit_rows.permitted(entry, action, rows)
    yield from order_rows.permitted(entry, action, rows)
    yield from ratchet_rows.permitted(entry, action, rows)


def _issued(action: Body, entry: Entry) -> Body:
    """When what is counted was let go."""
    return {"counted": entry.time} if action.get("counts") else {}


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
        yield from limit_rows.received(entry, action, rows)
        yield from order_rows.received(entry, action, rows)


def _started(entry: Entry, rows: Rows) -> Iterable[Put]:
    action = rows.row("action", entry.fields["action"])
    if action is not None:
        began = {"session": entry.session, "gate": entry.fields["gate"], "time": entry.time}
        yield _action({**action, "started": began})


def _request(body: Body) -> Put:
    return Put("request", body["id"], body, body["state"], body["opened"])


def _request_opened(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    seen = (rows.row("seen", seen_key(f)) or {"count": 0})["count"]
    yield Put("seen", seen_key(f), {"count": seen + 1})
    yield from risks.asked(f, rows)
    yield _request(
        {
            **f, "state": "waiting", "opened": entry.time, "entry": entry.index, "session": entry.session,
            "approvals": [], "seen_before": seen,
        }
    )  # fmt: skip
    yield Put("deadline", f["id"], {"request": f["id"], "expires": f["expires"]}, "waiting", f["expires"])
    yield from due.opened(f, entry.time)
    yield from queueing.joined(f, rows)
    yield from definition_rows.asked(f, rows)
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
        "assurance": f.get("assurance", "click"), "grant": f.get("grant", "once"),
        "key": f.get("key", ""), "nonce": f.get("nonce", ""), "void": "", "on_behalf_of": f.get("on_behalf_of", []),
        **({"gesture": f["gesture"]} if f.get("gesture") else {}),
    }  # fmt: skip
    if "ticket" in f:
        given["ticket"] = f["ticket"]
    yield _request({**request, "approvals": [*request["approvals"], given]})
    yield from key_rows.signed(entry, rows)
    yield from place_rows.seen(entry, rows)
    yield from reviewing.decided(entry, request)


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
    yield from order_rows.ended(entry, request, rows)
    yield Put("deadline", request["id"], None)
    yield from due.ended(request["id"])
    yield from key_rows.ended(request, rows)
    yield from queueing.left(request, rows)
    yield from risks.ended(request, rows, f["state"])
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
        **{k: v for k, v in f.items() if k not in ("by", "alone", "request", "mistake")},
        "token": token,
        "since": old.get("since", entry.time),
        "entry": entry.index,
    }
    if old.get("token") != token or entry.type in ("person.removed", "person.restored"):
        # What was opened before opens nothing, not even for somebody who comes back.
        body["token_entry"] = entry.index
    removed = entry.type == "person.removed" or (entry.type == "person.changed" and old.get("removed", False))
    body["removed"] = removed
    body |= person_rows.marks(old, body, f, entry.time)
    yield Put("person", f["id"], body, "removed" if removed else "active", body["since"])
    if token:
        yield Put("token", token, None if removed else {"person": f["id"]})


def _login(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    old = rows.row("login", f["cookie"]) or {}
    opened = entry.type == "login.opened"
    if opened:
        yield from place_rows.seen(entry, rows)
    body: Body | None = None
    if opened:
        body = {"person": f["person"], "expires": f["expires"], "opened": entry.time, "entry": entry.index}
        body |= {k: f[k] for k in ("account", "provider_session") if k in f}
    yield Put("login", f["cookie"], body, "open", entry.time)
    account = (body or old).get("account")
    if account:
        known = rows.row("login-account", account) or {"cookies": {}}
        cookies = {
            k: v for k, v in known["cookies"].items() if v["expires"] > entry.time and k != f["cookie"]
        }
        if body is not None:
            cookies[f["cookie"]] = {"expires": f["expires"], "session": f.get("provider_session", "")}
        yield Put("login-account", account, {"cookies": cookies} if cookies else None)


def _stranger(entry: Entry, rows: Rows) -> Iterable[Put]:
    yield Put("stranger", entry.fields["account"], {**entry.fields, "time": entry.time}, "", entry.time)


def _provider_keys(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield Put("provider", f["issuer"], {**f, "entry": entry.index, "since": entry.time})
    yield Put("provider-keys", f["digest"], {**f, "entry": entry.index, "since": entry.time})


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
        yield from oncall_rows.published(entry, rows)
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
    if entry.type == "gate.enrolled":
        body["enrolled_entry"] = entry.index  # credentials that were issued before are void
        if old.get("token") and not f.get("token"):
            del body["token"]
            yield Put("gate-token", old["token"], None)
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


def _reviewed(entry: Entry, rows: Rows) -> Iterable[Put]:
    yield Put(
        "rules-review", "last", {"time": entry.time, "rules": entry.fields["rules"], "entry": entry.index}
    )


_HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    **granted.HANDLERS,
    **configuration_rows.HANDLERS,
    **plan_rows.HANDLERS,
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
    "request.reminded": due.reminded,
    "request.escalated": due.escalated,
    "delegation.opened": _delegation_opened,
    "delegation.ended": _delegation_ended,
    "approval.given": _approval,
    "drill.decided": sealed.fold,
    "request.commented": comments.fold,
    "review.opened": _reviewed,
    "access.reviewed": person_rows.looked_at,
    "permit.issued": _permit_issued,
    "permit.consumed": _permit_consumed,
    "oncall.changed": oncall_rows.changed,
    "policy.proposed": _policy,
    "policy.published": _policy,
    "person.enrolled": _person,
    "person.changed": _person,
    "person.removed": _person,
    "person.restored": _person,
    "key.enrolled": key_rows.enrolled,
    "key.revoked": key_rows.revoked,
    "login.opened": _login,
    "login.closed": _login,
    "login.refused": _stranger,
    "scim.token": scim_rows.token,
    "scim.user": scim_rows.user,
    "scim.group": scim_rows.group,
    "scim.removed": scim_rows.removed,
    "provider.keys": _provider_keys,
    "gate.enrolled": _gate,
    "gate.removed": _gate,
    "gate.started": _gate,
    "probe.result": _probe,
    **notice_rows.HANDLERS,
    **credential_rows.HANDLERS,
    **finding_rows.HANDLERS,
    **definition_rows.HANDLERS,
    **glass_rows.HANDLERS,
    **artefact_rows.HANDLERS,
    **secret_file_rows.HANDLERS,
    **behaviour_rows.HANDLERS,
    **coverage_rows.HANDLERS,
    **control_rows.HANDLERS,
    **exporting_rows.HANDLERS,
}
