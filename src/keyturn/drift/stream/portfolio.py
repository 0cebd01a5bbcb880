"""The portfolio of one agent: three small detectors, and what they say together.

sensitive   more of what it does is sensitive: as a share of a session's actions, and as sessions with any at all
order       its sessions go otherwise than they used to, whatever they are made of
novel       more sessions than expected hold something that the baseline never saw

No single test sees all of these. The mean of e-detectors is an e-detector (Shin, Ramdas & Rinaldo §2), so the portfolio reaches
`arl` by chance once in `arl` sessions or more; the largest component names the cause.

Conditions of that promise, which are told wherever it is shown (`CONDITIONS`): they are the price of knowing nothing else.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keyturn.drift.stream.conformal import ConformalSR
from keyturn.drift.stream.esr import BoundedMeanESR, Novelty

Cause = Literal["sensitive", "order", "novel"]

CONDITIONS = (
    "While nothing drifts, one session is as likely as any other to come next (weekdays and kinds of tasks may vary, but not much).",
    "A baseline's bounds lie below the truth in at most 5 of 100 baselines.",
    "What was pinned as baseline was looked at: drift that is in it is no drift.",
)


class Observed(Struct, frozen=True):
    """What one session gives the detectors: `share` of its actions that are sensitive, its `score` of surprise
    (`bigram.Surprisal.score`), whether something in it is `novel`, and the `toss` for equal scores (`conformal.coin`)."""

    share: float
    score: int
    novel: bool
    toss: float


class Portfolio(Struct, frozen=True):
    """The state of one agent's detectors."""

    share: BoundedMeanESR
    presence: BoundedMeanESR
    order: ConformalSR
    novelty: Novelty

    def observe(self, seen: Observed, p: float | None = None) -> Portfolio:
        """After one more session; *p* is the p-value of its score, where it was worked out already."""
        if p is None:
            p = self.order.reference.p_value(seen.score, seen.toss)
        return Portfolio(
            self.share.observe(seen.share),
            self.presence.observe(1.0 if seen.share > 0 else 0.0),
            self.order.observe_p(seen.score, p),
            self.novelty.observe(seen.novel),
        )

    @property
    def components(self) -> dict[Cause, float]:
        """The e-value of each detector."""
        return {
            "sensitive": (self.share.evidence + self.presence.evidence) / 2,
            "order": self.order.evidence,
            "novel": self.novelty.evidence,
        }

    @property
    def evidence(self) -> float:
        """The e-value of all together: the odds against "no drift since the last alarm"."""
        return sum(self.components.values()) / 3

    @property
    def cause(self) -> Cause:
        """The component that says most."""
        found = self.components
        return max(found, key=lambda name: found[name])

    def restarted(self) -> Portfolio:
        """After an alarm: the next one needs evidence of its own. The reference and the bounds stay."""
        return Portfolio(
            BoundedMeanESR(self.share.bound),
            BoundedMeanESR(self.presence.bound),
            ConformalSR(self.order.reference),
            Novelty(self.novelty.bound),
        )


PORTFOLIOS = 3
"""Detectors of an agent that raise alarms of their own: this portfolio, `conformal.DailyTotals`, `hours.DailyHours`."""


def average_run_length(agents: int, a_day: float, days_between: float) -> float:
    """The threshold: false alarms come once in *days_between* days for a fleet of *agents*, of which this one has *a_day* sessions.

    `ARL = agents × portfolios × sessions a day × days`: every detector gets the same share of the alarms that may be false.
    """
    return max(agents, 1) * PORTFOLIOS * a_day * days_between
