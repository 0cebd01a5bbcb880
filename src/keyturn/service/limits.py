"""Limits at decision time: what an action adds to, whether that would be too much, and what is recorded of it.

Rules kept here:

- Counts are rows, folded from the entries that let actions go (`limit_rows`): they are exact after a restart, because they are rebuilt
  from the log like every other row (promise 7).
- A count is looked up under a key of its own, and has at most 62 cells: the cost does not grow with the log.
- It is looked at twice: when the action is decided, and in the writer's own turn (`stand`), with everything that was let go before.
  So of 400 that ask at once, exactly as many run as the limit lets.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, to_builtins

from keyturn.actions import Action, Reading
from keyturn.drift import counting, windows
from keyturn.drift.counting import Counts, Over
from keyturn.ledger.entries import Rows
from keyturn.policy.decision import Facts
from keyturn.service.conditions.moments import moment
from keyturn.service.core import Core
from keyturn.service.parties import acting

ROW = "limit"
"""The kind of a counter's row."""
MOST_SHOWN = 1_000
"""Counters of a limit that are listed, the newest used."""
TOLD = 8
"""Exceeded limits of one action that an entry describes; `facts` names all of them."""


def gather(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The facts `over`, and what to say of them."""
    found = exceeded(core, core.ledger, action, reading)
    if not found:
        return {}
    told = tuple((f"over:{one.limit}", one.words) for one in found)
    return {"over": names(found), "told": told}


def stand(core: Core, rows: Rows, action: Action, reading: Reading, facts: Facts) -> bool:
    """Whether the same limits would be exceeded now."""
    return names(exceeded(core, rows, action, reading)) == facts.over


def names(found: tuple[Over, ...]) -> tuple[str, ...]:
    """Which limits, each once."""
    return tuple(sorted({one.limit for one in found}))


def exceeded(core: Core, rows: Rows, action: Action, reading: Reading) -> tuple[Over, ...]:
    """The limits that *action* would exceed at this moment of the log."""
    limits = core.policy.drift.limits
    if not limits:
        return ()
    now = moment(core)
    counts = counts_of(core, action, reading, now)
    if not counts.counts and not counts.lost:
        return ()
    return counting.over(limits, counts, lambda name: rows.row(ROW, name), who(core, action), now)


def counts_of(core: Core, action: Action, reading: Reading, now: int) -> Counts:
    """What *action* adds to, under the active policy."""
    limits = core.policy.drift.limits
    return counting.counts_of(limits, action.kind, reading, action.target, who(core, action), now)


def who(core: Core, action: Action) -> dict[str, str]:
    """Who asks, as limits count it."""
    human = action.attribution.human
    return {
        "agent": acting(core, action),
        "person": human.person if human else "",
        "session": action.session,
        "gate": action.gate.name,
    }


def recorded(core: Core, action: Action, reading: Reading, facts: Facts) -> dict[str, Any]:
    """The field `limits` of `action.decided`: what it adds to once it is let go, and which of that is too much."""
    if not core.policy.drift.limits:
        return {}
    now = moment(core)
    counts = counts_of(core, action, reading, now)
    if not counts.counts:
        return {}
    body: dict[str, Any] = {"counts": [to_builtins(one) for one in counts.counts]}
    fields: dict[str, Any] = {"limits": body}
    if facts.over:
        over = [one for one in exceeded(core, core.ledger, action, reading) if one.limit in facts.over]
        fields["exceeded"] = [to_builtins(one) for one in over[:TOLD]]
    return fields


def watched(core: Core, action: Action, reading: Reading) -> bool:
    """Whether a limit counts it, now or at other times."""
    limits = core.policy.drift.limits
    return bool(limits) and counting.watches(limits, action.kind, reading, action.target)


class CounterView(Struct, frozen=True):
    """One counter as it is shown: how much of what its limit lets go was let go in the window that ends now.

    `key` is parallel to `per`; `of` is empty for how often, else `rows`, `bytes`, `target` or `program`; `since` in milliseconds.
    """

    limit: str
    per: tuple[str, ...]
    key: tuple[str, ...]
    amount: int
    most: int
    of: str
    each: str
    since: int | None = None


def views(core: Core) -> list[CounterView]:
    """Counters of the active policy that hold anything now, the fullest first."""
    now, found = moment(core), []
    for name, limit in core.policy.drift.limits.items():
        for row in core.ledger.rows(ROW, state=name, limit=MOST_SHOWN):
            if row["window"] != limit.window or len(row["key"]) != len(limit.per):
                continue  # it counted something else under this name
            if limit.distinct:
                seen = windows.Seen(len(windows.known(row.get("values", ()), now, limit.window)))
            else:
                seen = windows.total(row.get("cells", ()), now, limit.window)
            if seen.amount:
                key = tuple(row["key"])
                of = limit.sum or limit.distinct
                found.append(
                    CounterView(name, limit.per, key, seen.amount, limit.most, of, limit.each, seen.since)
                )
    return sorted(found, key=lambda one: (-one.amount / max(1, one.most), one.limit, one.key))


__all__ = ["CounterView", "ROW", "counts_of", "exceeded", "gather", "recorded", "stand", "views", "watched"]
