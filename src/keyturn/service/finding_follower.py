"""What only time brings to findings: an acceptance ends, a response's time is over, nobody looks. And what a stop stops.

A stopped agent's actions are refused from the response's own entry on (`service.responses`); here its open sessions are ended, too,
with the kill switch that people have.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from keyturn.drift.finding import Drift
from keyturn.ledger.entries import Draft, Entry, Rows
from keyturn.service import finding_moves, findings, responses, sessions
from keyturn.service.core import NoPolicy
from keyturn.service.finding_rows import pair
from keyturn.service.following import Follower, Noted

BATCH = 100
MOST_OPEN = 100_000
"""Open sessions that are looked at when an agent is stopped."""

Row = dict[str, Any]


class FindingFollower(Follower):
    """The clockwork of findings."""

    name = "findings"
    reads = frozenset(("response.begun",))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """A response that stops: its sessions."""
        if entry.type != "response.begun" or entry.fields["do"] != "stop":
            return ()
        row = self.core.ledger.row("response", entry.fields["id"])
        if row is None or row["state"] != "on":  # read again after a restart, and lifted meanwhile
            return ()
        why = f"The finding {row['finding']} ({row['kind']})."
        found = _sessions_of(
            self.core.ledger.rows("session", state="open", limit=MOST_OPEN), row, self.core.full
        )
        return [partial(_stop, row["id"], f"response {row['name']}", why, one) for one in found]

    def tick(self, now: int) -> Sequence[Noted]:
        """Acceptances and responses that have ended, and what nobody looked at."""
        late = self.core.ledger.rows("finding-accepted", newest_first=False, limit=BATCH)
        ended = [
            partial(finding_moves.lapse, self.core, one["finding"]) for one in late if one["until"] <= now
        ]
        return [*ended, *responses.ended(self.core, now), *self._unseen(now)]

    def _unseen(self, now: int) -> list[Drift]:
        try:
            limit = self.core.policy.drift.lag.unseen
        except NoPolicy:
            return []
        if not limit:
            return []
        waiting = self.core.ledger.rows("finding-unseen", state="waiting", newest_first=False, limit=BATCH)
        return [
            findings.unseen(self.core, one, limit) for one in waiting if one["opened"] + limit * 1000 <= now
        ]


def _stop(response: str, by: str, why: str, session: str, rows: Rows) -> Sequence[Draft]:
    row = rows.row("response", response)
    return [] if row is None or row["state"] != "on" else sessions.stopping(rows, session, by, why, response)


def _sessions_of(open_sessions: Sequence[Row], response: Row, full: Any) -> list[str]:
    """Ids of the sessions that *response* is about, and of all that these started."""
    kind, key = response["of"]

    def named(row: Row) -> bool:
        if kind == "agent":
            return pair(kind, (full(row["agent"]) or {}).get("name") or "")[1] == str(key)
        return pair(kind, row.get("definition") or "" if kind == "definition" else row["id"])[1] == str(key)

    found = {row["id"] for row in open_sessions if named(row)}
    while True:
        more = {
            row["id"]
            for row in open_sessions
            if row["id"] not in found and found & set(full(row.get("parents", [])))
        }
        if not more:
            return sorted(found)
        found |= more
