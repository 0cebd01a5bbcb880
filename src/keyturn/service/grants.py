"""Grants: opened with the last approval, looked up when policy holds, used up, listed, revoked. The rules are `approvals.grants`'.

Every use and every end is an entry. An action finds its grants under a key made of its own digest, so it costs the same
whether one grant is open or ten thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from keyturn import canonical
from keyturn.actions import Action
from keyturn.approvals import grants as rules
from keyturn.approvals.errors import InvalidGrant
from keyturn.approvals.request import RequestState
from keyturn.identity import Person, Roster
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.decision import Obligations
from keyturn.service import words
from keyturn.service.core import Core
from keyturn.service.errors import GrantEnded, GrantUnexplained, UnknownGrant, UnknownSession
from keyturn.service.granted import grant_key
from keyturn.service.model import GrantView, Revoked
from keyturn.service.parties import parties_of

Row = dict[str, Any]

MAX_WHY = 2_000
"""Characters of a revocation's reason that are recorded."""


# --- while people decide ---------------------------------------------------------------------------------------


def most_seconds(core: Core, row: Row, obligations: Obligations) -> int:
    """For how long at most this request may be granted; 0 for once only."""
    if row["subject"] != "action":
        return 0
    tier = (core.full(row.get("risk")) or {}).get("tier", "")
    return rules.limit(obligations.grant, tier)


def wished(core: Core, row: Row, obligations: Obligations, text: str) -> rules.Wish:
    """How far a person lets the request go, as they said. Raises `InvalidGrant`, `GrantTooLong`."""
    wish = rules.parse_wish(text)
    if not wish.once and row["subject"] != "action":
        raise InvalidGrant("Only an action can be granted for a time; a change is approved or not.")
    rules.check_wish(wish, most_seconds(core, row, obligations))
    return wish


def opened(
    core: Core, row: Row, state: RequestState, wish: rules.Wish, obligations: Obligations
) -> tuple[Draft, ...]:
    """What opens the grant that all approvers of *state* let it be; nothing where anybody approved once."""
    given = [rules.parse_wish(a.get("grant", "")) for a in row["approvals"] if a["choice"] == "approve"]
    meant = rules.narrowest([*given, wish])
    if meant.once or state.ended_ms is None:
        return ()
    ends = state.ended_ms + min(meant.seconds, most_seconds(core, row, obligations)) * 1000
    here = meant.session or not state.initiator_known
    fields = {
        "id": core.id("g"),
        "request": row["id"],
        "action": row["action"],
        "digest": row["digest"],
        "policy": row["policy"],
        "kind": row["kind"],
        "sentence": row["sentence"],
        "agent": row["agent"],
        "gate": row["gate"]["name"],
        "session": (row.get("session") or "") if here else "",
        "initiator": state.initiator,
        "initiator_uid": state.initiator_uid,
        "owner": state.owner,
        "requires": str(state.requirement),
        "asks": row.get("asks") or asked(obligations),
        "approvers": [a.person for a in state.approvals if a.choice == "approve"],
        "chains": [list(a.chain) for a in state.approvals if a.choice == "approve"],
        "escalated": [[e.to, e.order] for e in state.escalated],
        "ends": ends,
        "uses": meant.uses,
    }
    return (Draft("grant.opened", fields, once=f"grant.opened:{row['id']}"),)


def asked(obligations: Obligations) -> str:
    """A digest of everything that policy asks of people."""
    return canonical.digest(to_builtins(obligations))


# --- while actions are decided ---------------------------------------------------------------------------------


def covering(core: Core, rows: Rows, action: Action, digest: str, policy: str, asks: str) -> Row | None:
    """The open grant that covers *action*, which policy holds and for which it `asked` *asks*; None when there is none."""
    agent, gate = action.attribution.agent, action.gate.name
    for session in (action.session, ""):
        known = rows.row("grant-key", grant_key(digest, gate, agent.name, session))
        for one in known["grants"] if known else ():
            row = rows.row("grant", one)
            if row is not None and not refusal(core, rows, row, action, digest, policy, asks):
                return row
    return None


def refusal(core: Core, rows: Rows, row: Row, action: Action, digest: str, policy: str, asks: str) -> str:
    """Why the grant in *row* does not cover *action* now; empty when it does."""
    use = use_of(core, action, digest, policy, asks)
    if key_revoked(rows, row):
        return "a key that signed one of its approvals was revoked"
    return rules.refusal(grant_of(row), use, roster(core, rows), core.now())


def use_of(core: Core, action: Action, digest: str, policy: str, asks: str) -> rules.Use:
    """*action* as the rules about grants and plans take it."""
    who = action.attribution
    behind = parties_of(core, action.session, who)
    return rules.Use(
        digest=digest,
        policy=policy,
        agent=who.agent.name,
        gate=action.gate.name,
        session=action.session,
        initiator=who.human.person if who.human else None,
        initiator_uid=who.human.os_uid if who.human else None,
        owner=who.agent.owner,
        asks=asks,
        parties=tuple(behind["parties"]),
        party_uids=tuple(behind["party_uids"]),
    )


def key_revoked(rows: Rows, row: Row) -> bool:
    """Whether a key no longer counts with which people let it be: whoever has a stolen one has its grants, too."""
    given = (rows.row("request", row["request"]) or {}).get("approvals", ())
    keys = (rows.row("key", one["key"]) for one in given if one.get("key"))
    return any(key is not None and key["revoked"] is not None for key in keys)


def still(core: Core, rows: Rows, known: Row, action: Action, digest: str, policy: str, asks: str) -> bool:
    """Whether the grant in *known* still covers *action* at this moment of the log."""
    row = rows.row("grant", known["id"])
    return row is not None and not refusal(core, rows, row, action, digest, policy, asks)


def roster(core: Core, rows: Rows) -> Roster:
    """The roster at this very moment of the log, with whoever is on call now."""
    return core.rosters.within(rows).at(core.now())


def grant_of(row: Row) -> rules.Grant:
    """A grant out of its row."""
    return rules.Grant(
        id=row["id"],
        digest=row["digest"],
        policy=row["policy"],
        agent=row["agent"],
        gate=row["gate"],
        session=row["session"],
        initiator=row["initiator"],
        initiator_uid=row["initiator_uid"],
        owner=row["owner"],
        requires=row["requires"],
        asks=row["asks"],
        approvers=tuple(row["approvers"]),
        opened_ms=row["opened"],
        ends_ms=row["ends"],
        uses=row["uses"],
        used=row["used"],
        revoked=bool(row.get("revoked")),
        chains=tuple(map(tuple, row.get("chains", ()))),
        escalated=tuple((to, order) for to, order in row.get("escalated", ())),
    )


def used(grant: str, action: str, session: str | None) -> Draft:
    """One use of *grant*."""
    return Draft(
        "grant.used", {"grant": grant, "action": action}, session=session, once=f"grant.used:{action}"
    )


def is_revoked(rows: Rows, grant: str | None) -> bool:
    """Whether what runs under *grant* has to end."""
    return bool(((rows.row("grant", grant) if grant else None) or {}).get("revoked"))


def over(core: Core, rows: Rows, grant: str | None, *, counted: bool) -> str:
    """Why what was let go under *grant* may not go on to run; empty when it may. *counted*: this use was counted already."""
    row = rows.row("grant", grant) if grant else None
    if row is None:
        return ""
    found = grant_of(row)
    if found.revoked:
        return f"{row['revoked_by']} revoked the grant {row['id']}: {row['revoked_why']}"
    if counted and core.now() < found.ends_ms:
        return ""
    why = rules.ended(found, core.now())
    return f"The grant {row['id']} has ended: {why}." if why else ""


# --- what people do --------------------------------------------------------------------------------------------


async def revoke(core: Core, grant: str, person: Person, why: str) -> GrantView:
    """End it now, and what runs under it. Any person may: stopping is never harder than letting go. The first one stands.

    Raises `UnknownGrant`, `GrantUnexplained`, `GrantEnded`.
    """
    why = why.strip()[:MAX_WHY]
    if not why:
        raise GrantUnexplained("A revocation needs a reason.")

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("grant", grant)
        if row is None:
            raise UnknownGrant(f"There is no grant {grant[:80]!r}.")
        if row.get("revoked"):
            raise GrantEnded(f"{row['revoked_by']} revoked it already: {row['revoked_why']}")
        # Its time may be over while what was started under it still runs: that can be ended as well.
        return [
            Draft(
                "grant.revoked", {"grant": grant, "by": person.id, "why": why}, once=f"grant.revoked:{grant}"
            )
        ]

    await core.ledger.append(plan)
    return view(core, grant)


async def revoked(core: Core, session: str, known: int, timeout: float) -> tuple[Revoked, ...]:
    """The grants used in *session*, and its plans, that were revoked, once they are more than *known*, or after *timeout* seconds.

    Raises `UnknownSession`.
    """
    try:
        async with asyncio.timeout(timeout):
            # Nothing is awaited between the look and the waiting, so a revocation can't slip through.
            while len(found := _revoked_in(core, session)) <= known:
                await core.waiters.setdefault(revoked_key(session), asyncio.Event()).wait()
    except TimeoutError:
        pass
    return found


def _revoked_in(core: Core, session: str) -> tuple[Revoked, ...]:
    row = core.ledger.row("session", session)
    if row is None:
        raise UnknownSession(f"There is no session {session}.")
    return tuple(Revoked(one, _why_revoked(core, one)) for one in row.get("revoked", ()))


def _why_revoked(core: Core, one: str) -> str:
    plan = core.ledger.row("plan", one)
    if plan is not None:
        return f"{plan['stopped_by']} revoked the plan {one}: {plan['stopped_why']}"
    return over(core, core.ledger, one, counted=True)


def revoked_key(session: str) -> str:
    """Under which those wait who want to hear of revocations in *session*."""
    return f"revoked\x1f{session}"


def view(core: Core, grant: str) -> GrantView:
    """The grant as shown. Raises `UnknownGrant`."""
    row = core.ledger.row("grant", grant)
    if row is None:
        raise UnknownGrant(f"There is no grant {grant[:80]!r}.")
    return _view(core, row)


def views(core: Core, only: str, limit: int) -> list[GrantView]:
    """Grants, newest first: the open ones, or with *only* `all` every one."""
    rows = core.ledger.rows("grant", state="open" if only == "open" else None, limit=limit)
    found = [_view(core, row) for row in rows]
    return [one for one in found if only != "open" or one.state == "open"]


def _view(core: Core, row: Row) -> GrantView:
    return GrantView(
        id=row["id"],
        state=_state(core, row),
        request=row["request"],
        digest=row["digest"],
        kind=row["kind"],
        sentence=row["sentence"],
        agent=row["agent"],
        gate=row["gate"],
        session=row["session"],
        human=row["initiator"],
        approvers=tuple(row["approvers"]),
        opened=row["opened"],
        ends=row["ends"],
        uses=row["uses"],
        used=row["used"],
        last=row["last"],
        entry=row["entry"],
        revoked=row.get("revoked"),
        revoked_by=row.get("revoked_by", ""),
        revoked_why=core.full(row.get("revoked_why", "")),
    )


def _state(core: Core, row: Row) -> Any:
    if row.get("revoked"):
        return "revoked"
    why = rules.ended(grant_of(row), core.now())
    if why:
        return "used up" if core.now() < row["ends"] else "ended"
    session = core.ledger.row("session", row["session"]) if row["session"] else None
    if session is not None and (session.get("closed") or session.get("stopped")):
        return "ended"
    active = core.ledger.row("policy-active", "active") or {}
    return "open" if active.get("digest") == row["policy"] else "superseded"


def because(row: Row) -> str:
    """Why an action that policy holds runs, in words for people and agents."""
    return (
        f"Grant {row['id']} covers it: {', '.join(row['approvers'])} approved exactly this action until "
        f"{words.clock(row['ends'])}."
    )
