"""The fact `first`: what an action does that the agent's pinned baseline has never seen.

Rules kept here:

- Without a pinned baseline of the agent there is nothing to compare with, and `first` is empty.
- A baseline is of a definition: where the agent is another one now, it still says what people approved; the fact says what is new.
- The set of a baseline's effects is read once for each version of it.
"""

from __future__ import annotations

from typing import Any

from keyturn.actions import Action, Reading
from keyturn.ledger.entries import Rows
from keyturn.policy.decision import Facts
from keyturn.service.baselines import content_of
from keyturn.service.core import Core
from keyturn.service.parties import acting

KEPT = 256
"""Baselines whose effects are kept in mind."""


class Novelties:
    """The effects of baselines, by the baseline's id: what is pinned under one never changes."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}

    def of(self, core: Core, row: dict[str, Any]) -> frozenset[str]:
        """`verb:zone` of everything that the baseline in *row* has seen."""
        known = self._known.get(row["id"])
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            effects = content_of(core, row).effects
            known = self._known[row["id"]] = frozenset(effect.split("+")[0] for effect in effects)
        return known


_NOVELTIES = Novelties()


def gather(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The fact `first`."""
    found = first(core, action, reading)
    return {"first": found} if found else {}


def stand(core: Core, rows: Rows, action: Action, reading: Reading, facts: Facts) -> bool:
    """Whether no other baseline was pinned meanwhile. What is pinned is read only once it is committed."""
    agent = acting(core, action)
    now, committed = rows.row("baseline", agent), core.ledger.row("baseline", agent)
    same = (now or {}).get("id") == (committed or {}).get("id")
    return same and first(core, action, reading) == facts.first


def first(core: Core, action: Action, reading: Reading) -> tuple[str, ...]:
    """Effects (`verb:zone`) that are not in the agent's baseline."""
    row = core.ledger.row("baseline", acting(core, action))
    if row is None:
        return ()
    known = _NOVELTIES.of(core, row)
    return tuple(sorted({effect.key for effect in reading.effects} - known))


__all__ = ["Novelties", "first", "gather", "stand"]
