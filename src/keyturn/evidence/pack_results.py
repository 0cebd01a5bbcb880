"""What the tests and controls of a pack came to: every test over the whole population, in as many processes as read the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor

from msgspec import Struct
from msgspec.structs import replace

from keyturn.evidence import verdicts
from keyturn.evidence.controls import VERIFIED, Catalogue, Framework
from keyturn.evidence.history import Sign, Span, intervals, of_days, spans
from keyturn.evidence.limits import load_limits
from keyturn.evidence.program.tables import BadTest, Outcome, Tables
from keyturn.evidence.report import figures
from keyturn.evidence.report.model import Assessed, Frame, KeptHead, Report, Tested
from keyturn.evidence.testing import ControlResult, Day, Exceptional, Period, Test, TestResult

NOBODY = "Nobody handed in a checkpoint that was kept elsewhere."


class Asked(Struct, frozen=True):
    """One test to run: with which thresholds, over which period."""

    test: Test
    settings: dict[str, float]
    period: Period


class Verification(Struct, frozen=True):
    """What answers the tests that are no queries: how many bundles lead to the root, and the heads that others kept."""

    bundles: int
    heads: tuple[KeptHead, ...]


class Told(Struct, frozen=True):
    """What the report tells beside results: when Keyturn gave a sign of life, figures, and approvals, as `Report` has them."""

    alive: tuple[Span, ...]
    figures: tuple[tuple[str, int], ...]
    approvals: tuple[tuple[str, int], ...]


def asked(found: Catalogue, framework: Framework, period: Period) -> tuple[Asked, ...]:
    """The framework's queries by rising id, with the house's thresholds."""
    names = {name for control in framework.controls for name in control.tests}
    tests = [found.tests[name] for name in sorted(names) if name not in VERIFIED]
    return tuple(Asked(test, test.values(found.settings), period) for test in tests)


def outcome(path: str, one: Asked) -> tuple[Outcome | None, str]:
    """What a test came to over the tables in a file, or why it can't be run."""
    tables = Tables(path)
    period = (one.period.since, one.period.until, one.period.size)
    try:
        return Outcome(*tables.run(one.test.text, one.test.rests_on, period, one.settings)), ""
    except BadTest as error:
        return None, f"It can't be run: {error}."
    finally:
        tables.close()


def indexed(path: str) -> None:
    """Make what tests join by quick to find, in the tables in a file."""
    tables = Tables(path)
    try:
        tables.index()
    finally:
        tables.close()


def run(pool: Executor | None, path: str, tests: Sequence[Asked], root: str) -> Iterator[TestResult]:
    """Every test, in the order given. Those of *pool* run them while this process does something else."""
    paths = [path] * len(tests)
    found = map(outcome, paths, tests) if pool is None else pool.map(outcome, paths, tests)
    return (_result(one, *came, root) for one, came in zip(tests, found, strict=True))


def _result(one: Asked, came: Outcome | None, why: str, root: str) -> TestResult:
    if came is None:
        return _judged(one.test.id, one.test.digest, one.settings, one.period, root, (0, 0, 0), why)
    listed = tuple(Exceptional(*each) for each in came.listed)
    days = tuple(Day(*each) for each in came.days)
    counts = (came.population, came.exceptions, came.untested)
    found = _judged(one.test.id, one.test.digest, one.settings, one.period, root, counts, why)
    return replace(found, listed=listed, days=days)


def _judged(
    test: str,
    query: str,
    settings: dict[str, float],
    period: Period,
    root: str,
    counts: tuple[int, int, int],
    why: str,
) -> TestResult:
    verdict, words = verdicts.of_test(*counts, why)
    return TestResult(
        test, query, settings, period.since, period.until, period.size, root, *counts, (), (), verdict, words
    )


def verified(framework: Framework, found: Verification, period: Period, root: str) -> list[TestResult]:
    """The results of the framework's tests that verification answers."""
    broken = sum(not one.prefix for one in found.heads)
    figures = {
        "log_intact": (found.bundles, 0, ""),
        "kept_elsewhere": (len(found.heads), broken, "" if found.heads else NOBODY),
    }
    names = {name for control in framework.controls for name in control.tests}
    return [
        _judged(name, "", {}, period, root, (population, exceptions, 0), why)
        for name, (population, exceptions, why) in figures.items()
        if name in names
    ]


def judged(framework: Framework, tests: Iterable[TestResult]) -> list[ControlResult]:
    """What each control of the framework came to, in its order."""
    words = {one.test: one.verdict for one in tests}
    made = []
    for control in framework.controls:
        verdict, why = verdicts.of_control(words, control.tests, control.optional)
        made.append(ControlResult(framework.id, control.id, verdict, why, control.tests))
    return made


def told(tables: Tables, until: int) -> Told:
    """What the report tells of *tables*, which have the period set; it ends at *until*."""

    def ask(text: str) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = tables.db.execute(text).fetchall()
        return rows

    beats = tables.db.execute(figures.HEARTBEATS).fetchall()
    alive = spans((Sign(time, time, (every or 0) * 1000) for time, every in beats), until)
    return Told(alive, figures.figures(ask), figures.approvals(ask))


def report(
    frame: Frame,
    framework: Framework,
    tests: Mapping[str, Test],
    results: Sequence[TestResult],
    controls: Sequence[ControlResult],
    found: Verification,
    also: Told,
) -> Report:
    """The report for people."""
    by_id = {one.test: one for one in results}
    whole = (Span(frame.since, frame.until),)
    assessed = []
    for control, result in zip(framework.controls, controls, strict=True):
        days = of_days(by_id[name].days for name in control.tests if name in by_id)
        history = intervals(days, also.alive, whole, frame.since, frame.until)
        assessed.append(Assessed(control, result, history, days))
    return Report(
        frame,
        tuple(assessed),
        {name: Tested(_text(name, tests), one) for name, one in by_id.items()},
        also.figures,
        also.approvals,
        also.alive,
        found.heads,
        tuple(f"{one.says} {one.shown_by}".strip() for one in load_limits()),
    )


def _text(name: str, tests: Mapping[str, Test]) -> Test:
    """A test as the report shows it, also one that is no query."""
    if name in tests:
        return tests[name]
    one = VERIFIED[name]
    return Test(name, one.title, "", "", one.population, one.exception, ())


__all__ = [
    "Asked",
    "Told",
    "Verification",
    "asked",
    "indexed",
    "judged",
    "outcome",
    "report",
    "run",
    "told",
    "verified",
]
