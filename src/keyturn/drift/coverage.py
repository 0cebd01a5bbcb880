"""What a reconciliation shows, as findings in words. The rules are in `matching`; here is only how they are told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.drift.matching import Bypass, Missing, Outcome

SHOWN = 5
"""Examples that a finding names; the rest is in the reconciliation's detail."""
SHOWN_CHARACTERS = 120


def drifts(outcome: Outcome, source: str, target: str, until: int) -> list[Drift]:
    """One finding for each kind of drift that *outcome* shows; *until* is the watermark, so that the next run's is another."""
    found = [_bypasses(kind, outcome, source, target, until) for kind in ("unknown_tag", "untagged")]
    return [
        one
        for one in (
            *found,
            _surplus(outcome, source, target, until),
            _missing(outcome, source, target, until),
        )
        if one
    ]


def silent(source: str, target: str, watermark: int, last: int, actions: int, quiet_ms: int) -> Drift:
    """*actions* were let go on *target* up to *last*, and its log said nothing since *watermark*."""
    behind = f"{(last - watermark) / 60_000:.0f} minutes" if watermark else "the beginning"
    since = f"since {clock(watermark)}" if watermark else "ever"
    return Drift(
        "source.silent",
        (source, target, str(watermark)),
        f"{target}: {actions} {_s(actions, 'action was', 'actions were')} let go, and its {source} log was not seen {since}"
        f" ({behind} before the last of them).",
        {"source": source, "target": target, "watermark": watermark},
        observed=f"no line {since}; the last action at {clock(last)}",
        expected=f"a line within {quiet_ms // 60_000} minutes of each action",
        since=Since(watermark, last) if watermark else None,
        magnitude=Magnitude(float(actions), 0.0, "actions"),
        cause="The target's log is off, late or cut, or nobody reconciles it.",
    )


def _bypasses(kind: str, outcome: Outcome, source: str, target: str, until: int) -> Drift | None:
    found = [one for one in outcome.bypasses if one.kind == kind]
    if not found:
        return None
    count, first, last = len(found), found[0].event.time, found[-1].event.time
    what = "with tags that don't count" if kind == "unknown_tag" else "without a tag"
    words = f"{target}: {count} {_s(count, 'event', 'events')} {what}, by {_names(b.event.principal for b in found)}, {span(first, last)}."
    return Drift(
        f"bypass.{kind}",
        (source, target, str(until)),
        words,
        {
            "source": source,
            "target": target,
            "principals": sorted({one.event.principal for one in found})[:20],
        },
        observed="; ".join(_example(one) for one in found[:SHOWN]),
        expected="every event under a credential of agents carries the tag of an allowed action that says it, once",
        since=Since(first, last),
        magnitude=Magnitude(float(count), 0.0, "events"),
        cause="Something used the credential past Keyturn."
        if kind == "untagged"
        else "A tag was made up, said again, or moved.",
    )


def _surplus(outcome: Outcome, source: str, target: str, until: int) -> Drift | None:
    found, count = outcome.surplus, outcome.surpluses
    if not found:
        return None
    first, last = min(one.earliest for one in found), max(one.latest for one in found)
    told = [
        f"{one.count} surplus {_s(one.count, 'execution', 'executions')} of {_short(one.statement or one.fingerprint)}"
        f" {span(one.earliest, one.latest)}"
        for one in sorted(found, key=lambda one: -one.count)[:SHOWN]
    ]
    return Drift(
        "bypass.surplus",
        (source, target, str(until)),
        f"{target}: {count} {_s(count, 'execution', 'executions')} more than were allowed, {span(first, last)}.",
        {
            "source": source,
            "target": target,
            "principals": sorted({p for one in found for p in one.principals})[:20],
        },
        observed="; ".join(told),
        expected="as many executions of each statement as were allowed",
        since=Since(first, last),
        magnitude=Magnitude(float(count), 0.0, "executions"),
        cause="Something used the credential past Keyturn, or a program repeated what it was allowed once.",
    )


def _missing(outcome: Outcome, source: str, target: str, until: int) -> Drift | None:
    found = outcome.missing
    if not found:
        return None
    count = len(found)
    return Drift(
        "action.not_in_target",
        (source, target, str(until)),
        f"{target}: {count} allowed {_s(count, 'action', 'actions')} left no line in its {source} log,"
        f" {span(found[0].time, found[-1].time)}.",
        {"source": source, "target": target, "actions": [one.action for one in found[:20]]},
        observed="; ".join(f"nothing of {one.action}, {_short(one.fingerprint)}" for one in found[:SHOWN]),
        expected="one line for each statement of each allowed action",
        since=Since(found[0].time, found[-1].time),
        magnitude=Magnitude(float(count), 0.0, "actions"),
        entries=_entries(found),
        cause="The action failed without saying so, or the log has a gap.",
    )


def _entries(found: Iterable[Missing]) -> tuple[int, ...]:
    return tuple(sorted({one.entry for one in found if one.entry}))


def _example(one: Bypass) -> str:
    why = f" ({one.why})" if one.kind == "unknown_tag" else ""
    return f"line {one.event.index}, {clock(one.event.time)}: {_short(one.event.shown or one.event.operation)}{why}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _names(names: Iterable[str]) -> str:
    known = sorted(set(names))
    return (
        ", ".join(known[:3]) + (f" and {len(known) - 3} others" if len(known) > 3 else "")
        if any(known)
        else "an unknown account"
    )


def _s(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def clock(at: int) -> str:
    """UTC, for people."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(first: int, last: int) -> str:
    """`at T`, or `between T and T`."""
    if first // 1000 == last // 1000:
        return f"at {clock(first)}"
    start, end = datetime.fromtimestamp(first / 1000, UTC), datetime.fromtimestamp(last / 1000, UTC)
    return f"between {start:%Y-%m-%d %H:%M:%S} and {end:{'%H:%M:%S' if start.date() == end.date() else '%Y-%m-%d %H:%M:%S'}} UTC"


__all__ = ["clock", "drifts", "silent", "span"]
