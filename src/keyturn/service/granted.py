"""How grants become rows (promise 7). Pure, like the rest of `projections`.

Row kinds: `grant`; `grant-key`, under which an action finds the grants that may cover it without looking at any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]


def grant_key(digest: str, gate: str, agent: str, session: str) -> str:
    """Under which the open grants for these bytes are found; `session` is empty for those that hold in any."""
    return "\x1f".join((digest, gate, agent, session))


def waiting_key(session: str, digest: str) -> str:
    """Under which a session's request for the same bytes is found while it waits or is approved and unclaimed."""
    return f"{session}\x1f{digest}"


def _key_of(grant: Body) -> str:
    return grant_key(grant["digest"], grant["gate"], grant["agent"], grant["session"])


def _grant(body: Body) -> Put:
    return Put("grant", body["id"], body, "revoked" if body.get("revoked") else "open", body["opened"])


def _opened(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    yield _grant({**f, "opened": entry.time, "entry": entry.index, "used": 0, "sessions": [], "last": None})
    others = (rows.row("grant-key", _key_of(f)) or {"grants": []})["grants"]
    alive = [one for one in others if (rows.row("grant", one) or {"ends": 0})["ends"] > entry.time]
    yield Put("grant-key", _key_of(f), {"grants": [*alive, f["id"]]})
    request = rows.row("request", f["request"])
    if request is not None:
        yield Put(
            "request", request["id"], {**request, "grant": f["id"]}, request["state"], request["opened"]
        )


def _used(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    grant = rows.row("grant", f["grant"])
    if grant is not None:
        sessions = grant["sessions"]
        if entry.session and entry.session not in sessions:
            sessions = [*sessions, entry.session]
        yield _grant({**grant, "used": grant["used"] + 1, "sessions": sessions, "last": entry.time})
    action = rows.row("action", f["action"])
    if action is not None:
        yield Put("action", action["id"], {**action, "grant": f["grant"]}, action["verdict"], action["time"])


def _revoked(entry: Entry, rows: Rows) -> Iterable[Put]:
    f = entry.fields
    grant = rows.row("grant", f["grant"])
    if grant is None or grant.get("revoked"):
        return
    yield _grant({**grant, "revoked": entry.time, "revoked_by": f["by"], "revoked_why": f["why"]})
    others = (rows.row("grant-key", _key_of(grant)) or {"grants": []})["grants"]
    left = [one for one in others if one != grant["id"]]
    yield Put("grant-key", _key_of(grant), {"grants": left} if left else None)
    request = rows.row("request", grant["request"])
    if request is not None and not request.get("permit") and request.get("session"):
        # Approved, and nobody came for it yet: whoever asks again is held anew instead of being told of the end for ever.
        yield Put("waiting", waiting_key(request["session"], request["digest"]), None)
    for key in grant["sessions"]:
        session = rows.row("session", key)
        if session is not None:
            state = "closed" if session.get("closed") else "open"
            told = [*session.get("revoked", []), grant["id"]]
            yield Put("session", key, {**session, "revoked": told}, state, session["opened"])


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "grant.opened": _opened,
    "grant.used": _used,
    "grant.revoked": _revoked,
}
