"""Sequential statistics whose rate of false alarms is stated. Pure, plain Python; states are values that go through JSON."""

from keyturn.drift.stream.agent import AgentStream, Promise, Step, Told
from keyturn.drift.stream.bigram import Bigram, Surprisal
from keyturn.drift.stream.bounds import ALPHA, betting_upper, clopper_pearson_upper, once_only
from keyturn.drift.stream.conformal import ConformalSR, DailyTotals, Reference, coin, day_class
from keyturn.drift.stream.dating import Onset, onset
from keyturn.drift.stream.esr import BoundedMeanESR, Novelty
from keyturn.drift.stream.hours import DailyHours, Hours
from keyturn.drift.stream.portfolio import (
    CONDITIONS,
    PORTFOLIOS,
    Cause,
    Observed,
    Portfolio,
    average_run_length,
)

__all__ = [
    "ALPHA", "CONDITIONS", "PORTFOLIOS", "AgentStream", "Bigram", "BoundedMeanESR", "Cause", "ConformalSR",
    "DailyHours", "DailyTotals", "Hours", "Novelty", "Observed", "Onset", "Portfolio", "Promise", "Reference", "Step", "Surprisal", "Told",
    "average_run_length", "betting_upper", "clopper_pearson_upper", "coin", "day_class", "once_only", "onset",
]  # fmt: skip
