"""What a detector gives: one drift, observed against expected, with the entries behind it and what explains it.

Pure data. `keyturn.service.findings` records it (`finding.opened`); `kinds` lists every kind with its area and severity.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Grade = Literal["PROVEN", "VERSION-BOUND", "CANDIDATE", "NONE"]
"""How sure an explanation is. PROVEN: what was observed is contained in what people approved, in its window, once ·
VERSION-BOUND: it occurs only under an approved version whose declared effects cover it · CANDIDATE: same object and time only,
so a person has to confirm it · NONE: everything was searched and nothing matches. Time proximity alone closes nothing."""

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

MOST_ENTRIES = 20
"""Entries that a finding names; a query finds the rest."""


class Since(Struct, frozen=True):
    """When it began: between `earliest` and `latest`, milliseconds since 1970 (equal where it is known)."""

    earliest: int
    latest: int


class Magnitude(Struct, frozen=True):
    """How large: `value` now, `baseline` before, in `unit` (`share of actions`, `queries an hour`).

    `evidence` is the e-value of a statistical detector: the odds against no drift; 0 for a certain one.
    """

    value: float
    baseline: float = 0.0
    unit: str = ""
    evidence: float = 0.0


class Explanation(Struct, frozen=True):
    """The approved change that explains it, or what was searched.

    `change` is the ledger's id of the approved change (a request), with who asked, who approved, why, when and what came of
    it; `residual` what the change does not cover. With grade NONE, `searched` says how many changes were looked at and in which
    time, so that "none" is a statement too.
    """

    grade: Grade = "NONE"
    change: str = ""
    actor: str = ""
    approvers: tuple[str, ...] = ()
    reason: str = ""
    time: int = 0
    outcome: str = ""
    residual: tuple[str, ...] = ()
    searched: str = ""


UNEXPLAINED = Explanation()


class Drift(Struct, frozen=True):
    """One detected drift. `key` says what makes a later one the same (with `kind`); it is opened again only after it was closed.

    `words` is one sentence for people; `subject` names what it is about: any of agent, definition, target, person, session,
    credential, action, policy, object. `entries` are ledger indexes, at most `MOST_ENTRIES`. `severity` empty: the kind's own.
    """

    kind: str
    key: tuple[str, ...]
    words: str
    subject: dict[str, Any] = {}
    observed: str = ""
    expected: str = ""
    since: Since | None = None
    magnitude: Magnitude | None = None
    entries: tuple[int, ...] = ()
    cause: str = ""
    explanation: Explanation = UNEXPLAINED
    severity: Severity | None = None
