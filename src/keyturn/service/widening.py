"""Scope that grows: the powers an agent uses over its sessions, against its original ones (`keyturn.drift.powers`).

What a session used is measured with it (`session.measured`), so the row is the log's alone. Each finding is looked at against the
approved changes: one that declared every power that came, and only under whose version they were used, explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from keyturn.drift import behaviour, powers
from keyturn.drift.definition_may import abilities
from keyturn.drift.finding import Explanation
from keyturn.ledger.entries import Entry
from keyturn.service import behaviour_explaining as explaining
from keyturn.service.core import Core, NoPolicy
from keyturn.service.definition_rows import key
from keyturn.service.definition_state import of_row, texts_of
from keyturn.service.following import Follower, Noted
from keyturn.service.power_rows import ROW

LOOKED_BACK = 4_000
"""Sessions that are looked through for the version under which powers were used."""
Row = dict[str, Any]


def permitted(core: Core, agent: str, digest: str) -> frozenset[str]:
    """Powers that the definition gives; nothing where it was never told."""
    row = core.ledger.row("definition", key(agent, digest)) if digest else None
    if row is None:
        return frozenset()
    definition, texts = of_row(core, row), texts_of(core, row)
    return frozenset(powers.of_abilities(abilities(definition, lambda part: texts.get(part.digest))))


def used(
    core: Core, session: str, effects: Iterable[str], targets: Iterable[str], given: Iterable[str]
) -> list[str]:
    """What is recorded of a session's powers; *given* are those of its definition."""
    opener = core.full((core.ledger.row("session", session) or {}).get("opener")) or {}
    credential = core.ledger.row("credential", opener.get("credential") or "")
    found = powers.of_effects(effects) | powers.of_targets(targets) | set(given)
    if credential is not None:
        found |= powers.of_credential(
            credential.get("scopes", ()), credential["issued"], credential["expires"]
        )
    return powers.kept(found)


class Widening(Follower):
    """Says when an agent's powers have grown."""

    name = "widening"
    reads = frozenset(("session.measured",))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """A session was measured."""
        if entry.type != "session.measured":
            return ()
        agent, alarm = entry.fields["agent"], self._alarm()
        now = powers.of_row(self.core.ledger.row(ROW, agent))
        if not powers.grown(now, alarm):
            return ()
        explained = self._explained(agent, now)
        return [powers.drift(agent, now, alarm, entry.fields["definition"], explained)]

    def _alarm(self) -> int:
        try:
            return self.core.policy.drift.ratchet.powers
        except NoPolicy:
            return 0

    def _explained(self, agent: str, now: powers.Powers) -> Explanation:
        rows = self.core.ledger.rows("measured", state=agent, limit=LOOKED_BACK)[::-1]
        came = set(powers.names(now.steps))
        shown = [bool(came & set(row.get("powers", ()))) for row in rows]
        return explaining.of_behaviour(
            self.core, agent, [behaviour.seen(row) for row in rows], shown, sorted(came), 0.0
        )


__all__ = ["Widening", "used"]
