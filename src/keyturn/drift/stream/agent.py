"""Everything that is kept of one agent between two sessions, and how one more session changes it.

The same pure step runs when a session is measured (to know whether to raise an alarm) and when its entry is folded (to have the state
again), so the log alone gives the state, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keyturn.drift.stream.conformal import ConformalSR, DailyTotals, Reference, coin, day_class
from keyturn.drift.stream.esr import BoundedMeanESR, Novelty
from keyturn.drift.stream.hours import FREE_DAYS, DailyHours, day_score
from keyturn.drift.stream.portfolio import PORTFOLIOS, Observed, Portfolio, average_run_length

QUIET_DAYS = 31
"""Days without a session that are counted as days with nothing; a longer pause was a holiday, and says nothing."""


class Promise(Struct, frozen=True):
    """Thresholds: `sessions` for the portfolio, `days` for daily totals."""

    sessions: float
    days: float

    @classmethod
    def of(cls, agents: int, a_day: float, days_between: float) -> Promise:
        """For one false alarm of a fleet of *agents* in *days_between*, and an agent with *a_day* sessions a day."""
        # A day is the unit of daily totals: one observation a day.
        whole = max(agents, 1) * PORTFOLIOS * days_between
        return cls(max(average_run_length(agents, a_day, days_between), 1.0), max(whole, 1.0))


class Step(Struct, frozen=True):
    """One session: its `name` in the log, how many `actions`, how many of them `sensitive`, its `score` of surprise,
    whether it is `novel`, the `day` (since 1970) on which it was measured, the promise that held, and how `unusual` its hour is."""

    name: str
    actions: int
    sensitive: int
    score: int
    novel: bool
    day: int
    promise: Promise
    unusual: int = 0

    @property
    def observed(self) -> Observed:
        """For the detectors."""
        share = self.sensitive / self.actions if self.actions else 0.0
        return Observed(share, self.score, self.novel, coin(self.name))


class Told(Struct, frozen=True):
    """What the step brought: each component's e-value and that of all (`evidence`), the p-value of its surprise, the e-value of daily
    totals, the causes of alarms (`sensitive`, `order`, `novel`, `volume`, `hours`), and the e-value of the hours of its days."""

    sensitive: float
    order: float
    novel: float
    evidence: float
    p: float
    volume: float
    alarms: tuple[str, ...] = ()
    hours: float = 0.0


class AgentStream(Struct, frozen=True):
    """The state. `baseline` is the id of the pinned baseline that it is measured against; `day`, `total` and `whole` are the day
    under way, its actions so far, and whether it was watched from its beginning; `late` sums how unusual their hours are.
    `sessions` counts since the baseline."""

    baseline: str
    portfolio: Portfolio
    volume: DailyTotals
    day: int = 0
    total: int = 0
    whole: bool = False
    sessions: int = 0
    hours: DailyHours = DailyHours()
    late: int = 0

    def after(self, step: Step) -> tuple[AgentStream, Told]:
        """With one more session. An alarm restarts the detectors: the next one needs evidence of its own."""
        seen = step.observed
        p = self.portfolio.order.reference.p_value(seen.score, seen.toss)
        portfolio, (volume, hours) = self.portfolio.observe(seen, p), self._days(step)
        found = portfolio.components
        evidence = portfolio.evidence
        alarms: tuple[str, ...] = ()
        if evidence >= step.promise.sessions:
            alarms, portfolio = (portfolio.cause,), portfolio.restarted()
        grown = volume.evidence
        if grown >= step.promise.days:
            alarms, volume = (*alarms, "volume"), volume.restarted()
        late = hours.evidence
        if late >= step.promise.days:
            alarms, hours = (*alarms, "hours"), hours.restarted()
        told = Told(found["sensitive"], found["order"], found["novel"], evidence, p, grown, alarms, late)
        same = self.sessions > 0 and step.day <= self.day
        after = AgentStream(
            self.baseline,
            portfolio,
            volume,
            self.day if same else step.day,
            (self.total if same else 0) + step.actions,
            self.whole if same else self.sessions > 0,
            self.sessions + 1,
            hours,
            (self.late if same else 0) + step.actions * step.unusual,
        )
        return after, told

    def _days(self, step: Step) -> tuple[DailyTotals, DailyHours]:
        """Daily totals and hours, with the days that ended before *step*."""
        volume, hours = self.volume, self.hours
        if not self.sessions or step.day <= self.day:
            return volume, hours
        if self.whole:
            volume = self._day(volume, self.day, self.total)
            hours = self._hours(hours, self.day, self.late, self.total)
        quiet = range(self.day + 1, step.day)
        for day in quiet if len(quiet) <= QUIET_DAYS else ():
            volume = self._day(volume, day, 0)
        for day in quiet[:FREE_DAYS]:
            hours = self._hours(hours, day, 0, 0)
        return volume, hours

    def _day(self, volume: DailyTotals, day: int, total: int) -> DailyTotals:
        return (
            volume.observe(day_class(day), total, coin(f"{self.baseline}/{day}"))
            if volume.classes
            else volume
        )

    def _hours(self, hours: DailyHours, day: int, late: int, total: int) -> DailyHours:
        return (
            hours.observe(day_class(day), day_score(late, total), hour_coin(self.baseline, day))
            if hours.classes
            else hours
        )

    def rows(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """(all but the references, the references). Floats as texts: what is plain is stored an order of magnitude sooner."""
        portfolio = self.portfolio
        detectors = {
            "share": (portfolio.share.bound, *portfolio.share.states),
            "presence": (portfolio.presence.bound, *portfolio.presence.states),
            "novelty": (portfolio.novelty.bound, *portfolio.novelty.states),
            "order": portfolio.order.states,
            "volume": self.volume.states,
            "hours": self.hours.states,
        }
        body = {
            "baseline": self.baseline,
            "detectors": {name: [repr(value) for value in states] for name, states in detectors.items()},
            "day": self.day,
            "total": self.total,
            "whole": self.whole,
            "sessions": self.sessions,
            "late": self.late,
        }
        order = portfolio.order.reference
        return body, {
            "order": _body(order),
            "volume": {name: _body(one) for name, one in self.volume.classes.items()},
            "hours": {name: _body(one) for name, one in self.hours.classes.items()},
        }

    @classmethod
    def of_rows(cls, body: Mapping[str, Any], references: Mapping[str, Any]) -> AgentStream:
        """Again, from both. An earlier version's rows have no hours: none are watched until a new baseline."""
        given = {name: tuple([float(one) for one in states]) for name, states in body["detectors"].items()}
        portfolio = Portfolio(
            BoundedMeanESR(given["share"][0], given["share"][1:]),
            BoundedMeanESR(given["presence"][0], given["presence"][1:]),
            ConformalSR(_reference(references["order"]), given["order"]),
            Novelty(given["novelty"][0], given["novelty"][1:]),
        )
        classes = {name: _reference(one) for name, one in references["volume"].items()}
        volume = DailyTotals(classes, given["volume"])
        at_work = {name: _reference(one) for name, one in references.get("hours", {}).items()}
        return cls(
            body["baseline"],
            portfolio,
            volume,
            body["day"],
            body["total"],
            body["whole"],
            body["sessions"],
            DailyHours(at_work, given.get("hours", ())),
            body.get("late", 0),
        )


def hour_coin(baseline: str, day: int) -> float:
    """The toss for equal days: another one than that of totals."""
    return coin(f"{baseline}/{day}/hours")


def _body(reference: Reference) -> dict[str, list[int]]:
    return {"scores": list(reference.scores), "counts": list(reference.counts)}


def _reference(body: Mapping[str, Any]) -> Reference:
    return Reference(tuple(body["scores"]), tuple(body["counts"]))
