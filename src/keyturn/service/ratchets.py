"""The ratchet at decision time and in the log: what an agent changes, against what it changed at first (`drift.ratchet`).

Rules kept here:

- Ladders are rows, folded from the entries that let actions go: exact after a restart, one row an agent and person (promise 7).
- The step that would go too far is a fact (`broken` names `ratchet`) and is looked at again in the writer's own turn.
- An action that is a step is decided anew each time; what is none costs one look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from keyturn.actions import Action, Reading
from keyturn.drift import ratchet
from keyturn.drift.ratchet import Ladder
from keyturn.drift.surface import Reach, reach
from keyturn.ledger.entries import Entry, Rows
from keyturn.policy.decision import Facts
from keyturn.service.core import Core, NoPolicy
from keyturn.service.finding_rows import pair
from keyturn.service.following import Follower, Noted
from keyturn.service.parties import acting
from keyturn.service.ratchet_rows import ROW, reach_in

Body = dict[str, Any]
MOST_PATH = 300
"""Characters of a path that are recorded: the field has to stay in its entry, from which its row is made."""


def key_of(core: Core, action: Action) -> str:
    """Whose ladder it is: an agent of one person."""
    human = action.attribution.human
    return f"{pair('agent', acting(core, action))[1]}\x1f{human.person if human else ''}"


def gather(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The fact `broken`, and what to say of it."""
    found = _blocked(core, core.ledger, action, reading)
    if found is None:
        return {}
    told = ((f"broken:{ratchet.NAME}", ratchet.words(*found)),)
    return {"broken": (ratchet.NAME,), "told": told}


def stand(core: Core, rows: Rows, action: Action, reading: Reading, facts: Facts) -> bool:
    """Whether the same would be said now."""
    return (_blocked(core, rows, action, reading) is not None) == (ratchet.NAME in facts.broken)


def _blocked(core: Core, rows: Rows, action: Action, reading: Reading) -> tuple[Ladder, Reach] | None:
    rules = core.policy.drift.ratchet
    to = reach(reading, rules.known) if rules.on else None
    if to is None or to.rank <= ratchet.LEAST_ORIGINAL:
        return None
    ladder = ratchet.of_row(rows.row(ROW, key_of(core, action)))
    if ladder is None or ratchet.judged(ladder, to, rules.alarm, rules.block) != "block":
        return None
    return ladder, to


def recorded(core: Core, action: Action, reading: Reading, facts: Facts) -> Body:
    """The field `reach` of `action.decided`: the farthest that it changes, where that is a step or the first of all."""
    rules = core.policy.drift.ratchet
    to = reach(reading, rules.known) if rules.on else None
    if to is None:
        return {}
    ladder = ratchet.of_row(core.ledger.row(ROW, key_of(core, action)))
    if ladder is not None and to.rank <= ladder.top:
        return {}
    return {"reach": {"key": key_of(core, action), **to_builtins(replace(to, path=to.path[:MOST_PATH]))}}


def watched(core: Core, action: Action, reading: Reading) -> bool:
    """Whether it may be a step another time."""
    rules = core.policy.drift.ratchet
    to = reach(reading, rules.known) if rules.on else None
    return to is not None and to.rank > ratchet.LEAST_ORIGINAL


class Ratcheting(Follower):
    """Says when the steps of an agent have led too far."""

    name = "ratchet"
    reads = frozenset(("action.decided", "permit.issued"))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """An action was let go, at once or by people."""
        if entry.type == "action.decided" and entry.fields["verdict"] == "run":
            found = reach_in(entry)
        elif entry.type == "permit.issued":
            found = (self.core.ledger.row("action", entry.fields["action"]) or {}).get("reach")
        else:
            return ()
        return () if found is None else self._found(found["key"], entry)

    def _found(self, key: str, entry: Entry) -> Sequence[Noted]:
        try:
            rules = self.core.policy.drift.ratchet
        except NoPolicy:
            return ()
        ladder = ratchet.of_row(self.core.ledger.row(ROW, key))
        if (
            not rules.alarm
            or ladder is None
            or len(ladder.steps) < ratchet.STEPS
            or ladder.distance < rules.alarm
        ):
            return ()
        agent, _, person = key.partition("\x1f")
        return [ratchet.drift(agent, person, ladder, entry.session)]
