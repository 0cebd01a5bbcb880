"""What an approved change does, by the subject of its request: the drafts recorded with its last approval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import (
    baselines,
    configurations,
    defining,
    erasing,
    keys,
    legal_holds,
    publication,
    responses,
    roster_changes,
    scim,
)
from keyturn.service.core import Core

SUBJECTS: dict[str, Callable[[Core, Rows, dict[str, Any]], Sequence[Draft]]] = {
    "action": lambda core, rows, row: (),  # a permit is made when the gate claims it
    "plan": lambda core, rows, row: (),  # `requests.decide` opens it, with the people who approved
    "policy": publication.effect,
    "configuration": configurations.effect,
    "key": keys.effect,
    "roster": roster_changes.effect,
    "account-link": roster_changes.effect,
    "scim-token": scim.token_effect,
    "legal-hold": legal_holds.effect,
    "response": responses.effect,
    "erasure": erasing.effect,
    "definition": defining.effect,
    "baseline": baselines.effect,
}
"""Per subject, from the request's row, at that very moment of the log, to what is recorded in the same commit as the approval that
completes it. What was changed a moment before is seen."""


class UnknownSubject(KeyturnError):
    """A request was opened by another version of Keyturn, about something that this one can't change."""

    code = "request.unknown_subject"
    status = 409
    not_done = "Nothing was approved and nothing was changed."
    next_step = "Decide it with the version that opened it, or deny it."


def effects(core: Core, rows: Rows, row: dict[str, Any]) -> Sequence[Draft]:
    """What is recorded together with the last approval of the request *row*. Raises `UnknownSubject`."""
    effect = SUBJECTS.get(row["subject"])
    if effect is None:
        raise UnknownSubject(f"This version of Keyturn knows no subject {row['subject'][:40]!r}.")
    return effect(core, rows, row)
