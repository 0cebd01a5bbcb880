"""Charts as SVG, made here and not in a browser, so that they print: each says in words what it shows. Pure.

Rules kept here:

- A state is told by its pattern, too, not by colour alone: black-and-white print and colour-blind readers see the same.
- Colours stand in attributes, which a page's style sheet overrides by class (`k-pass`, `k-fail`, `k-gap`…).
- No script, no style attribute, no reference to anything outside: it goes under the strictest policy, and into a PDF.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

from keyturn.evidence.history import DAY_MS, Interval, Span
from keyturn.evidence.testing import Day

WIDE, LEFT, RIGHT = 720, 44, 8
INK, FAINT = "#1d2733", "#8a96a3"
FILLS = {
    "pass": "#2f7d4f",
    "fail": "#b3261e",
    "not-tested": "#8a6d1f",
    "no-population": "#ffffff",
    "gap": "#4a5561",
}
WORDS = {
    "pass": "pass",
    "fail": "fail",
    "not-tested": "not tested",
    "no-population": "no population",
    "gap": "gap",
}
_HATCH = {"fail": "M0 0L6 6M6 0L0 6", "not-tested": "M0 6L6 0", "gap": "M0 3H6"}
MOST_BARS = 92
MOST_BLOCKS, COLUMNS = 300, 240
_WORST = ("fail", "gap", "not-tested", "pass", "no-population")
STEPS = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)


def date(ms: int) -> str:
    """The day of *ms*, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def minute(ms: int) -> str:
    """*ms* to the minute, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def timeline(intervals: Sequence[Interval], since: int, until: int, *, dated: bool = True) -> str:
    """The states of a control over [since, until) as a strip, with dates below it or without."""
    intervals = _coarse(intervals, since, until)
    mark = _mark("t", dated, since, until, *((one.start, one.end, one.state) for one in intervals))
    parts = [_patterns(mark)]
    for one in intervals:
        x, wide = _x(one.start, since, until), _x(one.end, since, until) - _x(one.start, since, until)
        words = f"{WORDS[one.state]}, {minute(one.start)} to {minute(one.end)}" + (
            f": {one.why}" if one.why else ""
        )
        parts.append(_block(mark, one.state, x, 4, max(wide, 0.6), 20, words))
    return _svg(
        46 if dated else 28, _told(intervals), "".join(parts) + (_dates(since, until, 24) if dated else "")
    )


def bars(days: Iterable[Day], since: int, until: int, *, told: bool = True) -> str:
    """Members of the population by day, or by more days where there are many; exceptions stand at the foot of each bar.

    *told*: each bar says its figures when it is pointed at; a report, which is printed, has a shape for each state instead.
    """
    shapes: dict[str, list[str]] = {}
    groups, step = _groups(days, since, until)
    top = _round(max((one[1] for one in groups), default=0))
    mark = _mark("b", told, since, until, top, *groups)
    parts = [_patterns(mark), _scale(top)]
    for start, members, exceptions, untested in groups:
        x, end = _x(max(start, since), since, until), _x(min(start + step, until), since, until)
        wide = max((end - x) * 0.82, 0.8)
        words = f"{date(start)}: {members:,} looked at, {exceptions:,} exceptions" + (
            f", {untested:,} not tested" if untested else ""
        )
        foot = 84.0
        for state, count in (
            ("fail", exceptions),
            ("not-tested", untested),
            ("pass", members - exceptions - untested),
        ):
            high = 72 * max(count, 0) / top
            if count > 0:
                high = max(high, 1.5 if state == "fail" else 0.4)
                if told:
                    parts.append(_block(mark, state, x, foot - high, wide, high, words))
                else:
                    shapes.setdefault(state, []).append(
                        f"M{x:.1f} {foot - high:.1f}h{wide:.1f}v{high:.1f}h-{wide:.1f}z"
                    )
                foot -= high
        if exceptions:
            parts.append(_flag(x + wide / 2, words))
    parts += [_shape(mark, state, drawn) for state, drawn in shapes.items()]
    total, wrong = sum(one[1] for one in groups), sum(one[2] for one in groups)
    summed = (
        f"{total:,} members of the population from {date(since)} to {date(until - 1)}, {wrong:,} exceptions."
    )
    return _svg(106, summed, "".join(parts) + _dates(since, until, 84))


def presence(alive: Sequence[Span], since: int, until: int) -> str:
    """When Keyturn was there, as a strip."""
    states: list[Interval] = []
    at = since
    for one in alive:
        start, end = max(one.start, since), min(one.end, until)
        if start >= end:
            continue
        states += [Interval(at, start, "gap", "no heartbeat")] if start > at else []
        states.append(Interval(start, end, "pass", "heartbeats"))
        at = end
    states += [Interval(at, until, "gap", "no heartbeat")] if at < until else []
    return timeline(states, since, until)


def legend() -> str:
    """What the patterns mean."""
    mark = _mark("l")
    parts, x = [_patterns(mark)], 0.0
    for state, words in WORDS.items():
        parts.append(_block(mark, state, x, 3, 22, 14, words))
        parts.append(
            f'<text x="{x + 28:g}" y="14.5" font-size="11" fill="{INK}" class="k-ink">{words}</text>'
        )
        x += 40 + 6.6 * len(words) + 14
    return _svg(20, "Legend: " + ", ".join(WORDS.values()) + ".", "".join(parts))


def _svg(high: int, told: str, inner: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" role="img" class="k-chart" font-family="sans-serif">'
        f"<title>{_safe(told)}</title>{inner}</svg>"
    )


def _coarse(intervals: Sequence[Interval], since: int, until: int) -> Sequence[Interval]:
    """As they are where they are few; else one for each column, the worst of what lies in it, so that no history makes a page explode."""
    if len(intervals) <= MOST_BLOCKS:
        return intervals
    step = max((until - since) // COLUMNS, 1)
    worst: dict[int, Interval] = {}
    for one in intervals:
        first, last = (
            min(max(at - since, 0) // step, COLUMNS) for at in (one.start, max(one.end - 1, one.start))
        )
        for column in range(first, last + 1):
            known = worst.get(column)
            if known is None or _WORST.index(one.state) < _WORST.index(known.state):
                worst[column] = one
    made: list[Interval] = []
    for column in sorted(worst):
        start, state = since + column * step, worst[column].state
        if made and made[-1].state == state and made[-1].end == start:
            made[-1] = Interval(made[-1].start, min(start + step, until), state)
        else:
            made.append(Interval(start, min(start + step, until), state))
    return made


def _told(intervals: Sequence[Interval]) -> str:
    time: dict[str, int] = {}
    for one in intervals:
        time[one.state] = time.get(one.state, 0) + one.end - one.start
    whole = sum(time.values()) or 1
    return (
        "; ".join(f"{WORDS[state]} {100 * part / whole:.1f} % of the time" for state, part in time.items())
        or "No time."
    )


def _block(mark: str, state: str, x: float, y: float, wide: float, high: float, words: str) -> str:
    place = f'x="{x:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{high:.2f}"'
    edge = f' stroke="{FAINT}" stroke-dasharray="2 2"' if state == "no-population" else ""
    hatch = f'<rect {place} fill="url(#{mark}-{state})"/>' if state in _HATCH else ""
    return f'<g><title>{_safe(words)}</title><rect {place} fill="{FILLS[state]}"{edge} class="k-{state}"/>{hatch}</g>'


def _shape(mark: str, state: str, drawn: Sequence[str]) -> str:
    """Many blocks of one state as one shape."""
    path = "".join(drawn)
    hatch = f'<path d="{path}" fill="url(#{mark}-{state})"/>' if state in _HATCH else ""
    return f'<path d="{path}" fill="{FILLS[state]}" class="k-{state}"/>{hatch}'


def _flag(x: float, words: str) -> str:
    """A small triangle over a bar that holds exceptions, however few beside all the others."""
    return (
        f"<g><title>{_safe(words)}</title>"
        f'<path d="M{x - 4:.2f} 1h8l-4 7z" fill="{FILLS["fail"]}" class="k-fail"/></g>'
    )


def _patterns(mark: str) -> str:
    return "<defs>" + "".join(
        f'<pattern id="{mark}-{state}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<path d="{path}" stroke="#ffffff" stroke-width="1.2" fill="none"/></pattern>'
        for state, path in _HATCH.items()
    ) + "</defs>"  # fmt: skip


def _scale(top: int) -> str:
    return "".join(
        f'<line x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{y}" y2="{y}" stroke="{FAINT}" stroke-width="0.5"/>'
        f'<text x="{LEFT - 5}" y="{y + 3.5}" font-size="10" text-anchor="end" fill="{INK}" class="k-ink">{words}</text>'
        for y, words in ((12, f"{top:,}"), (48, f"{top / 2:,.0f}" if top > 1 else ""), (84, "0"))
    )


def _dates(since: int, until: int, y: float) -> str:
    made = []
    days = max((until - since) // DAY_MS, 1)
    count = int(min(6, max(2, days)))
    for at in range(count):
        ms = since + (until - since) * at // max(count - 1, 1)
        anchor = "start" if at == 0 else "end" if at == count - 1 else "middle"
        x = _x(ms, since, until)
        shown = date(ms if at < count - 1 else until - 1)
        made.append(
            f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{y}" y2="{y + 4}" stroke="{FAINT}"/>'
            f'<text x="{x:.2f}" y="{y + 15}" font-size="10" text-anchor="{anchor}" fill="{INK}" class="k-ink">{shown}</text>'
        )
    return "".join(made)


def _x(ms: int, since: int, until: int) -> float:
    share = (min(max(ms, since), until) - since) / max(until - since, 1)
    return LEFT + share * (WIDE - LEFT - RIGHT)


def _groups(days: Iterable[Day], since: int, until: int) -> tuple[list[tuple[int, int, int, int]], int]:
    """(start, members, exceptions, untested) of each bar, and how long one is."""
    first = since - since % DAY_MS
    span = max(math.ceil((until - first) / DAY_MS), 1)
    step = max(math.ceil(span / MOST_BARS), 1) * DAY_MS
    found: dict[int, list[int]] = {}
    for one in days:
        place = found.setdefault(first + (one.day - first) // step * step, [0, 0, 0])
        place[0] += one.population
        place[1] += one.exceptions
        place[2] += one.untested
    return [(start, *sums) for start, sums in sorted(found.items())], step  # type: ignore[misc]


def _round(most: int) -> int:
    """The scale's top: a round number that is not under *most*."""
    if most <= 1:
        return 1
    if most < 10:
        return most + most % 2
    power = int(10 ** (len(str(most)) - 1))
    return next(int(step * power) for step in STEPS if step * power >= most)


def _mark(*what: object) -> str:
    """An id that no other chart of the page has."""
    return "k" + sha256(repr(what).encode()).hexdigest()[:10]


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


__all__ = ["bars", "date", "legend", "minute", "presence", "timeline"]
