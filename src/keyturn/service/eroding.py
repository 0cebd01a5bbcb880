"""An agent's instructions against the ones that people approved at first, however many versions lie between (taxonomy B2, B3).

Each version may have been approved beside the one before. Here the newest is measured against the first that is approved for the agent
where it works, and the finding stays one finding while its versions go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyturn.drift import ratchet
from keyturn.drift.finding import Since
from keyturn.ledger.entries import Entry
from keyturn.service.definition_rows import key
from keyturn.service.definition_state import texts_of
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
        where = self.core.ledger.row("agent-place", key(agent, place)) or {"approved": []}
        approved = [one for digest in where["approved"] if (one := self._row(agent, digest)) is not None]
        if not approved or approved[0]["digest"] == row["digest"]:
            return ()
        original, between = approved[0], [one for one in approved[1:] if one["digest"] != row["digest"]]
        texts = texts_of(self.core, original, *between, row)
        versions = [self._instructions(one, texts) for one in (original, *between, row)]
        if any(version is None for version in versions):
            return ()  # of a text that was not kept nothing is said
        first, *later = [version for version in versions if version is not None]
        found = ratchet.instruction_drift(
            agent,
            ratchet.erosion(first, later, lexicon_of(self.core)),
            row["digest"],
            original["digest"],
            [one["entry"] for one in (original, *between, row)],
            Since(original["approved"][0]["time"], row["first"]) if original["approved"] else None,
        )
        return [found] if found is not None else ()

    def _instructions(self, row: Row, texts: Mapping[str, str]) -> dict[str, str] | None:
        """Name → text of the instruction files; None when one of them was not kept."""
        parts = [part for part in self.core.full(row["parts"]) if part["kind"] == "instructions"]
        if any(part["digest"] not in texts for part in parts):
            return None
        return {part["name"]: texts[part["digest"]] for part in parts}


__all__ = ["Eroding"]
