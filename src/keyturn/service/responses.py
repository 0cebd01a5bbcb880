"""What follows from a finding: an agent is stepped up, suspended or stopped, as `[response.NAME]` of drift.toml says.

Rules kept here:

- A response begins in the commit of its finding. From that entry on every action it is about is decided under it, whatever was
  allowed, granted, planned, approved or permitted before: what was let go before is looked at again when it is used.
- It is about an agent, a definition or a session, and about whatever those start: nobody gets away by letting another run it.
- It ends when people approve that: those whom policy named when it began, never who has a part in the finding. That its finding is closed,
  or that the policy has another version, ends nothing. One with `for` ends with its time, by the later of clock and log.
- Nothing here lets anything go.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from keyturn import canonical
from keyturn.actions import Action
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy import Policy
from keyturn.policy.decision import Decision
from keyturn.policy.drift.responses import InForce, Response, respond
from keyturn.service import finding_people
from keyturn.service.core import Core, NoPolicy
from keyturn.service.errors import ChainTooLong
from keyturn.service.finding_rows import about_key, pair
from keyturn.service.model import RequestView
from keyturn.service.parties import MOST_SESSIONS

Row = dict[str, Any]
Pair = tuple[str, str]

MOST_WHY = 4_000

_ORDER = {
    "agent": ("agent", "definition", "session"),
    "definition": ("definition", "agent", "session"),
    "session": ("session", "agent", "definition"),
}
"""What a response is about where the finding does not name what policy wants."""


class UnknownResponse(KeyturnError):
    """No response has that id."""

    code = "response.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn findings responses --all` lists them."


class ResponseOver(KeyturnError):
    """The response is over already."""

    code = "response.over"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed."
    next_step = "`keyturn findings responses --all` says since when and why."


class LiftUnexplained(KeyturnError):
    """Somebody wants a response lifted and says no reason."""

    code = "response.unexplained"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "Nobody was asked; the response stays."
    next_step = "Say why, in your own words: those who approve read it."


class ResponseView(Struct, frozen=True):
    """A response as it is shown. `of` is what it is about; times in milliseconds since 1970, `ends` 0 for when people lift it.

    `held` and `refused` actions, and `stopped` sessions: what it did so far.
    """

    id: str
    name: str
    do: str
    state: str
    finding: str
    kind: str
    of: tuple[str, str]
    approve: str
    begun: int
    ends: int
    entry: int
    lifted: int | None = None
    lifted_by: str = ""
    lifted_why: str = ""
    request: str | None = None
    lifted_entry: int | None = None
    held: int = 0
    refused: int = 0
    stopped: int = 0


# --- how they begin ------------------------------------------------------------------------------------------------


def drafts(
    core: Core,
    finding: str,
    kind: str,
    severity: str,
    about: Sequence[Pair],
    times: int = 0,
    still: Container[str] = (),
) -> list[Draft]:
    """What begins with the finding: one entry for each response of the policy that answers to it and can say whom it is about.

    *still* are names of responses to it that never ended.
    """
    try:
        policy = core.policy
    except NoPolicy:  # only the very first entries of a log have none
        return []
    now, made = _now(core), []
    for _, one in sorted(policy.drift.responses.items()):
        of = _of(one, about) if one.answers(kind, severity) else None
        if of is None or one.name in still:
            continue
        fields = {
            "id": core.id("rs"),
            "finding": finding,
            "kind": kind,
            "name": one.name,
            "do": one.do,
            "of": list(of),
            "approve": one.approve or policy.default.approve,
            "ends": now + one.seconds * 1000 if one.seconds else 0,
            "policy": policy.digest,
        }
        made.append(Draft("response.begun", fields, once=f"response.begun:{finding}:{one.name}:{times}"))
    return made


def _of(one: Response, about: Sequence[Pair]) -> Pair | None:
    return next((named for kind in _ORDER[one.of] for named in about if named[0] == kind), None)


# --- while actions are decided ---------------------------------------------------------------------------------


def applying(core: Core, rows: Rows, action: Action) -> tuple[InForce, ...]:
    """The responses that are on for *action* at this moment of the log, in the order in which they began."""
    if rows.row("response-of", "any") is None:
        return ()
    who = action.attribution
    return _on(core, rows, _pairs(core, rows, (action.session, *who.parents), who.agent.name, who.definition))


def answer(core: Core, decision: Decision, on: Sequence[InForce]) -> Decision:
    """*decision* as it is under the responses *on*."""
    return decision if not on else respond(decision, on, core.policy.default)


def acted(decision: Decision, on: Sequence[InForce]) -> list[str]:
    """Ids of those of *on* that made *decision* stricter: what was refused in any case is no response's doing."""
    return [one.id for one in on if one.words in decision.reasons]


def asked(asks: str, on: Sequence[InForce]) -> str:
    """*asks*, and the responses that are on: what people let run again without them does not cover it."""
    return canonical.digest({"asks": asks, "responses": [one.id for one in on]}) if on else asks


def suspended(on: Iterable[InForce]) -> bool:
    """Whether nothing that people let be before counts any more."""
    return any(one.do == "suspend" for one in on)


def beyond(rows: Rows, on: Sequence[InForce], within: str) -> tuple[InForce, ...]:
    """Those of *on* that a part of *within* is still subject to: that was itself let go under the others."""
    row = rows.row("action", within) or {"entry": -1}
    return tuple(one for one in on if one.do == "stop" or one.entry > row["entry"])


def since(core: Core, rows: Rows, action: str, entry: int) -> str:
    """Why what was let be by entry *entry* may not go on to run: a response has begun since. Empty when it may."""
    if rows.row("response-of", "any") is None:
        return ""
    row = rows.row("action", action)
    recorded = core.ledger.entry(row["entry"]) if row else None
    if row is None or recorded is None:
        return ""
    fields = recorded.fields
    agent, parents = core.full(fields["agent"])["name"], core.full(fields.get("parents", []))
    on = _on(core, rows, _pairs(core, rows, (row["session"], *parents), agent, fields.get("definition")))
    late = [one for one in on if one.entry > entry]
    return late[0].words if late else ""


def outdated(rows: Rows, request: Row | None, on: Sequence[InForce]) -> bool:
    """Whether *request* was asked before one of *on* began: it asks too little."""
    return request is not None and any(one.entry > request["entry"] for one in on)


def marks(core: Core, session: str, policy: Policy) -> bool:
    """Whether a response, or a finding that *policy* asks for, is about *session*: then no remembered answer stands."""
    rows = core.ledger
    asks = policy.mentions("findings")
    if asks and rows.row("finding-about", about_key(("any", "definition"))) is not None:
        return True
    pairs = list(_pairs(core, rows, (session,), "", None))
    if asks and any(rows.row("finding-about", about_key(pair)) is not None for pair in pairs):
        return True
    known = rows.row("response-of", "any")
    kinds = {
        (rows.row("response", one) or {"of": [""]})["of"][0]
        for one in (known or {"responses": ()})["responses"]
    }
    # What an action says of its definition is not in the session's row, so any response about one counts for all.
    return "definition" in kinds or bool(kinds and _on(core, rows, pairs))


def _on(core: Core, rows: Rows, pairs: Iterable[Pair]) -> tuple[InForce, ...]:
    now = _now(core)
    found: dict[str, Row] = {}
    for named in pairs:
        for one in (rows.row("response-of", about_key(named)) or {"responses": ()})["responses"]:
            row = rows.row("response", one)
            if row is not None and row["state"] == "on" and (not row["ends"] or now < row["ends"]):
                found[one] = row
    return tuple(_in_force(row) for row in sorted(found.values(), key=lambda row: int(row["entry"])))


def _pairs(
    core: Core, rows: Rows, sessions: Sequence[str], agent: str, definition: str | None
) -> tuple[Pair, ...]:
    """Everything that acts here: the agent, its definition, its session, and those of all sessions above. Raises `ChainTooLong`."""
    pairs: dict[Pair, None] = {pair("agent", agent): None} if agent else {}
    if definition:
        pairs[pair("definition", definition)] = None
    queue = list(dict.fromkeys(sessions))
    for one in queue:
        if len(queue) > MOST_SESSIONS:
            raise ChainTooLong(f"More than {MOST_SESSIONS} sessions stand behind this action.")
        pairs[pair("session", one)] = None
        row = rows.row("session", one)
        if row is not None:
            pairs[pair("agent", (core.full(row["agent"]) or {}).get("name", ""))] = None
            if row.get("definition"):
                pairs[pair("definition", row["definition"])] = None
            queue.extend(parent for parent in core.full(row.get("parents", [])) if parent not in queue)
    return tuple(pairs)


def about_action(core: Core, rows: Rows, action: Action) -> tuple[Pair, ...]:
    """What findings may be about that are about *action*: its agent, definition and session, and those above."""
    who = action.attribution
    return _pairs(core, rows, (action.session, *who.parents), who.agent.name, who.definition)


def _in_force(row: Row) -> InForce:
    return msgspec.convert({k: row[k] for k in InForce.__struct_fields__}, InForce)


def _now(core: Core) -> int:
    return max(core.now(), core.ledger.time)


# --- what people do ------------------------------------------------------------------------------------------------


async def ask_lift(core: Core, response: str, by: Person, why: str) -> RequestView:
    """Ask those whom policy named to end it. Anybody may ask; who has a part in the finding can't approve. Raises `UnknownResponse`, …"""
    row = required(core, response)
    if row["state"] != "on":
        raise ResponseOver(f"The response {response} is over.")
    why = core.redaction.text(why.strip()[:MOST_WHY])
    if not why:
        raise LiftUnexplained("To lift a response needs a reason.")
    finding = core.ledger.row("finding", row["finding"]) or {}
    part = finding_people.involved(core, finding) if finding else finding_people.NOBODY
    content = {
        "text": _text(core, row, finding, why),
        "response": response,
        "finding": row["finding"],
        "why": why,
    }
    from keyturn.service.changes import (
        open_change,
    )  # a request may be a finding's, so it knows this module, too

    return await open_change(
        core,
        subject="response",
        content=content,
        sentence=f"Lifts {row['do']} of {row['of'][0]} {row['of'][1]}.",
        why=f"It began with the finding {row['finding']}; policy says who may end it.",
        by=by,
        approve=row["approve"],
        authors=sorted(
            {*part.people, *(owner for uid in part.uids for owner in core.roster.humans_of_uid(uid))}
        ),
        reason_required=True,
    )


def _text(core: Core, row: Row, finding: Row, why: str) -> str:
    """What those read who are asked: the response, its finding, and what else is open about the same."""
    known = core.ledger.row("finding-about", about_key(row["of"])) or {"kinds": {}}
    others = ", ".join(f"{count} x {kind}" for kind, count in sorted(known["kinds"].items())) or "nothing"
    lines = [
        f"response   {row['name']} ({row['do']})",
        f"about      {row['of'][0]} {row['of'][1]}",
        f"finding    {row['finding']} ({row['kind']}), now {finding.get('state', 'unknown')}",
        f"seen       {core.full(finding.get('words', ''))}",
        f"still open about it: {others}",
        "",
        f"- {row['do']} ends with the last approval",
        "",
        f"because    {why}",
    ]
    return "\n".join(lines) + "\n"


def effect(core: Core, rows: Rows, row: Row) -> Sequence[Draft]:
    """What the last approval records. Raises `ResponseOver`."""
    content = core.full(row["content"])
    response = rows.row("response", content["response"])
    if response is None or response["state"] != "on":
        raise ResponseOver("The response that this would lift is over.")
    by = {"by": row["initiator"], "why": content["why"], "request": row["id"]}
    return [_lifted(response["id"], by)]


def _lifted(response: str, fields: Row) -> Draft:
    return Draft("response.lifted", {"response": response, **fields}, once=f"response.lifted:{response}")


def ended(core: Core, now: int) -> list[Any]:
    """Plans that record the end of those whose time is over."""
    late = core.ledger.rows("response-ending", newest_first=False, limit=100)
    return [partial(_end, one["response"]) for one in late if one["ends"] <= now]


def _end(response: str, rows: Rows) -> Sequence[Draft]:
    row = rows.row("response", response)
    if row is None or row["state"] != "on":
        return []
    return [_lifted(response, {"by": "", "why": "Its time was over.", "request": None})]


def required(core: Core, response: str) -> Row:
    """Its row. Raises `UnknownResponse`."""
    row = core.ledger.row("response", response)
    if row is None:
        raise UnknownResponse(f"There is no response {response[:80]!r}.")
    return row


def views(core: Core, only: str, limit: int) -> list[ResponseView]:
    """Newest first: those that are on, or with *only* `all` every one."""
    state = None if only == "all" else "on"
    return [view(core, row) for row in core.ledger.rows("response", state=state, limit=limit)]


def of_finding(core: Core, finding: Row) -> tuple[ResponseView, ...]:
    """Those that began with it."""
    rows = (core.ledger.row("response", one) for one in finding.get("responses", ()))
    return tuple(view(core, row) for row in rows if row is not None)


def view(core: Core, row: Row) -> ResponseView:
    """One as it is shown."""
    return msgspec.convert(
        {
            "lifted": row.get("lifted"),
            "lifted_by": row.get("lifted_by", ""),
            "lifted_why": core.full(row.get("lifted_why", "")),
            "request": row.get("request"),
            "lifted_entry": row.get("lifted_entry"),
            **{k: row.get(k, 0) for k in ("held", "refused", "stopped")},
            **{
                k: row[k]
                for k in (
                    "id",
                    "name",
                    "do",
                    "state",
                    "finding",
                    "kind",
                    "of",
                    "approve",
                    "begun",
                    "ends",
                    "entry",
                )
            },
        },
        ResponseView,
    )
