"""`[window.NAME]`: when things may be approved and run.

    [window.office]
    days = ["mon", "tue", "wed", "thu", "fri"]    # the day on which it opens; all days without it
    from = "09:00"
    to = "17:00"                                  # before `from`: it ends on the next day
    timezone = "Europe/Berlin"
    except = ["2026-12-24"]                       # dates on which it does not open

Rules kept here:

- A window is open at an instant exactly when the wall clock of its zone then shows a time from `from` (included) to `to`
  (excluded), and the day on which that stretch began is one of its days. So an hour that summer time skips is not open,
  and an hour that comes twice is open twice. Source: PEP 495 (fold), RFC 5545 §3.3.5 (local times that don't exist).
- `next_opening` gives an instant at which the window is open, and no earlier one is (behind the instant asked about).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo

from msgspec import Struct

from keyturn.policy.requirements.part import Part

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
LOOKAHEAD_DAYS = 370
"""A window that does not open within a year, whatever is excepted, counts as one that never opens."""

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Window(Struct, frozen=True):
    """One window. `opens` and `closes` are minutes of the day (0–1440); `zone` its time zone and `timezone` that one's name."""

    name: str
    days: tuple[int, ...]
    opens: int
    closes: int
    timezone: str
    zone: tzinfo
    excepted: tuple[date, ...] = ()

    @property
    def overnight(self) -> bool:
        """Whether it ends on the day after the one on which it opens."""
        return self.closes < self.opens

    def is_open(self, at_ms: int) -> bool:
        """Whether it is open at *at_ms* (milliseconds since 1970)."""
        return self._shows(_at(at_ms).astimezone(self.zone))

    def next_opening(self, at_ms: int) -> int | None:
        """The first instant from *at_ms* on at which it is open; None when there is none within a year."""
        if self.is_open(at_ms):
            return at_ms
        start = _at(at_ms)
        for days in range(LOOKAHEAD_DAYS):
            found = [
                ms for ms in self._turns(start + timedelta(days=days)) if ms > at_ms and self.is_open(ms)
            ]
            if found:
                return min(found)
        return None

    def _shows(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        if not self.overnight:
            return self.opens <= minute < self.closes and self._counts(local.date())
        if minute >= self.opens:
            return self._counts(local.date())
        return minute < self.closes and self._counts(local.date() - timedelta(days=1))

    def _counts(self, day: date) -> bool:
        return day.weekday() in self.days and day not in self.excepted

    def _turns(self, around: datetime) -> Iterable[int]:
        """The instants near *around*'s day at which it may open: its hour, both times where it comes twice; midnight; and
        where the zone's clock is moved.
        """
        day = around.astimezone(self.zone).date()
        for minute in {self.opens % DAY_MINUTES, 0}:
            for fold in (0, 1):
                local = datetime(
                    day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=self.zone, fold=fold
                )
                yield _ms(local)
        yield from self._clock_moves(datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC))

    def _clock_moves(self, begin: datetime) -> Iterable[int]:
        """When the zone's offset changes in the 26 hours from *begin* on (a day has at most 25), to the second."""
        low, high = int(begin.timestamp()), int(begin.timestamp()) + 26 * 3600
        if self._offset(low) == self._offset(high):
            return
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == self._offset(low) else (low, middle)
        yield high * 1000

    def _offset(self, second: int) -> timedelta | None:
        return datetime.fromtimestamp(second, self.zone).utcoffset()


Windows = Mapping[str, Window]


def closed(windows: Windows, names: Iterable[str], at_ms: int) -> tuple[str, ...]:
    """Which of the windows called *names* are not open; one that is not described never is."""
    return tuple(name for name in names if name not in windows or not windows[name].is_open(at_ms))


def next_opening(windows: Windows, names: Iterable[str], at_ms: int) -> int | None:
    """The first instant from *at_ms* on at which all of them are open; None when there is none within a year."""
    wanted = tuple(names)
    now = at_ms
    while now <= at_ms + LOOKAHEAD_DAYS * DAY_MINUTES * 60_000:
        shut = closed(windows, wanted, now)
        if not shut:
            return now
        openings = [windows[name].next_opening(now) if name in windows else None for name in shut]
        if any(opening is None for opening in openings):
            return None
        now = max(opening for opening in openings if opening is not None)
    return None


def shown(at_ms: int, zone: tzinfo = UTC) -> str:
    """An instant in words: `Mon 30 Nov 2026, 09:00 CET`."""
    local = _at(at_ms).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} {local.tzname() or 'UTC'}"


def read_windows(part: Part) -> dict[str, Window]:
    """All `[window.NAME]`."""
    return {one.name: window for one in part.named() if (window := read_window(one)) is not None}


def read_window(part: Part) -> Window | None:
    """The window that *part* describes, None where that is wrong."""
    part.known("days", "from", "to", "timezone", "except")
    days = _days(part)
    opens, closes = _clock(part, "from"), _clock(part, "to")
    if opens is None or closes is None:
        return None
    if opens == closes:
        part.wrong(
            "to", "it never opens: it ends when it begins", 'a whole day is from = "00:00", to = "24:00"'
        )
    if opens == DAY_MINUTES:
        part.wrong("from", "a day begins at 00:00")
    zone = part.zone()
    return Window(part.name, days, opens, closes, part.text("timezone", "UTC"), zone, _dates(part))


def _days(part: Part) -> tuple[int, ...]:
    if "days" not in part.body:
        return tuple(range(7))
    named = part.texts("days")
    for day in named:
        if day not in DAYS:
            part.wrong(day, f"a day is one of {', '.join(DAYS)}")
    if not named:
        part.wrong("days", "it never opens: it has no days")
    return tuple(sorted({DAYS.index(day) for day in named if day in DAYS}))


def _clock(part: Part, key: str) -> int | None:
    text = part.required(key, f'{key} = "09:00"')
    if _CLOCK.fullmatch(text):
        return int(text[:2]) * 60 + int(text[3:])
    if text:
        part.wrong(key, f"{key} is a time of day such as 09:00")
    return None


def _dates(part: Part) -> tuple[date, ...]:
    found = []
    for text in part.texts("except"):
        try:
            if not _DATE.fullmatch(text):
                raise ValueError
            found.append(date.fromisoformat(text))
        except ValueError:
            part.wrong(text, "a date is written 2026-12-24")
    return tuple(sorted(found))


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(local: datetime) -> int:
    return int(local.timestamp()) * 1000
