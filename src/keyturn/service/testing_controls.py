"""Controls are tested continuously: on a schedule, after a change of what they rest on, and when somebody asks.

Rules kept here:

- Another process looks (`keyturn evidence test --json`), with less right to the processor: no gate waits for it. It is ended when it takes
  longer than `[evidence] limit`.
- What it found is recorded as one `control.tested`. One that fails, hangs or dies records nothing, is said in words and counted: the
  history has a gap there, never a pass.
- One run at a time; who asks meanwhile gets the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import to_builtins

from keyturn import canonical
from keyturn.errors import ExitCode, KeyturnError
from keyturn.evidence.examining import Examination
from keyturn.evidence.testing import Day, TestResult
from keyturn.ledger.entries import Draft, Entry, Plan, Prepared, Rows
from keyturn.service.control_rows import DAYS_AT_ONCE, FIGURES_AT_ONCE, spread
from keyturn.service.core import Core
from keyturn.service.evidence_settings import EvidenceSettings

log = logging.getLogger("keyturn.evidence")

Why = Literal["schedule", "change", "asked"]

SETTLED = 60.0
"""Seconds after a change until its effect is tested: changes come in groups."""
APART = 300.0
"""Seconds between two runs because of changes: the next one sees all that came meanwhile."""
WAITED = 60.0
"""Seconds that whoever asks for a run waits for it; it goes on."""
LONGEST_OUTPUT = 64 << 20
"""Bytes of what a run may say."""
CHANGES = ("policy.published", "definition.approved", "definition.withdrawn", "configuration.approved")
CHANGES_OF = ("person.", "key.", "gate.enrolled", "gate.removed", "delegation.")
"""Entries (by the beginning of their types) after which people, keys or gates are others."""


class RunFailed(KeyturnError):
    """A run of the tests came to no result: it failed, took too long, or was ended."""

    code = "evidence.run_failed"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "No result was recorded; the history has a gap there."
    next_step = "Run `keyturn evidence test` on the server's machine and read what it says; the server's log has its last words."


class Report(Examination, frozen=True):
    """What the other process says: an examination, and what is wrong with the house's own controls."""

    problems: tuple[str, ...] = ()


class TestingControls:
    """Runs the tests of a home, for as long as the server lives."""

    __test__ = False

    def __init__(
        self,
        core: Core,
        home: Path,
        settings: EvidenceSettings,
        *,
        failed: Callable[[], None] = lambda: None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._core, self._settings, self._told_failed = core, settings, failed
        own = [sys.executable, "-m", "keyturn", "evidence", "test", "--json", "--home", str(home)]
        self._command = tuple(command or own)
        self._wake = asyncio.Event()
        self._running = asyncio.Lock()
        self._due = 0.0
        self._why: Why = "schedule"
        self._started: float | None = None
        self._asked: asyncio.Task[Entry] | None = None

    # --- when ------------------------------------------------------------------------------------------------------

    def _first(self) -> float:
        """Seconds until the first run: what is overdue waits a moment, a new home a whole interval."""
        last = self._core.ledger.row("control-run", "latest")
        if last is None:
            return float(self._settings.every)
        passed: float = (self._core.now() - last["time"]) / 1000
        return max(min(SETTLED, self._settings.every), self._settings.every - max(0.0, passed))

    async def run(self) -> None:
        """Run the tests whenever it is time, for ever; never where that is switched off."""
        if not self._settings.every:
            return
        loop = asyncio.get_running_loop()
        self._due, self._started = loop.time() + self._first(), loop.time() - APART
        while True:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._due - loop.time())):
                    await self._wake.wait()
            if loop.time() < self._due:
                continue
            why, self._why = self._why, "schedule"
            self._started = loop.time()
            self._due = loop.time() + self._settings.every
            with contextlib.suppress(KeyturnError):  # said, counted, and tried again in an interval
                await self.now(why)

    def landed(self, entry: Entry) -> None:
        """*entry* was recorded: after a change the tests run soon."""
        if entry.type in CHANGES or entry.type.startswith(CHANGES_OF):
            self.changed()

    def changed(self) -> None:
        """Something that controls rest on may be another: run soon, if that is sooner than the schedule.

        Not in a new home, whose first run is still to come: it is being set up.
        """
        if self._started is None or self._core.ledger.row("control-run", "latest") is None:
            return
        soon = max(asyncio.get_running_loop().time() + SETTLED, self._started + APART)
        if soon < self._due:
            self._due, self._why = soon, "change"
            self._wake.set()

    # --- one run ---------------------------------------------------------------------------------------------------

    async def now(self, why: Why, by: str = "") -> Entry:
        """Run the tests and record what they came to. Raises `RunFailed`, and what the ledger raises."""
        async with self._running:
            self._core.tests_running = True
            try:
                report = await self._report()
                plan = await asyncio.to_thread(
                    recorded, self._core.id("t"), report, why, by, self._settings.every
                )
                entries = await self._core.ledger.append(plan)
            except KeyturnError as error:
                self._failed(error)
                raise
            finally:
                self._core.tests_running = False
            self._core.tests_trouble = ""
            return entries[0]

    async def asked(self, by: str) -> None:
        """Run the tests because *by* asked; returns when they are through, or after `WAITED`. Raises as `now`."""
        task = self._asked
        if task is None or task.done():
            task = self._asked = asyncio.create_task(self.now("asked", by))
            task.add_done_callback(_heard)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAITED):
                await asyncio.shield(task)

    def _failed(self, error: KeyturnError) -> None:
        self._core.tests_trouble = error.happened
        self._told_failed()
        log.warning("the controls could not be tested: %s", error)

    async def _report(self) -> Report:
        try:
            child = await asyncio.create_subprocess_exec(
                "nice", "-n", "10", *self._command,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            raise RunFailed(f"The tests could not be started: {error.strerror}.") from error
        try:
            async with asyncio.timeout(self._settings.limit):
                out, said = await _spoken(child)
        except TimeoutError:
            raise RunFailed(
                f"The tests took longer than {self._settings.limit} seconds and were ended."
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise RunFailed(f"The tests failed: {_last_words(said) or f'exit code {child.returncode}'}.")
        try:
            return msgspec.json.decode(out, type=Report)
        except msgspec.MsgspecError as error:
            raise RunFailed(f"What the tests said can't be read: {error}.") from error


def _heard(task: asyncio.Task[Entry]) -> None:
    """Whoever asked may have gone: what went wrong was said already."""
    if not task.cancelled():
        task.exception()


async def _spoken(child: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """All that it says, up to a bound, until it ends."""
    assert child.stdout is not None
    assert child.stderr is not None

    async def read(stream: asyncio.StreamReader) -> bytes:
        parts, size = [], 0
        while part := await stream.read(1 << 16):
            size += len(part)
            if size > LONGEST_OUTPUT:
                raise RunFailed("The tests said more than any result has.")
            parts.append(part)
        return b"".join(parts)

    out, said = await asyncio.gather(read(child.stdout), read(child.stderr))
    await child.wait()
    return out, said


def _last_words(said: bytes) -> str:
    """What a failed run said, as one line: `happened` of its error where it is one."""
    text = said[-4000:].decode("utf-8", "replace").strip()
    try:
        found = msgspec.json.decode(text.encode())["error"]["happened"]
        return str(found).rstrip(".")
    except (msgspec.MsgspecError, KeyError, TypeError):
        return " ".join(text.split())[-300:].rstrip(".")


# --- what is recorded ---------------------------------------------------------------------------------------------


def recorded(id: str, report: Report, why: str, by: str, every: int) -> Plan:
    """The entry of a run: figures of each test, and of each day those that are not known yet.

    The results are made beforehand, of what was recorded and so has no secrets in it: all recording waits for what a plan does.
    """
    data = canonical.dumps([_result(one) for one in report.results])
    results = Prepared(data, msgspec.json.decode(data))
    problems = [*report.problems, *_differed(report.refreshed.differed)]

    def plan(rows: Rows) -> list[Draft]:
        known = {one.test: rows.row("control-test", one.test) or {} for one in report.results}
        changed = [one.test for one in report.results if known[one.test].get("verdict") != one.verdict]
        fields: dict[str, Any] = {
            "id": id, "since": report.since, "until": report.until, "size": report.size, "root": report.root, "why": why,
            "results": results, "changed": changed, "every": every, "by": by,
            "problems": problems,
        }  # fmt: skip
        figures = [
            [one.test, one.verdict, one.population, one.exceptions, one.untested] for one in report.results
        ]
        days = [
            [one.test, to_builtins(new[at : at + DAYS_AT_ONCE])]
            for one in report.results
            if (new := _news(one.days, known[one.test].get("days", []), report.since))
            for at in range(0, len(new), DAYS_AT_ONCE)
        ]
        return [
            Draft(
                "control.tested",
                fields | spread("figures", figures, FIGURES_AT_ONCE) | spread("days", days, 1),
            )
        ]

    return plan


def _differed(tables: Sequence[str]) -> list[str]:
    """That rows at hand were not what the log gives: runs before this one may have been wrong."""
    if not tables:
        return []
    return [f"Tables at hand were not what the log gives, and were made again: {', '.join(tables)}."]


def _result(one: TestResult) -> dict[str, Any]:
    return {
        "test": one.test, "query": one.query, "settings": one.settings, "population": one.population, "exceptions": one.exceptions,
        "untested": one.untested, "verdict": one.verdict, "why": one.why, "listed": to_builtins(one.listed),
    }  # fmt: skip


def _news(days: Sequence[Day], known: Sequence[Sequence[int]], since: int) -> list[Day]:
    """Days that are not known, or are known otherwise; those of which nothing is left among them.

    The day in which the period begins is no news: its morning was not looked at.
    """
    before = {one[0]: list(one) for one in known if one[0] >= since}
    now = {one.day: one for one in days if one.day >= since}
    gone = [Day(day, 0, 0, 0) for day, *figures in before.values() if day not in now and any(figures)]
    new = [one for one in now.values() if before.get(one.day) != list(to_builtins(one))]
    return sorted((*gone, *new), key=lambda one: one.day)


__all__ = ["Report", "RunFailed", "TestingControls", "Why", "recorded"]
