"""Controls are tested by the server itself: what is recorded, what pages read of it, and that a run that came to nothing is a gap."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from service_world import World

from keyturn.actions import Agent, Gate
from keyturn.errors import KeyturnError
from keyturn.evidence.history import DAY_MS
from keyturn.evidence.kept import Refreshed
from keyturn.evidence.testing import Day, TestResult
from keyturn.evidence.verdicts import Word
from keyturn.ledger.entries import MAX_FIELD_BYTES, Entry
from keyturn.service import control_views, testing_controls
from keyturn.service.control_rows import parts
from keyturn.service.evidence_settings import EvidenceSettings
from keyturn.service.heartbeats import Heartbeats
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Opener
from keyturn.service.testing_controls import Report, RunFailed, TestingControls, recorded
from processes import ended

HOUR = 3_600_000


def result(
    test: str, verdict: Word = "pass", days: Sequence[Day] = (), query: str = "", **more: Any
) -> TestResult:
    figures = {"population": 4, "exceptions": int(verdict == "fail"), "untested": 0, "listed": ()} | more
    return TestResult(
        test, query, {}, 0, 1, 5, "00", figures["population"], figures["exceptions"], figures["untested"], figures["listed"],
        tuple(days), verdict, "" if verdict == "pass" else "words",
    )  # fmt: skip


def report(since: int, until: int, *results: TestResult, problems: tuple[str, ...] = ()) -> Report:
    return Report("origin", 5, "00", since, until, results, Refreshed(5), problems)


async def record(service: Keyturn, found: Report, why: str = "schedule", every: int = 3600) -> Entry:
    core = service.core
    return (await core.ledger.append(recorded(core.id("t"), found, why, "", every)))[0]


def runner(service: Keyturn, world: World, *command: str, **settings: int) -> TestingControls:
    return TestingControls(
        service.core, world.home.root, EvidenceSettings(**settings), failed=lambda: failures.append(1), command=command or None
    )  # fmt: skip


failures: list[int] = []


def saying(text: str, *, code: int = 0, err: str = "") -> list[str]:
    """A program that says that and ends."""
    return [
        sys.executable,
        "-c",
        f"import sys; print({text!r}); print({err!r}, file=sys.stderr); sys.exit({code})",
    ]


def test_a_run_in_another_process_is_recorded_as_one_entry_with_figures_of_all_tests(world: World) -> None:
    async def story(service: Keyturn) -> None:
        entry = await runner(service, world).now("asked", "dana")
        fields = entry.fields
        assert (entry.type, fields["why"], fields["by"]) == ("control.tested", "asked", "dana")
        results = {one["test"]: one for one in service.core.full(fields["results"])}
        assert results["log_intact"]["verdict"] == "pass"
        assert results["changes_by_two"]["query"].startswith("sha256:")
        assert [one[0] for one in parts(fields, "figures")] == sorted(results)
        assert fields["size"] <= entry.index
        page = control_views.overview(service.core)
        assert page.run.entry == entry.index
        assert not page.run.stale
        assert {one.id for one in page.frameworks} >= {"soc2", "iso27001"}
        await Heartbeats(service.core, 300).beat()
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_before_the_first_run_nothing_passes(world: World) -> None:
    async def story(service: Keyturn) -> None:
        wall = control_views.wall(service.core, "soc2")
        assert {one.verdict for one in wall.controls} == {"not-tested"}
        assert {one.why for one in wall.controls} == {control_views.NEVER}
        assert wall.run.stale
        assert wall.framework.counts["not-tested"] == len(wall.controls)

    world.play(story)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (saying("nothing of the kind"), "can't be read"),
        (saying("", code=1, err='{"error": {"happened": "The disk is full."}}'), "The disk is full"),
        (saying("", code=1, err="Traceback: it broke"), "it broke"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "exit code -9"),
        (["/nowhere/at/all"], "The tests failed"),
    ],
    ids=["garbage", "error", "traceback", "killed", "missing"],
)
def test_a_run_that_fails_is_said_and_counted_and_records_nothing(
    world: World, command: list[str], words: str
) -> None:
    async def story(service: Keyturn) -> None:
        failures.clear()
        size = service.core.ledger.size
        with pytest.raises(RunFailed, match=words):
            await runner(service, world, *command).now("schedule")
        assert service.core.ledger.size == size
        assert failures == [1]
        run = control_views.run(service.core)
        assert (run.entry, run.running) == (-1, False)
        assert words in run.trouble

    world.play(story)


def test_a_run_that_hangs_is_ended(world: World, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = f"echo $$ > {pid}; exec sleep 600"  # a shell: it has begun long before the limit

    async def story(service: Keyturn) -> None:
        with pytest.raises(RunFailed, match="took longer than 2 seconds"):
            await runner(service, world, "/bin/sh", "-c", program, limit=2).now("schedule")
        assert ended(int(pid.read_text()))

    world.play(story)


def test_one_that_says_too_much_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing_controls, "LONGEST_OUTPUT", 1000)

    async def story(service: Keyturn) -> None:
        with pytest.raises(RunFailed, match="said more"):
            await runner(service, world, sys.executable, "-c", "while True: print('x' * 100)").now("schedule")

    world.play(story)


def test_two_who_ask_at_once_get_the_same_run(world: World) -> None:
    async def story(service: Keyturn) -> None:
        since = service.core.now() - HOUR
        found = report(since, since + HOUR, result("same_bytes"))
        service.testing = runner(service, world, *saying(msgspec.json.encode(found).decode()))
        size = service.core.ledger.size
        one, other = await asyncio.gather(service.test_controls("dana"), service.test_controls("riley"))
        assert one.entry == other.entry == size
        assert service.core.ledger.size == size + 1

    world.play(story)


def test_a_server_without_a_home_says_that_it_tests_nothing(world: World) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(RunFailed):
            await service.test_controls("dana")

    world.play(story)


# --- when it runs -------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def scheduled(service: Keyturn, world: World) -> AsyncIterator[TestingControls]:
    """One that waits for its time, in a home whose controls were tested just now."""
    await record(service, report(0, service.core.now(), result("same_bytes")))
    tests = runner(service, world, *saying("x"))
    task = asyncio.create_task(tests.run())
    await asyncio.sleep(0)
    yield tests
    task.cancel()


def test_a_change_of_people_or_policy_brings_the_next_run_forward_and_others_do_not(world: World) -> None:
    async def story(service: Keyturn) -> None:
        async with scheduled(service, world) as tests:
            loop = asyncio.get_running_loop()
            due = tests._due
            assert due - loop.time() > 3500
            session = await world.session(service)
            for entry in service.core.ledger.entries():
                if entry.session == session:
                    tests.landed(entry)
            assert tests._due == due
            person = next(e for e in service.core.ledger.entries() if e.type == "person.enrolled")
            before = loop.time()
            tests.landed(person)
            assert before + 60 <= tests._due <= loop.time() + 60
            again = tests._due
            tests.landed(person)
            assert tests._due <= again  # more changes don't put it off

    world.play(story)


def test_a_new_home_is_set_up_in_peace(world: World) -> None:
    async def story(service: Keyturn) -> None:
        tests = runner(service, world, *saying("x"))
        task = asyncio.create_task(tests.run())
        await asyncio.sleep(0)
        tests.changed()
        assert tests._due - asyncio.get_running_loop().time() > 3500
        task.cancel()

    world.play(story)


def test_what_is_overdue_runs_soon_after_the_start(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await record(service, report(0, service.core.now(), result("same_bytes")))
        service.core.clock = lambda: time.time() + 90_000
        tests = runner(service, world, *saying("x"))
        assert tests._first() == testing_controls.SETTLED
        service.core.clock = lambda: time.time() - 90_000  # the clock went back: no run is put off by that
        assert tests._first() == 3600

    world.play(story)


def test_changes_without_end_run_no_more_than_once_in_five_minutes(world: World) -> None:
    async def story(service: Keyturn) -> None:
        async with scheduled(service, world) as tests:
            loop = asyncio.get_running_loop()
            tests._started = loop.time()
            tests.changed()
            assert tests._due - loop.time() > 290

    world.play(story)


def test_switched_off_it_never_runs_by_itself(world: World) -> None:
    async def story(service: Keyturn) -> None:
        tests = runner(service, world, *saying("x"), every=0)
        await asyncio.wait_for(tests.run(), 120)
        tests.changed()

    world.play(story)


# --- what is recorded ----------------------------------------------------------------------------------------------


def test_days_are_recorded_once_and_again_when_they_are_others(world: World) -> None:
    async def story(service: Keyturn) -> None:
        first = service.core.now() // DAY_MS * DAY_MS - 9 * DAY_MS
        days = [Day(first + n * DAY_MS, 5, 0) for n in range(5)]
        since, until = first, first + 9 * DAY_MS
        one = await record(service, report(since, until, result("same_bytes", days=days)))
        assert [test for test, _ in parts(one.fields, "days")] == ["same_bytes"]
        two = await record(service, report(since, until, result("same_bytes", days=days)))
        assert list(parts(two.fields, "days")) == []
        days[2] = Day(days[2].day, 6, 1)
        three = await record(service, report(since, until, result("same_bytes", "fail", days=days)))
        assert list(parts(three.fields, "days")) == [["same_bytes", [[days[2].day, 6, 1, 0]]]]
        assert three.fields["changed"] == ["same_bytes"]
        four = await record(service, report(since, until, result("same_bytes", "fail", days=days[:4])))
        assert list(parts(four.fields, "days")) == [["same_bytes", [[days[4].day, 0, 0, 0]]]]
        later = await record(
            service,
            report(
                first + DAY_MS + 5,
                until,
                result("same_bytes", "fail", days=[Day(days[1].day, 1, 0), *days[2:4]]),
            ),
        )
        assert (
            list(parts(later.fields, "days")) == []
        )  # the day in which the period begins was seen in part only
        row = service.core.ledger.row("control-test", "same_bytes")
        assert row is not None
        assert row["days"][:3] == [[days[0].day, 5, 0, 0], [days[1].day, 5, 0, 0], [days[2].day, 6, 1, 0]]
        assert [word for _, _, word in row["changes"]] == ["pass", "fail"]

    world.play(story)


def test_rows_that_were_not_what_the_log_gives_are_recorded_as_a_problem(world: World) -> None:
    async def story(service: Keyturn) -> None:
        found = msgspec.structs.replace(
            report(0, 1, result("same_bytes")), refreshed=Refreshed(5, "it was asked for", ("person",))
        )
        entry = await record(service, found)
        assert entry.fields["problems"] == [
            "Tables at hand were not what the log gives, and were made again: person."
        ]
        assert control_views.run(service.core).problems == tuple(entry.fields["problems"])

    world.play(story)


def test_however_many_tests_and_days_there_are_rows_are_made_of_them(world: World) -> None:
    async def story(service: Keyturn) -> None:
        first = service.core.now() // DAY_MS * DAY_MS - 400 * DAY_MS
        days = [Day(first + n * DAY_MS, 10**10, 10**9, 10**9) for n in range(400)]
        found = [
            result(
                f"t{n:03d}".ljust(64, "x"), days=days, population=10**10, exceptions=10**10, untested=10**10
            )
            for n in range(100)
        ]
        entry = await record(service, report(first, first + 401 * DAY_MS, *found))
        assert all(
            len(msgspec.json.encode(v)) < MAX_FIELD_BYTES
            for k, v in entry.fields.items()
            if k.startswith(("figures", "days"))
        )
        row = service.core.ledger.row("control-test", found[-1].test)
        assert row is not None
        assert len(row["days"]) == 400
        assert isinstance(entry.fields["results"], dict)  # in a blob, which views read
        assert len(service.core.full(entry.fields["results"])) == 100

    world.play(story)


# --- history -------------------------------------------------------------------------------------------------------


def test_the_history_has_gaps_where_nobody_was_there_and_where_nothing_ran(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        control = control_views.controls_of(core).catalogue.control("soc2", "CC2.1")
        now = core.now()
        day = now - now % DAY_MS
        found = [result(test, days=[Day(day, 3, 0)]) for test in control.tests]
        await record(service, report(day, now + 1, *found))
        history = control_views.history(core, control, day)
        assert {one.state for one in history.intervals} == {"gap"}  # no heartbeat yet
        assert not history.operated
        await Heartbeats(core, 300).beat()
        history = control_views.history(core, control, now)
        assert history.intervals[-1].state == "pass"
        assert history.operated
        assert control_views.history(core, control, now + 5 * HOUR, now + HOUR).intervals == ()

    world.play(story)


def test_an_exception_shows_in_its_day_and_a_run_too_long_ago_says_nothing_of_now(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        control = control_views.controls_of(core).catalogue.control("soc2", "CC2.1")
        now = core.now()
        day = now - now % DAY_MS
        tests = control_views.controls_of(core).catalogue.tests
        found = [
            result(test, "fail", days=[Day(day, 3, 1)], query=tests[test].digest) for test in control.tests
        ]
        await record(service, report(day, now + 1, *found), every=60)
        await Heartbeats(core, 300).beat()
        page = control_views.page(core, "soc2", "CC2.1", now)
        assert page.control.verdict == "fail"
        assert page.history.intervals[-1].state == "fail"
        core.clock = lambda: now / 1000 + 400
        page = control_views.page(core, "soc2", "CC2.1", now)
        assert page.run.stale
        assert page.history.intervals[-1].state == "gap"

    world.play(story)


def test_the_history_of_a_period_long_past_is_its_own(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        control = control_views.controls_of(core).catalogue.control("soc2", "CC2.1")
        now = core.now()
        day = now - now % DAY_MS
        await record(
            service, report(day, now + 1, *[result(test, days=[Day(day, 3, 0)]) for test in control.tests])
        )
        await Heartbeats(core, 300).beat()
        heart = Heartbeats(core, 300)
        for later in range(1, 60):  # a sign of life on each of many days that follow
            then = now / 1000 + later * 86_400
            core.clock = core.ledger._writer._clock = lambda then=then: then  # type: ignore[misc]
            await heart.beat()
        assert core.ledger.count("presence") == 60
        history = control_views.history(core, control, now - 1000, now + 1000)
        assert history.until == now + 1000
        assert {one.state for one in history.intervals} >= {"pass"}

    world.play(story)


def test_a_test_that_was_changed_since_is_not_tested(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await record(service, report(0, 1, result("same_bytes", query="sha256:of another text")))
        found = control_views.test(service.core, "same_bytes")
        assert (found.verdict, found.why) == ("not-tested", "The test was changed after the last run.")
        with pytest.raises(KeyturnError):
            control_views.test(service.core, "no_such_test")

    world.play(story)


# --- heartbeats ----------------------------------------------------------------------------------------------------


def newest(service: Keyturn) -> dict[str, Any]:
    """Fields of the newest entry."""
    entry = service.core.ledger.entry(service.core.ledger.size - 1)
    assert entry is not None
    assert entry.type == "gate.heartbeat"
    return entry.fields


def test_a_heartbeat_says_who_asked(world: World) -> None:
    async def story(service: Keyturn) -> None:
        heart = Heartbeats(service.core, 300)
        await world.session(service)
        await heart.beat()
        first = newest(service)
        assert (first["number"], first["gates"], first["silent"]) == (1, [], [])  # idle is not silent
        gate = {"name": "hooks:test@here", "assurance": "cooperative"}
        heart.landed(Entry(9, 1, "action.decided", b"", (), {"gate": gate}))
        await heart.beat()
        assert newest(service)["gates"] == [{**gate, "asked": 1}]
        assert newest(service)["number"] == 2

    world.play(story)


def test_a_gate_that_died_without_a_word_is_silent_once(world: World) -> None:
    running = {4711: True, 4712: True}

    async def story(service: Keyturn) -> None:
        heart = Heartbeats(service.core, 300, lambda pid, started: running[pid])
        for pid, gate in ((4711, "exec:laptop"), (4712, "exec:build")):
            await service.open_session(
                agent=Agent("claude-code"), human=None, gate=Gate(gate, "enforced"), cwd="/", opener=Opener("uid:1000", pid, 7)
            )  # fmt: skip
        await heart.beat()
        assert newest(service)["silent"] == []
        running[4711] = False
        await heart.beat()
        assert newest(service)["silent"] == ["exec:laptop"]
        await heart.beat()
        assert newest(service)["silent"] == []

    world.play(story)


def test_a_heartbeat_after_a_long_sleep_speaks_for_no_more_than_two_intervals(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        heart = Heartbeats(core, 300)
        start = core.now()
        core.clock = lambda: start / 1000 + 7200
        await heart.beat()
        entry = core.ledger.entry(core.ledger.size - 1)
        assert entry is not None
        assert entry.fields["since"] == start + 7_200_000 - 600_000

    world.play(story)


def test_a_heartbeat_that_can_t_be_written_is_not_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        heart = Heartbeats(core, 300)
        append = core.ledger.append

        async def refuses(plan: Any) -> Any:
            raise KeyturnError("The disk is full.")

        monkeypatch.setattr(core.ledger, "append", refuses)
        before = core.now()
        await heart.beat()
        monkeypatch.setattr(core.ledger, "append", append)
        await heart.beat()
        entry = core.ledger.entry(core.ledger.size - 1)
        assert entry is not None
        assert entry.fields["number"] == 1
        assert entry.fields["since"] >= before

    world.play(story)


def test_without_an_interval_there_are_no_heartbeats(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await asyncio.wait_for(Heartbeats(service.core, 0).run(), 120)

    world.play(story)
