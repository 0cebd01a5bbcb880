"""An agent's instructions against the ones that people approved at first, however many versions lie between (taxonomy B2, B3).

Each version may have been approved beside the one before. Here the newest is measured against the original (`originals`), and the finding
stays one finding while its versions go on. Whoever approves a definition anew was shown the whole way: then that is the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyturn.drift import ratchet
from keyturn.drift.finding import Since
from keyturn.ledger.entries import Entry
from keyturn.service import originals
from keyturn.service.definition_rows import key
from keyturn.service.following import Follower, Noted
from keyturn.service.lexicons import lexicon_of

Row = dict[str, Any]


class Eroding(Follower):
    """Says when versions of instructions add up."""

    name = "instructions"
    reads = frozenset(
        (
            "definition.seen",
            "definition.approved",
        )
    )
    apart = True

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """A definition was seen or approved."""
        if entry.type not in ("definition.seen", "definition.approved"):
            return ()
        agent, digest = entry.fields["agent"], entry.fields["digest"]
        row = self._row(agent, digest)
        return self._found(agent, row, entry) if row is not None else ()

    def _row(self, agent: str, digest: str) -> Row | None:
        return self.core.ledger.row("definition", key(agent, digest))

    def _found(self, agent: str, row: Row, entry: Entry) -> Sequence[Noted]:
        place = str(entry.fields.get("place") or row["place"])
        way = originals.way(self.core.ledger, row, place)
        told = originals.versions(self.core, way) if way is not None else None
        if way is None or told is None:
            return ()
        found = ratchet.instruction_drift(
            agent,
            ratchet.erosion(told[0], told[1:], lexicon_of(self.core)),
            row["digest"],
            way.original["digest"],
            [one["entry"] for one in way.rows],
            Since(way.since, row["first"]),
        )
        return [found] if found is not None else ()


__all__ = ["Eroding"]
