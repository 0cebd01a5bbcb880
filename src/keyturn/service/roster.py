"""The roster as of now, out of the projection: kept in memory, and never older than the log.

Every entry about a person, a delegation or who is on call moves the row `roster` on, with the last of those that changed. So one look
at a row tells whether what is in memory is still right, and inside a plan the few rows that are newer are read from the plan's
own state: a decision sequenced behind a removal sees the removal, even within one commit.
"""

from __future__ import annotations

from typing import Any, Protocol

from keyturn.errors import KeyturnError
from keyturn.identity import Delegation, OnCall, Person, Roster
from keyturn.ledger import Ledger
from keyturn.ledger.entries import Rows

CHANGES = 64
"""How many of the newest changes the row names."""
PAGE = 1000

Row = dict[str, Any]


class RosterMoved(KeyturnError):
    """More people changed in one moment than can be followed inside of it."""

    code = "roster.moved"
    status = 503
    next_step = "Try again."


class Rosters:
    """What the ledger's rows say about people and delegations."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: tuple[int, Roster] | None = None
        self._now: tuple[int, int, Roster, Roster] | None = None

    def forget(self) -> None:
        """Read everything again at the next look."""
        self._known = None

    def all(self) -> Roster:
        """Everybody, with all delegations that have not been ended, begun or not."""
        return self._current()[1]

    def at(self, now_ms: int) -> Roster:
        """Everybody, with the delegations that carry at *now_ms*."""
        whole = self.all()
        if not whole.delegations and not whole.oncall:
            return whole
        if self._now is not None:
            start, end, of, roster = self._now
            if of is whole and start <= now_ms < end:
                return roster
        moments = {0, 2**63, *(t for d in whole.delegations for t in (d.since_ms, d.until_ms))}
        moments |= {one.until_ms for one in whole.oncall}
        roster = whole.at(now_ms)
        self._now = (
            max(t for t in moments if t <= now_ms),
            min(t for t in moments if t > now_ms),
            whole,
            roster,
        )
        return roster

    def within(self, rows: Rows) -> Roster:
        """As `all`, at the very moment of the log that a plan sees. Raises `RosterMoved`."""
        version, known = self._current()
        row = rows.row("roster", "roster") or {"entry": -1, "changed": []}
        if row["entry"] == version:
            return known
        changed = [one for one in row["changed"] if one[0] > version]
        if len(changed) == len(row["changed"]) == CHANGES:
            raise RosterMoved("Many people are being changed at this moment.")
        people = dict(known.people)
        delegations = {d.id: d for d in known.delegations}
        oncall = {one.group: one for one in known.oncall}
        for _, kind, key in changed:
            body = rows.row(kind, key)
            if kind == "person" and body is not None:
                people[key] = person_of(body)
            elif kind == "delegation":
                delegations.pop(key, None)
                if body is not None and not body.get("ended"):
                    delegations[key] = delegation_of(body)
            elif kind == "oncall":
                oncall.pop(key, None)
                if body is not None:
                    oncall[key] = oncall_of(body)
        in_order = tuple(oncall[group] for group in sorted(oncall))
        return Roster(people, tuple(delegations[key] for key in sorted(delegations)), in_order)

    def _current(self) -> tuple[int, Roster]:
        version = (self._ledger.row("roster", "roster") or {"entry": -1})["entry"]
        known = self._known
        if known is None or known[0] != version:
            # The row is read before the people: what lands in between is read again at the next look.
            known = self._known = (version, self._read())
        return known

    def _read(self) -> Roster:
        return roster_in(self._ledger)


class Lists(Protocol):
    """What lists rows: the ledger, or its store when no server runs."""

    def rows(self, kind: str, *, state: str | None, newest_first: bool, limit: int) -> list[Row]:
        """Bodies of rows of *kind*."""
        ...


def roster_in(rows: Lists) -> Roster:
    """Everybody, all delegations that have not been ended, and who is on call."""
    people = rows.rows("person", state=None, newest_first=False, limit=100_000)
    delegations = rows.rows("delegation", state="open", newest_first=False, limit=100_000)
    oncall = rows.rows("oncall", state=None, newest_first=False, limit=1000)
    return Roster(
        {row["id"]: person_of(row) for row in people},
        tuple(sorted(map(delegation_of, delegations), key=lambda d: d.id)),
        tuple(sorted(map(oncall_of, oncall), key=lambda one: one.group)),
    )


def person_of(row: Row) -> Person:
    """A person out of its projection row."""
    return Person(
        id=row["id"],
        name=row.get("name", ""),
        groups=tuple(row.get("groups", ())),
        roles=tuple(row.get("roles", ())),
        os_uids=tuple(row.get("os_uids", ())),
        accounts=tuple(row.get("accounts", ())),
        former=tuple(row.get("former", ())),
        removed=bool(row.get("removed", False)),
        away_until=row.get("away_until", 0),
        shared=bool(row.get("shared", False)),
    )


def oncall_of(row: Row) -> OnCall:
    """Who is on call, out of the group's projection row."""
    return OnCall(row["group"], tuple(row["people"]), row["until"])


def delegation_of(row: Row) -> Delegation:
    """A delegation out of its projection row."""
    return Delegation(row["id"], row["person"], row["to"], tuple(row["groups"]), row["since"], row["until"])
