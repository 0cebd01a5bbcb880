"""Who else stands behind an action: the people up its chain of sessions. None of them may approve it (promise 6).

An agent that a human's agent started acts for that human, too, and for whoever owns the agent above; so does every session
further up. Nobody gets around the separation of duties by letting one agent start another. Source: NIST SP 800-53r5 AC-5;
RFC 8693 §4.1 describes such a chain of actors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keyturn.actions import Action, Attribution
from keyturn.service.core import Core
from keyturn.service.errors import ChainTooLong

MOST_SESSIONS = 64
"""Sessions that are followed upwards. An honest chain has two or three."""

Row = dict[str, Any]


def parties_of(core: Core, session: str, who: Attribution) -> dict[str, list[Any]]:
    """Everybody behind *session* and the parents that *who* names: `parties` (ids) and `party_uids`, as a request records them.

    Raises `ChainTooLong`.
    """
    people, uids = set[str](), set[int]()
    for row in _sessions(core, session, who.parents):
        human: Row = core.full(row.get("human")) or {}
        agent: Row = core.full(row["agent"]) or {}
        people |= {person for person in (human.get("person"), agent.get("owner")) if person}
        people |= set(core.full(row.get("chain", ())))  # behind the agent's token
        uids |= {human["os_uid"]} if human.get("os_uid") is not None else set()
    return {"parties": sorted(people), "party_uids": sorted(uids)}


def acting(core: Core, action: Action) -> str:
    """The agent for which the session of *action* was opened: what is known, counted and compared is its, whoever an action names."""
    row = core.ledger.row("session", action.session)
    return str(core.full(row["agent"])["name"]) if row is not None else action.attribution.agent.name


def _sessions(core: Core, session: str, parents: tuple[str, ...]) -> Iterator[Row]:
    """The rows of *session*, *parents* and all above them, each once."""
    queue = list(dict.fromkeys((session, *parents)))
    for one in queue:
        if len(queue) > MOST_SESSIONS:
            raise ChainTooLong(f"More than {MOST_SESSIONS} sessions stand behind this action.")
        row = core.ledger.row("session", one)
        if row is not None:
            yield row
            queue.extend(parent for parent in core.full(row.get("parents", [])) if parent not in queue)
