"""What a statistical alarm is about: since when, how much, which actions speak for it, in words. Pure, of the sessions that led to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn.drift.baseline import Baseline
from keyturn.drift.finding import MOST_ENTRIES, Drift, Explanation, Magnitude, Since
from keyturn.drift.stream import BoundedMeanESR, Novelty, onset
from keyturn.drift.stream.conformal import factors


class Seen(Struct, frozen=True):
    """One measured session: when it began and was measured, how much of it was sensitive, whether it was novel, the `p` of its surprise,
    under which definition and policy, and the entries that speak for each cause."""

    began: int
    time: int
    actions: int
    sensitive: int
    novel: bool
    p: float
    definition: str = ""
    policy: str = ""
    telling: Mapping[str, Sequence[int]] = {}

    @property
    def share(self) -> float:
        """Of its actions that are sensitive."""
        return self.sensitive / self.actions if self.actions else 0.0


def dated(cause: str, sessions: Sequence[Seen], baseline: Baseline) -> tuple[int, int, int]:
    """Places of the earliest, likeliest and latest beginning among *sessions* (oldest first, since the last alarm)."""
    share, presence, novelty = (
        BoundedMeanESR(baseline.share_bound),
        BoundedMeanESR(baseline.presence_bound),
        Novelty(baseline.novel_bound),
    )
    if cause == "sensitive":
        won = [(*share.factors(s.share), *presence.factors(1.0 if s.sensitive else 0.0)) for s in sessions]
    elif cause == "novel":
        won = [novelty.factors(s.novel) for s in sessions]
    else:
        won = [factors(s.p) for s in sessions]
    found = onset(won)
    return found.earliest, found.likeliest, found.latest


def drift(
    agent: str,
    cause: str,
    evidence: float,
    sessions: Sequence[Seen],
    baseline: Baseline,
    what: Sequence[str] = (),
    explanation: Explanation | None = None,
) -> Drift:
    """The finding of *cause* (`sensitive`, `order`, `novel`). *what* are the things that the cause is about, most telling first."""
    earliest, likeliest, latest = dated(cause, sessions, baseline)
    after = sessions[likeliest:]
    magnitude, observed, expected = _size(cause, evidence, after, baseline)
    entries = [entry for one in reversed(after) for entry in reversed(list(one.telling.get(cause, ())))]
    since = Since(sessions[earliest].began, sessions[latest].time)
    return Drift(
        kind=f"behaviour.{cause}",
        key=(agent, cause),
        words=f"{agent} {_WORDS[cause]}: {observed}, where its baseline has {expected}. {odds(evidence)}",
        subject={"agent": agent, "definition": after[-1].definition, "policy": after[-1].policy},
        observed=observed,
        expected=expected,
        since=since,
        magnitude=magnitude,
        entries=tuple(sorted(dict.fromkeys(entries[:MOST_ENTRIES]))),
        cause="; ".join(what)[:1000],
        explanation=explanation or Explanation(),
    )


_WORDS = {
    "sensitive": "does more that is sensitive",
    "order": "goes about its sessions otherwise",
    "novel": "does what it was never seen to do, more often than expected",
}


def volume(
    agent: str,
    evidence: float,
    day: int,
    baseline: Baseline,
    recent: Sequence[Seen],
    explanation: Explanation,
) -> Drift:
    """The finding of daily totals that have grown. *recent* are its sessions of the last days, oldest first."""
    before = [total for totals in baseline.totals.values() for total in totals]
    usual = sum(before) / len(before) if before else 0.0
    days = max((recent[-1].time - recent[0].began) / 86_400_000, 1.0) if recent else 1.0
    now = sum(one.actions for one in recent) / days
    observed, expected = f"about {now:,.0f} actions a day", f"{usual:,.0f}"
    entries = [entry for one in recent for telling in one.telling.values() for entry in telling]
    return Drift(
        kind="behaviour.volume",
        key=(agent, "volume"),
        words=f"{agent} does more in a day: {observed}, where its baseline has {expected}. {odds(evidence)}",
        subject={"agent": agent},
        observed=observed,
        expected=f"{expected} actions a day",
        since=Since(recent[0].began, recent[-1].time) if recent else None,
        magnitude=Magnitude(now, usual, "actions a day", evidence),
        entries=tuple(sorted(dict.fromkeys(entries))[-MOST_ENTRIES:]),
        cause=f"Daily totals up to {day} days after 1970-01-01.",
        explanation=explanation,
    )


def _size(
    cause: str, evidence: float, after: Sequence[Seen], baseline: Baseline
) -> tuple[Magnitude, str, str]:
    count = len(after)
    if cause == "sensitive":
        share = sum(one.share for one in after) / count
        present = sum(one.sensitive > 0 for one in after) / count
        if share > baseline.share_bound or present <= baseline.presence_bound:
            return _shares(share, baseline.share, "of its actions", evidence)
        return _shares(present, baseline.presence, "of its sessions have any", evidence)
    if cause == "novel":
        now = sum(one.novel for one in after) / count
        return _shares(now, baseline.once_only / max(baseline.sessions, 1), "of its sessions", evidence)
    now = sum(one.p <= 0.1 for one in after) / count
    return _shares(now, 0.1, "of its sessions are among the tenth that surprises most", evidence)


def _shares(now: float, before: float, of: str, evidence: float) -> tuple[Magnitude, str, str]:
    return Magnitude(now, before, f"share {of}", evidence), f"{percent(now)} {of}", percent(before)


def percent(share: float) -> str:
    """As people write it."""
    return f"{100 * share:.1f} %"


def odds(evidence: float) -> str:
    """An e-value in words."""
    return f"The odds against no drift are {evidence:,.0f} to 1."


def seen(row: Mapping[str, Any]) -> Seen:
    """Of a row of kind `measured`."""
    return Seen(
        row["began"],
        row["time"],
        row["actions"],
        row["sensitive"],
        row["novel"],
        float(row["evidence"].get("p", 1.0)),
        row["definition"],
        row["policy"],
        row["telling"],
    )
