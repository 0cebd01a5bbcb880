"""What people approved as an agent's ordinary behaviour: counted from its own sessions, pinned, and never adapted.

A baseline belongs to an agent, the definition and the policy version under which it was measured. One that follows what the agent does is
blind to small steps (measured: a trailing window finds 2–6 % of slow drifts, a pinned one 52–100 %), so only an approved
change replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn.drift.features import Session
from keyturn.drift.stream import (
    Bigram,
    BoundedMeanESR,
    ConformalSR,
    DailyHours,
    DailyTotals,
    Hours,
    Novelty,
    Observed,
    Portfolio,
    Reference,
    Surprisal,
    betting_upper,
    clopper_pearson_upper,
    coin,
    day_class,
    once_only,
)
from keyturn.drift.stream import hours as at_hours

ENOUGH_SESSIONS = 400
ENOUGH_DAYS = 14
"""A baseline needs one of the two; until then an agent is measured against a peer of the same definition, or not at all."""
FEWEST_SESSIONS = 40
"""Fewer tell nothing, however many days they took."""
MOST_SESSIONS = 5_000
"""The newest so many make a baseline."""
_DAY_MS = 86_400_000


class Baseline(Struct, frozen=True):
    """What is pinned. `definition` and `policy` are digests (empty when unknown), `first` and `last` times in milliseconds.

    `categories` and `effects` count the actions and the sessions that have them; they are the set of what was seen. `totals`
    are actions a day by class of day, whole days only. `hours` says how unusual each hour of the week is, `hour_scores` how
    unusual the days were that did not make it, `quiet_share` how many of their actions were in quiet hours; all are empty
    without two whole weeks, and for who is at work around the clock.
    """

    agent: str
    definition: str
    policy: str
    sessions: int
    actions: int
    first: int
    last: int
    categories: dict[str, int]
    effects: dict[str, int]
    share: float
    share_bound: float
    presence: float
    presence_bound: float
    novel_bound: float
    once_only: int
    model: Bigram
    reference: Reference
    totals: dict[str, tuple[int, ...]] = {}
    hours: Hours = Hours()
    hour_scores: dict[str, tuple[int, ...]] = {}
    quiet_share: float = 0.0

    @property
    def a_day(self) -> float:
        """Sessions a day; of at least one day, as nobody has a rate after an hour."""
        return self.sessions / max((self.last - self.first) / _DAY_MS, 1.0)

    def portfolio(self) -> Portfolio:
        """The detectors before the first session."""
        return Portfolio(
            BoundedMeanESR(self.share_bound),
            BoundedMeanESR(self.presence_bound),
            ConformalSR(self.reference),
            Novelty(self.novel_bound),
        )

    def volume(self) -> DailyTotals:
        """The same, of daily totals."""
        return DailyTotals.of(self.totals)

    def at_work(self) -> DailyHours:
        """The same, of the hours of its days."""
        return DailyHours.of(self.hour_scores)

    def novel(self, session: Session) -> tuple[str, ...]:
        """What in *session* the baseline never saw: categories and effects, each once."""
        categories = [one for one in dict.fromkeys(session.categories) if one not in self.categories]
        return (*categories, *[one for one in session.effects if one not in self.effects])

    def observed(self, session: Session, name: str, ready: Surprisal) -> Observed:
        """*session* for the detectors. *name* is its own in the log, *ready* is `Surprisal(self.model)`."""
        return Observed(session.share, ready.score(session.categories), bool(self.novel(session)), coin(name))


class Measured(Struct, frozen=True):
    """A session with its time (milliseconds since 1970)."""

    time: int
    session: Session


def enough(sessions: int, first: int, last: int) -> bool:
    """Whether a baseline can be made of so many sessions in that time."""
    days = (last - first) / _DAY_MS
    return sessions >= ENOUGH_SESSIONS or (days >= ENOUGH_DAYS and sessions >= FEWEST_SESSIONS)


def baseline(agent: str, definition: str, policy: str, measured: Sequence[Measured]) -> Baseline:
    """Of *measured* (oldest first, not empty). The first half makes the model of order, the second is what scores are compared with."""
    sessions = [one.session for one in measured]
    half = len(sessions) // 2
    model = Bigram.of([one.categories for one in sessions[:half]])
    ready = Surprisal(model)
    shares = [one.share for one in sessions]
    present = [1.0 if share > 0 else 0.0 for share in shares]
    at_work, hour_scores, quiet = _hours(measured)
    alone, count = once_only([{*one.categories, *one.effects} for one in sessions])
    return Baseline(
        agent=agent,
        definition=definition,
        policy=policy,
        sessions=count,
        actions=sum(len(one.categories) for one in sessions),
        first=measured[0].time,
        last=measured[-1].time,
        categories=_counted([category for one in sessions for category in one.categories]),
        effects=_counted([effect for one in sessions for effect in one.effects]),
        share=sum(shares) / count,
        share_bound=betting_upper(shares),
        presence=sum(present) / count,
        presence_bound=betting_upper(present),
        novel_bound=clopper_pearson_upper(alone, count),
        once_only=alone,
        model=model,
        reference=Reference.of(ready.score(one.categories) for one in sessions[half:]),
        totals=daily(measured),
        hours=at_work,
        hour_scores=hour_scores,
        quiet_share=quiet,
    )


def _hours(measured: Sequence[Measured]) -> tuple[Hours, dict[str, tuple[int, ...]], float]:
    """(the model of the first half of its whole days, the scores of those of the second, the share of their actions in quiet hours)."""
    parts = at_hours.halves(measured[0].time // _DAY_MS + 1, measured[-1].time // _DAY_MS - 1)
    if parts is None:
        return Hours(), {}, 0.0
    model = Hours.of([one.time for one in measured], parts[0][0], parts[0][-1])
    done = [(one.time, len(one.session.categories)) for one in measured]
    return model, at_hours.references(model, done, parts[1]), at_hours.quiet_share(model, done, parts[1])


def daily(measured: Sequence[Measured]) -> dict[str, tuple[int, ...]]:
    """Actions a day by class of day: without the first and the last day, which are not whole."""
    first, last = measured[0].time // _DAY_MS, measured[-1].time // _DAY_MS
    totals = dict.fromkeys(range(first + 1, last), 0)
    for one in measured:
        day = one.time // _DAY_MS
        if day in totals:
            totals[day] += len(one.session.categories)
    found: dict[str, list[int]] = {}
    for day, total in totals.items():
        found.setdefault(day_class(day), []).append(total)
    return {name: tuple(found[name]) for name in sorted(found)}


def _counted(items: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return dict(sorted(counts.items()))


def seen(row: Mapping[str, Any] | None) -> frozenset[str] | None:
    """The effects (`verb:zone`, `verb:zone+label`) that the pinned baseline of *row* (kind `baseline`) has seen; None without one."""
    return None if row is None else frozenset(row["effects"])
