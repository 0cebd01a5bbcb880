"""All tests run over a log in a store: the log itself first, then each test over the whole population of the period.

Rules kept here:

- Whatever goes wrong has words and no figures: a test that can't be run is `not-tested`, never a pass, and keeps no other from running.
- A log that is not intact proves nothing: what found an exception in it failed, everything else is not tested.
- Two tests are no queries: `log_intact` (its population are the log's entry bundles) and `kept_elsewhere` (checkpoints that somebody
  else kept and hands in).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from keyturn.errors import KeyturnError
from keyturn.evidence.errors import PeriodInvalid
from keyturn.evidence.kept import Head, Progress, Refreshed, kept
from keyturn.evidence.program.tables import DAY_MS, BadTest, Tables
from keyturn.evidence.testing import LISTED, Day, Exceptional, Test, TestResult
from keyturn.evidence.verdicts import FAIL, NOT_TESTED, of_test
from keyturn.ledger import checkpoint
from keyturn.ledger.errors import NoteInvalid
from keyturn.ledger.merkle import frontier_places, root_of_frontier
from keyturn.ledger.note import parse_vkey
from keyturn.ledger.storage import Store
from keyturn.ledger.tiles import WIDTH, subtrees
from keyturn.ledger.verify import Verdict, verify

LOG_INTACT, KEPT_ELSEWHERE = "log_intact", "kept_elsewhere"
VERIFIED = (LOG_INTACT, KEPT_ELSEWHERE)
"""Tests that verification answers, not a query."""

NOT_INTACT = "The log is not intact: see the test log_intact."
NONE_KEPT = "No checkpoint that somebody else kept was handed in (--head FILE)."


class Asked(Struct, frozen=True):
    """What to test: [since, until) in milliseconds since 1970; `heads` are signed checkpoints that somebody else kept.

    `settings` are thresholds by name, where they are not the tests' own. `listed`: how many exceptions are named; None for all.
    """

    since: int
    until: int
    settings: dict[str, float] = {}
    heads: tuple[str, ...] = ()
    afresh: bool = False
    listed: int | None = LISTED


class Examination(Struct, frozen=True):
    """What came of all tests, over which log. `refreshed` says what the tables took."""

    origin: str
    size: int
    root: str
    since: int
    until: int
    results: tuple[TestResult, ...]
    refreshed: Refreshed


def period(now: int, latest: int, since: int | None, until: int | None, window_ms: int) -> tuple[int, int]:
    """[since, until) in milliseconds, for what was asked. *latest* is the time of the log's newest entry.

    Without *until* it ends behind everything that is recorded, also where the clock went back since. Raises `PeriodInvalid`.
    """
    end = until if until is not None else max(now, latest) + 1
    start = since if since is not None else max(0, end - window_ms)
    if not 0 <= start < end:
        raise PeriodInvalid("The period ends before it begins.")
    if start > max(now, latest):
        raise PeriodInvalid("The period begins in the future.")
    return start, end


def examine(
    store: Store,
    vkey: str,
    folder: Path,
    tests: Iterable[Test],
    asked: Asked,
    now: int,
    *,
    unusable: Mapping[str, str] = {},
    progress: Progress = lambda done, of: None,
) -> Examination:
    """Run *tests* over the log in *store*, whose key is *vkey*; the tables are kept in *folder*.

    *unusable*: tests that can't be read, with why. Raises `EvidenceBusy`, `EvidenceUnusable`, and the store's own errors.
    """
    verdict = verify(store, vkey, leaves_only=True)
    log = _Log(verdict, asked)
    results = [log.intact(), log.kept_elsewhere(store, vkey)]
    results += [log.untested(name, why) for name, why in unusable.items()]
    every = sorted(tests, key=lambda one: one.id)
    refreshed = Refreshed(0)
    try:
        with kept(folder, store, log.head, now, afresh=asked.afresh, progress=progress) as (
            tables,
            refreshed,
        ):
            results += [log.result(test, tables) for test in every]
    except KeyturnError as error:
        if error.code.startswith(("evidence.", "store.")):
            raise
        results += [log.untested(test.id, f"The log can't be read: {error.happened}", test) for test in every]
    if not verdict.intact:
        results = [one if one.test == LOG_INTACT else _doubted(one) for one in results]
    ordered = tuple(sorted(results, key=lambda one: one.test))
    return Examination(
        verdict.origin, verdict.size, verdict.root, asked.since, asked.until, ordered, refreshed
    )


def _doubted(result: TestResult) -> TestResult:
    return result if result.verdict == FAIL else replace(result, verdict=NOT_TESTED, why=NOT_INTACT)


class _Log:
    """A verified log, and what is asked of it."""

    def __init__(self, verdict: Verdict, asked: Asked) -> None:
        self.verdict, self.asked = verdict, asked
        self.head = Head(verdict.origin, verdict.size, verdict.root)

    def result(self, test: Test, tables: Tables) -> TestResult:
        """What one test comes to."""
        period = (self.asked.since, self.asked.until, self.head.size)
        settings = test.values(self.asked.settings)
        try:
            found = tables.run(test.text, test.rests_on, period, settings, self.asked.listed)
        except BadTest as error:
            return self.untested(test.id, f"The test can't be run: {error}.", test)
        word, why = of_test(found.population, found.exceptions, found.untested)
        return self._result(
            test.id, test.digest, settings, (found.population, found.exceptions, found.untested),
            (Exceptional(*one) for one in found.listed), (Day(*one) for one in found.days), word, why,
        )  # fmt: skip

    def untested(self, name: str, why: str, test: Test | None = None) -> TestResult:
        """A test that could not be run."""
        settings = test.values(self.asked.settings) if test is not None else {}
        digest = test.digest if test is not None else ""
        return self._result(name, digest, settings, (0, 0, 0), (), (), *of_test(0, 0, 0, why))

    def intact(self) -> TestResult:
        """Whether the log is what its signed checkpoint says: each bundle of entries, recomputed."""
        bundles = -(-self.head.size // WIDTH)
        wrong = {one.index // WIDTH for one in self.verdict.problems if one.index is not None}
        exceptions = 0 if self.verdict.intact else min(max(1, len(wrong)), max(1, bundles))
        listed = (
            Exceptional(one.index or 0, self.asked.since, one.where, one.words)
            for one in self.verdict.problems
        )
        figures = (max(bundles, exceptions), exceptions, 0)
        return self._result(LOG_INTACT, "", {}, figures, listed, self._today(figures), *of_test(*figures))

    def kept_elsewhere(self, store: Store, vkey: str) -> TestResult:
        """Whether the log still begins with every one that somebody else kept the head of."""
        if not self.asked.heads:
            return self.untested(KEPT_ELSEWHERE, NONE_KEPT)
        listed = tuple(self._strays(store, vkey))
        figures = (len(self.asked.heads), len(listed), 0)
        return self._result(KEPT_ELSEWHERE, "", {}, figures, listed, self._today(figures), *of_test(*figures))

    def _today(self, figures: tuple[int, int, int]) -> tuple[Day, ...]:
        """What is verified is verified as of the day on which that is done."""
        last = self.asked.until - 1
        return (Day(last - last % DAY_MS, *figures),)

    def _strays(self, store: Store, vkey: str) -> Iterator[Exceptional]:
        for number, text in enumerate(self.asked.heads, 1):
            if why := _stray(text, self.head, store, vkey):
                yield Exceptional(max(0, self.head.size - 1), self.asked.since, f"checkpoint {number}", why)

    def _result(
        self,
        name: str,
        query: str,
        settings: dict[str, float],
        figures: tuple[int, int, int],
        listed: Iterable[Exceptional],
        days: Iterable[Day],
        word: str,
        why: str,
    ) -> TestResult:
        most = self.asked.listed
        named: Sequence[Exceptional] = tuple(listed)
        return TestResult(
            name, query, settings, self.asked.since, self.asked.until, self.head.size, self.head.root, *figures,
            tuple(named if most is None else named[:most]), tuple(days), word, why,  # type: ignore[arg-type]
        )  # fmt: skip


def _stray(text: str, head: Head, store: Store, vkey: str) -> str:
    """Why the log does not begin with the one of the checkpoint *text*; empty when it does."""
    try:
        kept = checkpoint.open_checkpoint(text, parse_vkey(vkey))
    except NoteInvalid as error:
        return f"It is not signed by this log's key: {error.happened}"
    if kept.origin != head.origin:
        return "It is of another log."
    if kept.size > head.size:
        return f"It has {kept.size:,} entries, the log only {head.size:,}."
    try:
        subtree = subtrees(head.size, store.tile)
        root = root_of_frontier([subtree(*place) for place in frontier_places(kept.size)])
    except KeyturnError as error:
        return error.happened
    return "" if root == kept.root else f"The first {kept.size:,} entries were others then."


__all__ = [
    "KEPT_ELSEWHERE", "LOG_INTACT", "VERIFIED", "Asked", "Examination", "examine", "period",
]  # fmt: skip
