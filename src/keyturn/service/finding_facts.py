"""What policy knows of open findings: their kinds, for the agent, definition and session of an action, and those above it.

One row is read for each of these, however many findings there are.
"""

from __future__ import annotations

from typing import Any

from keyturn.actions import Action, Reading
from keyturn.ledger.entries import Rows
from keyturn.policy.decision import Facts
from keyturn.service import responses
from keyturn.service.core import Core
from keyturn.service.finding_rows import about_key


def gather(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The fact `findings`."""
    return {"findings": kinds(core, core.ledger, action)}


def stand(core: Core, rows: Rows, action: Action, reading: Reading, facts: Facts) -> bool:
    """Whether no finding was opened or settled meanwhile."""
    return kinds(core, rows, action) == facts.findings


def kinds(core: Core, rows: Rows, action: Action) -> tuple[str, ...]:
    """Kinds of the open findings about *action*'s agent, in order."""
    if rows.row("finding-about", "any") is None:
        return ()
    found: set[str] = set()
    for pair in responses.about_action(core, rows, action):
        found.update((rows.row("finding-about", about_key(pair)) or {"kinds": ()})["kinds"])
    return tuple(sorted(found))
