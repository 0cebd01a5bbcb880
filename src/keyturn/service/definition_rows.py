"""How definitions and agents become rows (promise 7). Pure, like the rest of `projections`.

Row kinds: `agent`; `definition`, by agent and digest; `agent-place`, by agent and where it works: what is approved there, what was
seen last, and the `original`: the first one that was approved, until people assess another one anew. Taking it back does not move it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]
MOST_KEPT = 50
"""People, and sessions, that a row names; the log has all."""


def key(agent: str, rest: str) -> str:
    """The key of a `definition` (agent, digest) or an `agent-place` (agent, place)."""
    return f"{agent}\x1f{rest}"


def original_of(rows: Rows, agent: str, place: str) -> Body | None:
    """`digest`, `time` and `entry` of the original of *agent* at *place*; None where nothing was ever approved.

    Rows that an earlier version folded name none: then it is the first that is still approved.
    """
    where = rows.row("agent-place", key(agent, place)) or {}
    if where.get("original") or not where.get("approved"):
        return where.get("original")
    digest = where["approved"][0]
    first = (rows.row("definition", key(agent, digest)) or {"approved": []})["approved"]
    return {"digest": digest, "time": first[0]["time"], "entry": first[0]["entry"]} if first else None


def _put(body: Body) -> Put:
    state = "withdrawn" if body["withdrawn"] else "approved" if body["approved"] else "seen"
    return Put("definition", key(body["agent"], body["digest"]), body, state, body["first"])


def _place(entry: Entry, rows: Rows, agent: str, place: str, **changes: Any) -> Put:
    old = rows.row("agent-place", key(agent, place)) or {
        "agent": agent, "place": place, "approved": [], "pinned": False, "last": None,
    }  # fmt: skip
    return Put("agent-place", key(agent, place), {**old, **changes, "time": entry.time}, "", entry.time)


def seen(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A definition is known from here on; when it was known without its parts, it has them now."""
    f = entry.fields
    old = rows.row("definition", key(f["agent"], f["digest"])) or {
        "people": [], "sessions": [], "count": 0, "first": entry.time, "last": entry.time, "entry": entry.index,
        "approved": [], "withdrawn": None, "places": [], "request": None,
    }  # fmt: skip
    yield _put({**old, **{k: v for k, v in f.items() if k not in ("session", "by")}})


def used(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A session began, or goes on, with a definition."""
    f = entry.fields
    session = rows.row("session", entry.session or "") or {}
    agent = f.get("agent") or session.get("agent") or {}
    name = agent.get("name", "")
    digest = f.get("definition")
    known = rows.row("agent", name) or {"name": name, "sessions": 0, "first": entry.time, "definition": None}
    body = {
        **known,
        "client": agent.get("client", ""),
        "owner": agent.get("owner"),
        "sessions": known["sessions"] + (entry.type == "session.opened"),
        "definition": digest,
        "place": f.get("place", ""),
        "session": entry.session,
        "last": entry.time,
    }
    yield Put("agent", name, body, "", entry.time)
    row = rows.row("definition", key(name, digest)) if digest else None
    if row is None:
        return
    person = ((f.get("human") if "human" in f else session.get("human")) or {}).get("person")
    people = [*row["people"], person] if person and person not in row["people"] else row["people"]
    sessions = [*row["sessions"], entry.session] if entry.session not in row["sessions"] else row["sessions"]
    yield _put(
        {
            **row, "people": people[-MOST_KEPT:], "sessions": sessions[-MOST_KEPT:], "last": entry.time,
            "count": row["count"] + 1,
        }
    )  # fmt: skip
    yield _place(entry, rows, name, f.get("place", ""), last=digest)


def defined(entry: Entry, rows: Rows) -> Iterable[Put]:
    """What an agent is has changed within its session."""
    session = rows.row("session", entry.session or "")
    if session is not None:
        body = {**session, "definition": entry.fields["definition"], "place": entry.fields.get("place", "")}
        state = "closed" if session.get("closed") else "open"
        yield Put("session", session["id"], body, state, session["opened"])
    yield from used(entry, rows)


def asked(fields: Body, rows: Rows) -> Iterable[Put]:
    """People are asked to approve one."""
    target = fields.get("definition") if fields["subject"] == "definition" else None
    row = rows.row("definition", key(target["agent"], target["digest"])) if target else None
    if row is not None:
        yield _put({**row, "request": fields["id"]})


def approved(entry: Entry, rows: Rows) -> Iterable[Put]:
    """People approved one: it is the baseline where it was asked for."""
    f = entry.fields
    row = rows.row("definition", key(f["agent"], f["digest"]))
    if row is None:
        return
    given = {
        "request": f["request"],
        "by": f["by"],
        "why": f["why"],
        "time": entry.time,
        "entry": entry.index,
        **{name: f[name] for name in ("assessed", "effects") if f.get(name)},
    }
    places = sorted({*row["places"], f["place"]})
    yield _put(
        {**row, "approved": [*row["approved"], given][-MOST_KEPT:], "withdrawn": None, "places": places}
    )
    agent = rows.row("agent", f["agent"])
    if agent is not None and not agent.get("pinned"):
        yield Put("agent", f["agent"], {**agent, "pinned": True}, "", agent["last"])
    place = rows.row("agent-place", key(f["agent"], f["place"])) or {"approved": []}
    newest = [digest for digest in place["approved"] if digest != f["digest"]]
    original = original_of(rows, f["agent"], f["place"])
    if original is None or f.get("assessed"):
        original = {"digest": f["digest"], "time": entry.time, "entry": entry.index}
    yield _place(
        entry, rows, f["agent"], f["place"], approved=[*newest, f["digest"]], pinned=True, original=original
    )


def withdrawn(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A person took an approval back."""
    f = entry.fields
    row = rows.row("definition", key(f["agent"], f["digest"]))
    if row is None:
        return
    taken = {"by": f["by"], "why": f["why"], "time": entry.time, "entry": entry.index}
    yield _put({**row, "withdrawn": taken})
    for place in row["places"]:
        known = rows.row("agent-place", key(f["agent"], place))
        if known is not None:
            left = [digest for digest in known["approved"] if digest != f["digest"]]
            yield _place(entry, rows, f["agent"], place, approved=left)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "definition.seen": seen,
    "definition.approved": approved,
    "definition.withdrawn": withdrawn,
    "session.defined": defined,
}

__all__ = ["HANDLERS", "asked", "key", "original_of", "used"]
