"""The risk of an action at the moment it is held: its reading, and what the ledger says about this agent's past."""

from __future__ import annotations

from typing import Any

import msgspec

from keyturn import canonical
from keyturn.actions import Action, Reading
from keyturn.ledger.entries import Put, Rows
from keyturn.policy import Policy
from keyturn.policy.risk import Novelty, Risk, assess
from keyturn.policy.shape import shape
from keyturn.resources import Surroundings, host_labels
from keyturn.service.core import Core

Row = dict[str, Any]


def assessed(core: Core, action: Action, reading: Reading, policy: Policy) -> tuple[Risk, str]:
    """(risk, shape) of *action* as it would be held now."""
    kind = shape(action.kind, reading)
    row = core.ledger.row("habit", habit_key(action.attribution.agent.name, kind)) or {}
    labels = host_labels(action.target, Surroundings(labels=policy.labels))
    novelty = Novelty(row.get("seen", 0), row.get("denied", 0))
    return assess(reading, target=action.target, target_labels=labels, novelty=novelty), kind


def habit_key(agent: str, kind: str) -> str:
    """Under which an agent's requests of one shape are counted."""
    return canonical.digest({"agent": agent, "shape": kind})


def asked(row: Row, rows: Rows) -> list[Put]:
    """The habit's row after a request of that shape was opened."""
    return [_counted(row, rows, "seen")] if row.get("shape") else []


def ended(row: Row, rows: Rows, state: str) -> list[Put]:
    """The habit's row after people decided on a request of that shape."""
    return [_counted(row, rows, state)] if row.get("shape") and state in ("approved", "denied") else []


def _counted(row: Row, rows: Rows, what: str) -> Put:
    key = habit_key(row["agent"], row["shape"])
    before = rows.row("habit", key) or {"seen": 0, "approved": 0, "denied": 0}
    return Put("habit", key, {**before, what: before[what] + 1})


def risk_of(value: Any) -> Risk | None:
    """A recorded risk; None for what was opened before there were any, and for changes."""
    return msgspec.convert(value, Risk) if value else None
