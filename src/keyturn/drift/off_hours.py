"""An alarm of the hours detector in words: since which day, how much of what is done falls into quiet hours, which ones. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.drift.baseline import Baseline
from keyturn.drift.behaviour import Seen, odds, percent
from keyturn.drift.finding import MOST_ENTRIES, Drift, Explanation, Magnitude, Since
from keyturn.drift.stream import onset
from keyturn.drift.stream.agent import hour_coin
from keyturn.drift.stream.conformal import DAY_MS, day_class
from keyturn.drift.stream.hours import HOUR_MS, day_score, spans


def share(sessions: Sequence[Seen], baseline: Baseline) -> float:
    """Of the actions of *sessions*, those in hours in which the baseline has the agent next to never at work."""
    whole = sum(one.actions for one in sessions)
    return sum(one.actions for one in sessions if baseline.hours.quiet(one.time)) / whole if whole else 0.0


def days(sessions: Sequence[Seen], baseline: Baseline) -> list[tuple[int, int]]:
    """(day since 1970, its score) of the days with a session, in order."""
    sums: dict[int, tuple[int, int]] = {}
    for one in sessions:
        late, actions = sums.get(one.time // DAY_MS, (0, 0))
        unusual = one.actions * baseline.hours.score(one.time)
        sums[one.time // DAY_MS] = late + unusual, actions + one.actions
    return [(day, day_score(*sums[day])) for day in sorted(sums)]


def dated(sessions: Sequence[Seen], baseline: Baseline, pinned: str) -> tuple[int, int, int]:
    """Days (since 1970) of the earliest, likeliest and latest beginning; *pinned* is the baseline's id, *sessions* end with the alarm."""
    state, won = baseline.at_work(), []
    told = days(sessions, baseline)
    for day, score in told:
        reference = state.classes.get(day_class(day))
        if reference is None:
            won.append((1.0,) * len(state.factors(0.5)))
        else:
            won.append(state.factors(reference.p_value(score, hour_coin(pinned, day))))
        state = state.observe(day_class(day), score, hour_coin(pinned, day))
    found = onset(won)
    return told[found.earliest][0], told[found.likeliest][0], told[found.latest][0]


def drift(
    agent: str,
    evidence: float,
    pinned: str,
    baseline: Baseline,
    sessions: Sequence[Seen],
    explanation: Explanation,
) -> Drift:
    """The finding. *sessions* are those since the last alarm, oldest first; the last brought it, and is of a day that has not ended."""
    sessions = [one for one in sessions if one.time // DAY_MS < sessions[-1].time // DAY_MS] or sessions
    earliest, likeliest, latest = dated(sessions, baseline, pinned)
    after = [one for one in sessions if one.time // DAY_MS >= likeliest]
    quiet = [one for one in after if baseline.hours.quiet(one.time)]
    now, before = share(after, baseline), baseline.quiet_share
    at = spans(sorted({one.time // HOUR_MS % 24 for one in quiet}))
    observed = f"{percent(now)} of its actions at hours at which it is next to never at work (UTC: {at})"
    telling = [entry for one in reversed(quiet) for entry in reversed(list(one.telling.get("hours", ())))]
    return Drift(
        kind="behaviour.hours",
        key=(agent, "hours"),
        words=f"{agent} is at work at other hours: {observed}, where its baseline has {percent(before)}. {odds(evidence)}",
        subject={"agent": agent, "definition": after[-1].definition, "policy": after[-1].policy},
        observed=observed,
        expected=percent(before),
        since=Since(_first(sessions, earliest), _last(sessions, latest)),
        magnitude=Magnitude(now, before, "share of actions in quiet hours", evidence),
        entries=tuple(sorted(dict.fromkeys(telling[:MOST_ENTRIES]))),
        cause=f"{len({one.time // DAY_MS for one in quiet})} days with sessions at such hours",
        explanation=explanation,
    )


def _first(sessions: Sequence[Seen], day: int) -> int:
    return min(one.began for one in sessions if one.time // DAY_MS == day)


def _last(sessions: Sequence[Seen], day: int) -> int:
    return max(one.time for one in sessions if one.time // DAY_MS == day)
