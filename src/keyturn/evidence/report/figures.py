"""What a period was like, in figures: each is one count over the evidence tables, and its text stands in the report's pack."""

from __future__ import annotations

from collections.abc import Callable

IN = "ts_ms >= (SELECT since_ms FROM period) AND ts_ms < (SELECT until_ms FROM period)"

FIGURES = (
    ("entries in the log", "SELECT count(*) FROM event"),
    ("entries in the period", f"SELECT count(*) FROM event WHERE {IN}"),
    ("sessions of agents", f"SELECT count(*) FROM session WHERE {IN}"),
    ("agents", f"SELECT count(DISTINCT agent) FROM action WHERE {IN}"),
    ("actions proposed", f"SELECT count(*) FROM action WHERE {IN}"),
    ("allowed at once", f"SELECT count(*) FROM action WHERE verdict = 'run' AND {IN}"),
    ("held for people", f"SELECT count(*) FROM action WHERE verdict = 'hold' AND {IN}"),
    ("refused", f"SELECT count(*) FROM action WHERE verdict = 'refuse' AND {IN}"),
    ("requests that people approved", f"SELECT count(*) FROM ended WHERE state = 'approved' AND {IN}"),
    ("requests that people denied", f"SELECT count(*) FROM ended WHERE state = 'denied' AND {IN}"),
    ("released by break-glass", f"SELECT count(*) FROM breakglass WHERE event = 'used' AND {IN}"),
    ("findings opened", f"SELECT count(*) FROM finding WHERE {IN}"),
    ("versions of the policy published", f"SELECT count(*) FROM policy WHERE event = 'published' AND {IN}"),
    ("fields withheld or erased", "SELECT coalesce(sum(withheld_n), 0) FROM event"),
)  # fmt: skip
"""Words → a statement that gives one number, in the order of the report."""

APPROVALS = f"SELECT assurance, count(*) FROM approval WHERE choice = 'approve' AND {IN} GROUP BY assurance ORDER BY assurance"
HEARTBEATS = "SELECT ts_ms, interval_s FROM heartbeat ORDER BY entry"

Ask = Callable[[str], list[tuple[object, ...]]]
"""Statement → rows."""


def figures(ask: Ask) -> tuple[tuple[str, int], ...]:
    """Every figure of `FIGURES`."""
    return tuple((words, int(str(ask(text)[0][0]))) for words, text in FIGURES)


def approvals(ask: Ask) -> tuple[tuple[str, int], ...]:
    """Approvals of the period by what was verified of them."""
    return tuple((str(kind) or "click", int(str(count))) for kind, count in ask(APPROVALS))
