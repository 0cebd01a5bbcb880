"""What pages, API and command line show of controls: what each came to last, its tests, and its history. Reads rows, runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from keyturn.errors import NotFound
from keyturn.evidence.catalogue import VERIFIED, Control
from keyturn.evidence.examining import NOT_INTACT
from keyturn.evidence.history import DAY_MS, Interval, Sign, Span, intervals, of_days, operated, spans
from keyturn.evidence.testing import Day, Exceptional, Setting
from keyturn.evidence.verdicts import NOT_TESTED, WORDS, Word, of_control
from keyturn.service import control_rows
from keyturn.service.core import Core
from keyturn.service.house_controls import House, house

NEVER = "The tests have not run yet."
LATE = 3
"""Intervals after which the last run is too old to speak for now."""
REACH = 22
"""Days before a period whose signs may still speak for its beginning: three intervals of a week, the longest that can be set, and some."""
MOST_DAYS = 3660
"""Days of history that are looked at, at most."""


class RunView(Struct, frozen=True):
    """A run of the tests: over which part of the log and which period (milliseconds), and why. `entry` -1: there was none yet.

    `stale`: it is so old that it says nothing about now. `running`: another one is under way. `trouble`: why the last one came to
    nothing. `problems`: what is wrong with the house's own controls.
    """

    id: str = ""
    entry: int = -1
    time: int = 0
    since: int = 0
    until: int = 0
    size: int = 0
    root: str = ""
    why: str = ""
    by: str = ""
    every: int = 0
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    stale: bool = True
    running: bool = False
    trouble: str = ""


class TestView(Struct, frozen=True):
    """A test and what it came to last. `exceptional` are the first exceptions; `changes`: [time, entry, verdict] of each change."""

    __test__ = False

    id: str
    title: str
    population_is: str
    exception_is: str
    rests_on: tuple[str, ...]
    query: str
    text: str
    settings: tuple[Setting, ...]
    values: dict[str, float]
    verdict: Word
    why: str
    population: int = 0
    exceptions: int = 0
    untested: int = 0
    exceptional: tuple[Exceptional, ...] = ()
    changes: tuple[tuple[int, int, str], ...] = ()


class ControlView(Struct, frozen=True):
    """A control, and what its tests came to last. `tested_part`: it is partial, and the verdict is about what is tested only."""

    framework: str
    id: str
    title: str
    gist: str
    passes: str
    how: str
    also: str
    applies: str
    tests: tuple[str, ...]
    optional: tuple[str, ...]
    verdict: Word
    why: str
    tested_part: bool
    population: int
    exceptions: int
    untested: int


class FrameworkView(Struct, frozen=True):
    """A framework: how many of its controls came to what."""

    id: str
    title: str
    edition: str
    counts: dict[Word, int]


class ControlsView(Struct, frozen=True):
    """All frameworks, and the run that they speak of."""

    run: RunView
    frameworks: tuple[FrameworkView, ...]


class WallView(Struct, frozen=True):
    """One framework's controls."""

    run: RunView
    framework: FrameworkView
    controls: tuple[ControlView, ...]


class HistoryView(Struct, frozen=True):
    """How a control did over [since, until): intervals without a hole, and from when to when it operated effectively."""

    since: int
    until: int
    intervals: tuple[Interval, ...]
    operated: tuple[Span, ...]
    days: tuple[Day, ...]


class ControlPage(Struct, frozen=True):
    """One control with its tests and its history."""

    run: RunView
    control: ControlView
    tests: tuple[TestView, ...]
    history: HistoryView


_About = tuple[str, str, str, tuple[str, ...], str, str, tuple[Setting, ...]]


class _Latest(Struct, frozen=True):
    """What a run recorded of one test."""

    test: str
    query: str
    settings: dict[str, float]
    population: int
    exceptions: int
    untested: int
    verdict: Word
    why: str = ""
    listed: tuple[Exceptional, ...] = ()


# --- the whole ----------------------------------------------------------------------------------------------------


def overview(core: Core) -> ControlsView:
    """Every framework."""
    found = _Now(core)
    frameworks = tuple(found.framework(name) for name in found.house.catalogue.frameworks)
    return ControlsView(found.run, frameworks)


def wall(core: Core, framework: str) -> WallView:
    """One framework's controls. Raises `FrameworkUnknown`."""
    found = _Now(core)
    controls = found.house.catalogue.framework(framework).controls
    return WallView(found.run, found.framework(framework), tuple(map(found.control, controls)))


def page(
    core: Core, framework: str, control: str, since: int | None = None, until: int | None = None
) -> ControlPage:
    """One control, with its history in [since, until). Raises `FrameworkUnknown`, `ControlUnknown`."""
    found = _Now(core)
    one = found.house.catalogue.control(framework, control)
    tests = tuple(found.test(test) for test in dict.fromkeys((*one.tests, *one.optional)))
    return ControlPage(found.run, found.control(one), tests, history(core, one, since, until))


def test(core: Core, name: str) -> TestView:
    """One test. Raises `NotFound`."""
    return _Now(core).test(name)


def run(core: Core) -> RunView:
    """The last run."""
    return _run(core)


def history(core: Core, control: Control, since: int | None = None, until: int | None = None) -> HistoryView:
    """How *control* did over [since, until): by default what the last run looked at, up to now."""
    now = core.now()
    last = _run(core)
    end = min(until, now + 1) if until is not None else max(now, last.time) + 1
    window = core.settings.evidence.window_days * DAY_MS
    start = max(0, since if since is not None else end - window, end - MOST_DAYS * DAY_MS)
    if start >= end:
        return HistoryView(start, start, (), (), ())
    rows = [
        core.ledger.row("control-test", test) for test in dict.fromkeys((*control.tests, *control.optional))
    ]
    days = of_days([msgspec.convert(row["days"], tuple[Day, ...]) for row in rows if row is not None])
    alive, ran = (spans(_signs(core, kind, start, end), end) for kind in ("presence", "control-ran"))
    found = intervals(days, alive, ran, start, end)
    within = tuple(one for one in days if start - DAY_MS < one.day < end)
    return HistoryView(start, end, found, operated(found), within)


def _signs(core: Core, kind: str, start: int, end: int) -> list[Sign]:
    """The signs of life of that kind, the oldest first, of the days that matter."""
    days = (end - start) // DAY_MS + 2 + REACH
    rows = core.ledger.rows(kind, newest_first=True, limit=days, before=(end, ""))
    kept = [row for row in rows if row["day"] >= start - REACH * DAY_MS]
    return [sign for row in reversed(kept) for sign in control_rows.signs(row)]


class _Now:
    """The last run, and the controls that the house has now."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.house = controls_of(core)
        self.run = _run(core)
        row = core.ledger.row("control-run", "latest")
        self.results = _results(core, row) if row else {}

    def latest(self, name: str) -> _Latest:
        """What a test came to last. A test that is another one than then was not run."""
        found = self.results.get(name)
        test = self.house.catalogue.tests.get(name)
        if found is None:
            why = self.house.unusable.get(name, "") or (
                NEVER if self.run.entry < 0 else "It was not among the tests of the last run."
            )
            return _Latest(name, test.digest if test else "", {}, 0, 0, 0, NOT_TESTED, why)
        if test is not None and found.query != test.digest:
            why = "The test was changed after the last run."
            return _Latest(name, test.digest, {}, 0, 0, 0, NOT_TESTED, why)
        return found

    def control(self, one: Control) -> ControlView:
        names = tuple(dict.fromkeys((*one.tests, *one.optional)))
        found = {name: self.latest(name) for name in names}
        word, why = of_control(
            {name: result.verdict for name, result in found.items()}, one.tests, one.optional
        )
        if word == NOT_TESTED:
            why = next(
                (r.why for r in found.values() if r.verdict == NOT_TESTED and r.why == NOT_INTACT), why
            )
        if word == NOT_TESTED and self.run.entry < 0:
            why = NEVER
        sums = [
            sum(getattr(result, name) for result in found.values())
            for name in ("population", "exceptions", "untested")
        ]
        return ControlView(
            one.framework, one.id, one.title, one.gist, one.passes, one.how, one.also, one.applies, one.tests, one.optional,
            word, why, one.how == "partial", *sums,
        )  # fmt: skip

    def framework(self, name: str) -> FrameworkView:
        one = self.house.catalogue.framework(name)
        counts = dict.fromkeys(WORDS, 0)
        for control in one.controls:
            counts[self.control(control).verdict] += 1
        return FrameworkView(one.id, one.title, one.edition, counts)

    def test(self, name: str) -> TestView:
        found = self.latest(name)
        row = self.core.ledger.row("control-test", name) or {"changes": []}
        changes = tuple((int(at), int(entry), str(word)) for at, entry, word in row["changes"])
        figures = (found.verdict, found.why, found.population, found.exceptions, found.untested)
        return TestView(name, *self._about(name), found.settings, *figures, found.listed, changes)

    def _about(self, name: str) -> _About:
        """Title, population, exception, tables, digest, text and thresholds."""
        if (verified := VERIFIED.get(name)) is not None:
            return (verified.title, verified.population, verified.exception, (), "", "", ())
        if (one := self.house.catalogue.tests.get(name)) is not None:
            return (
                one.title,
                one.population,
                one.exception,
                one.rests_on,
                one.digest,
                one.text,
                one.settings,
            )
        if name in self.house.unusable:
            return (name, "", "", (), "", "", ())
        raise NotFound(f"There is no test {name[:80]!r}.")


def controls_of(core: Core) -> House:
    """The controls of the policy in force."""
    active = core.ledger.row("policy-active", "active")
    known = core.controls
    digest = active["digest"] if active else ""
    if known is None or known[0] != digest:
        known = core.controls = (digest, house(core.ledger.row, core.ledger.blob))
    found: House = known[1]
    return found


def _run(core: Core) -> RunView:
    row = core.ledger.row("control-run", "latest")
    running, trouble = core.tests_running, core.tests_trouble
    if row is None:
        return RunView(running=running, trouble=trouble)
    every = row["every"] or core.settings.evidence.every or DAY_MS // 1000
    return RunView(
        row["id"], row["entry"], row["time"], row["since"], row["until"], row["size"], row["root"], row["why"], row["by"],
        row["every"], tuple(row["changed"]), tuple(row["problems"]), core.now() - row["time"] > LATE * every * 1000, running, trouble,
    )  # fmt: skip


def _results(core: Core, row: dict[str, Any]) -> dict[str, _Latest]:
    value = row["results"]
    if isinstance(value, dict):
        return dict(_decoded(core.bytes_of(value["blob"])))
    return {one.test: one for one in msgspec.convert(value, tuple[_Latest, ...])}


@lru_cache(maxsize=4)
def _decoded(data: bytes) -> Sequence[tuple[str, _Latest]]:
    return [(one.test, one) for one in msgspec.json.decode(data, type=tuple[_Latest, ...])]


__all__ = [
    "ControlPage", "ControlView", "ControlsView", "FrameworkView", "HistoryView", "RunView", "TestView", "WallView", "controls_of",
    "history", "overview", "page", "run", "test", "wall",
]  # fmt: skip
