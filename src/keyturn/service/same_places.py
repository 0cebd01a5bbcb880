"""Who asked and who approved from one place: looked at when somebody approves (`keyturn.drift.same_place`). It stops nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from keyturn.drift import same_place
from keyturn.drift.same_place import Party, Places
from keyturn.ledger.entries import Entry
from keyturn.service import calling
from keyturn.service.following import Follower, Noted
from keyturn.service.place_rows import ROW

Row = dict[str, Any]


class SamePlaces(Follower):
    """The follower."""

    name = "same places"
    reads = frozenset(("approval.given",))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """Somebody decided."""
        f = entry.fields
        if entry.type != "approval.given" or f["choice"] != "approve" or not f.get("from"):
            return ()
        row = self.core.ledger.row("request", f["request"])
        if row is None or self.core.ledger.row("drill", f["request"]) is not None:
            return ()
        here = same_place.seen({}, self._telling(f["person"], f["from"]), entry.time)
        approver = Party(f["person"], "approved", here, entry.index, entry.time)
        others = [*self._asked(row), *self._approved(row, entry)]
        return same_place.drifts(approver, others, row["id"])

    def _telling(self, person: str, where: Row) -> Row:
        """*where* without an account that says nothing: it is theirs, or nobody said which one is."""
        known = self.core.roster.people.get(person)
        own = {account(uid) for uid in known.os_uids} if known is not None else set()
        elsewhere = bool(own) and where.get("account") not in own
        return where if elsewhere else {kind: place for kind, place in where.items() if kind != "account"}

    def _asked(self, row: Row) -> Iterator[Party]:
        """Everybody who is behind the request, where they were seen and where their agent runs."""
        session = self.core.ledger.row("session", row.get("session") or "") or {}
        people = dict.fromkeys([row.get("initiator"), row.get("owner")])
        for person in people:
            if person:
                known = self.core.ledger.row(ROW, person) or {}
                places = _joined(known, self._of_session(session, row["opened"]))
                yield Party(person, "asked for", places, row.get("entry", -1), row["opened"])

    def _of_session(self, session: Row, time: int) -> Places:
        human = self.core.full(session.get("human")) or {}
        machine = (self.core.full(session.get("opener")) or {}).get("machine", "")
        if machine:
            return {"address": {calling.digest(self.core, "address", machine): time}}
        uid = human.get("os_uid")
        return {"account": {account(uid): time}} if uid is not None else {}

    def _approved(self, row: Row, entry: Entry) -> Iterator[Party]:
        """Who approved it before."""
        for given in row["approvals"]:
            one = self.core.ledger.entry(given["entry"]) if given["entry"] < entry.index else None
            if one is not None and given["choice"] == "approve" and one.fields.get("from"):
                here = same_place.seen({}, one.fields["from"], one.time)
                yield Party(given["person"], "approved as well", here, one.index, one.time)


def account(uid: int) -> str:
    """How an account of this machine's operating system is called."""
    return f"uid {uid}"


def _joined(one: Places, other: Places) -> Places:
    return {kind: {**one.get(kind, {}), **other.get(kind, {})} for kind in same_place.KINDS}


__all__ = ["SamePlaces", "account"]
