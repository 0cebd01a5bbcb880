"""`[limit.NAME]`: how much of something may happen in a time before people look.

    [limit.queries]
    counts = "on:database"               # which steps (`selectors`)
    per = ["agent", "target"]            # for each of these apart; everything together without it
    window = "1h"                        # sliding; 10s to 31d
    most = 200                           # the next one is held
    sum = "rows"                         # or "bytes": not how often, but how much (receipts say it)
    reserve = 1000                       # what an action counts for until its receipt says how much it was
    distinct = "target"                  # or "program": not how often, but how many different ones
    approve = "1 of dba"                 # who decides on what is over; the policy's default without it
    because = "nobody reviewed that many"

    [limit.queries.when]                 # only at these times: a window, as in requirements.toml
    from = "20:00"
    to = "06:00"

Rules kept here:

- What is let go counts: at once, or when people let it. What is held, refused or denied doesn't.
- An action that would exceed a limit is held, never let run: neither by a rule, nor as a part of something that was allowed, nor by a
  grant or a plan that people gave without knowing of it.
- A limit only makes decisions stricter. It never refuses: what people want in spite of it, they approve.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.policy import obligations
from keyturn.policy.drift.selectors import Selectors, read_selectors, shown
from keyturn.policy.requirements.part import Part
from keyturn.policy.requirements.windows import Window, read_window

PER = ("agent", "person", "target", "label", "session", "gate", "program")
SUMS = ("rows", "bytes")
DISTINCT = ("target", "program")
MOST_DIFFERENT = 4000
"""Largest `most` of a limit that counts different ones: so many are remembered."""
LARGEST = 10**15
WINDOW_SECONDS = (10, 31 * 86_400)


class Limit(Struct, frozen=True):
    """One limit; `window` is in milliseconds. `mark` is the same for limits that count the same: their counts go on."""

    name: str
    counts: Selectors
    window: int
    most: int
    per: tuple[str, ...] = ()
    sum: str = ""
    reserve: int = 0
    distinct: str = ""
    approve: str = ""
    because: str = ""
    when: Window | None = None
    mark: str = ""

    @property
    def about(self) -> str:
        """What it counts, as it was written."""
        return shown(self.counts)

    def on(self, at_ms: int) -> bool:
        """Whether it is one of its times."""
        return self.when is None or self.when.is_open(at_ms)

    @property
    def each(self) -> str:
        """Its window in words: `an hour`, `10 minutes`."""
        return _EACH.get(self.window, spoken(self.window))


Limits = Mapping[str, Limit]

_EACH = {60_000: "a minute", 3_600_000: "an hour", 86_400_000: "a day"}
_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


def spoken(ms: int) -> str:
    """A stretch of time in words, in the largest unit that it has two of: `57 minutes`, `2 hours`, `1 minute`."""
    for unit, name in _UNITS:
        if ms >= 2 * unit or (ms >= unit and ms % unit == 0):
            many = round(ms / unit)
            return f"{many} {name}{'s' if many != 1 else ''}"
    return "1 second"


def read_limits(part: Part) -> dict[str, Limit]:
    """All `[limit.NAME]`."""
    return {one.name: found for one in part.named() if (found := _limit(one)) is not None}


def _limit(part: Part) -> Limit | None:
    part.known("counts", "per", "window", "most", "sum", "reserve", "distinct", "approve", "because", "when")
    counts = read_selectors(part, "counts")
    if not counts and "counts" not in part.body:
        part.wrong(part.name, f"[{part.heading}] says what it counts", 'counts = "on:database"')
    window, most = _window_seconds(part), whole(part, "most", None, 0)
    per = part.texts("per")
    for name in per:
        if name not in PER:
            part.wrong(name, f"a limit counts per {', '.join(PER)}")
    total = part.choice("sum", ("", *SUMS), "")
    distinct = part.choice("distinct", ("", *DISTINCT), "")
    _check(part, total, distinct, per, most)
    limit = Limit(
        name=part.name,
        counts=counts,
        window=window * 1000,
        most=most,
        per=tuple(dict.fromkeys(per)),
        sum=total,
        reserve=whole(part, "reserve", 0, 0),
        distinct=distinct,
        approve=requirement(part),
        because=part.text("because"),
        when=_when(part),
    )
    return _marked(limit)


def _check(part: Part, total: str, distinct: str, per: tuple[str, ...], most: int) -> None:
    if total and distinct:
        part.wrong("distinct", "it is a sum, or a number of different ones, not both")
    if distinct and distinct in per:
        part.wrong("distinct", f"per {distinct} there is only one {distinct}")
    if distinct and most > MOST_DIFFERENT:
        part.wrong("most", f"at most {MOST_DIFFERENT:,} different ones are told apart")
    if "reserve" in part.body and not total:
        part.wrong("reserve", "only a sum is unknown until the receipt", 'sum = "rows"')


def _marked(limit: Limit) -> Limit:
    counting = {
        "counts": [one.text for one in limit.counts],
        "per": list(limit.per),
        "window": limit.window,
        "sum": limit.sum,
        "distinct": limit.distinct,
        "when": None if limit.when is None else [limit.when.days, limit.when.opens, limit.when.closes, limit.when.timezone],
    }  # fmt: skip
    fields: dict[str, Any] = {name: getattr(limit, name) for name in limit.__struct_fields__}
    fields["mark"] = canonical.digest(to_builtins(counting)).removeprefix("sha256:")[:16]
    return Limit(**fields)


def _window_seconds(part: Part) -> int:
    seconds = part.seconds("window", 3600)
    if "window" not in part.body:
        part.wrong(part.name, f"[{part.heading}] has a window", 'window = "1h"')
    low, high = WINDOW_SECONDS
    if not low <= seconds <= high:
        part.wrong("window", "a window is 10s to 31d")
    return seconds


def _when(part: Part) -> Window | None:
    if "when" not in part.body:
        return None
    return read_window(Part(part.table, f"{part.heading}.when", part.body["when"]))


def whole(part: Part, key: str, default: int | None, least: int) -> int:
    """A whole number; required where there is no *default*."""
    value = part.body.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST:
        where = key if key in part.body else part.name
        part.wrong(where, f"[{part.heading}] has a {key}: a whole number from {least} on", f"{key} = 200")
        return default or least
    return value


def requirement(part: Part) -> str:
    """`approve`, checked."""
    approve = part.text("approve")
    try:
        return obligations.requirement_text(approve) if approve else ""
    except ValueError as error:
        part.wrong("approve", str(error))
        return ""


__all__ = ["PER", "Limit", "Limits", "read_limits", "requirement", "spoken", "whole"]
