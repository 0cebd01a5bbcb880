"""All tests over a real log: figures of what is there, and never a pass where something can't be looked at."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import csv
from hypothesis import given
from hypothesis import strategies as st
from recorded import ORIGIN, Recorded
from world import DAY, START, World

from keyturn.evidence import kept as kept_tables
from keyturn.evidence.errors import EvidenceBusy, EvidenceUnusable, PeriodInvalid
from keyturn.evidence.examining import NOT_INTACT, Asked, Examination, examine, period
from keyturn.evidence.kept import AFRESH_MS, FILE, SEAL, Head, kept
from keyturn.evidence.program.rows import TABLES
from keyturn.evidence.testing import Test, TestResult, read_test

WHOLE = Asked(START - DAY, START + 400 * DAY)
HEADING = "-- Enrolled by two\n-- population: people who were enrolled\n-- exception: nobody approved it\n-- rests on: person\n"
ENROLLED = read_test(
    "enrolled",
    HEADING
    + "SELECT entry, ts_ms, person AS subject, CASE WHEN alone = 1 THEN 'alone' ELSE '' END AS exception\n"
    + "FROM person, period WHERE event = 'enrolled' AND ts_ms >= since_ms AND ts_ms < until_ms AND entry < size\n"
    + "ORDER BY entry, subject, exception\n",
)
BROKEN = read_test("broken", HEADING + "SELECT entry FROM nowhere\n")
SLIPPING = read_test(
    "slipping", HEADING + "SELECT entry, 0 AS ts_ms, '' AS subject, '' AS exception FROM person\n"
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Recorded]:
    world = World()
    world.begin()
    world.ran(world.session())
    made = Recorded(world, tmp_path)
    yield made
    made.close()


def run(log: Recorded, *tests: Test, asked: Asked = WHOLE, now: int = START + DAY) -> Examination:
    store = log.store()
    try:
        return examine(store, log.vkey, log.folder / "evidence", tests, asked, now)
    finally:
        store.close()


def named(found: Examination) -> dict[str, TestResult]:
    return {one.test: one for one in found.results}


def test_each_test_has_its_figures_the_log_s_root_and_its_own_digest(log: Recorded) -> None:
    found = run(log, ENROLLED)
    one = named(found)["enrolled"]
    assert (one.verdict, one.population, one.exceptions, one.untested) == ("fail", 7, 1, 0)
    assert [(e.subject, e.exception) for e in one.listed] == [("bea", "alone")]
    assert (one.size, one.root, one.query) == (log.ledger.size, found.root, ENROLLED.digest)
    intact = named(found)["log_intact"]
    assert (intact.verdict, intact.population, intact.days[0].population) == ("pass", 1, 1)


def test_what_can_t_be_run_is_not_tested_and_keeps_no_other_from_running(log: Recorded) -> None:
    found = named(run(log, BROKEN, ENROLLED, SLIPPING))
    assert found["broken"].verdict == found["slipping"].verdict == "not-tested"
    assert "no such" in found["broken"].why
    assert "outside of the period" in found["slipping"].why
    assert found["enrolled"].verdict == "fail"


def test_a_period_without_data_passes_nothing(log: Recorded) -> None:
    found = named(run(log, ENROLLED, asked=Asked(START - 9 * DAY, START - 8 * DAY)))
    assert found["enrolled"].verdict == "no-population"


def test_nobody_handed_in_a_checkpoint_and_that_is_not_tested(log: Recorded) -> None:
    assert named(run(log))["kept_elsewhere"].verdict == "not-tested"


def test_a_checkpoint_that_somebody_kept_is_looked_up_in_the_log(log: Recorded, tmp_path: Path) -> None:
    early = log.ledger.head()
    log.world.enrol("zoe")
    log.catch_up()
    assert (
        named(run(log, asked=Asked(START, START + DAY, heads=(early,))))["kept_elsewhere"].verdict == "pass"
    )
    (tmp_path / "other").mkdir()
    other_world = World(START + 5)
    other_world.begin()
    other = Recorded(other_world, tmp_path / "other")  # the same key and origin: another history
    other.close()
    for head in (other.ledger.head(), "no checkpoint", early.replace("\n", "\n9", 1)):
        one = named(run(log, asked=Asked(START, START + DAY, heads=(early, head))))["kept_elsewhere"]
        assert (one.verdict, one.population, one.exceptions) == ("fail", 2, 1)


def test_a_damaged_log_fails_and_proves_nothing_else(log: Recorded) -> None:
    for _ in range(3):
        log.world.ran(log.world.session())
    log.catch_up()
    alone = Asked(START + 5000, START + 400 * DAY)
    assert named(run(log, ENROLLED, asked=alone))["enrolled"].verdict == "pass"  # negative control
    database = sqlite3.connect(log.path)
    last = "idx = (select max(idx) from entry)"
    forged = """cast(replace(cast(leaf as text), '"v":1', '"v":2') as blob)"""
    database.execute(f"update entry set leaf = {forged} where {last}")
    database.commit()
    found = named(run(log, ENROLLED, asked=alone))
    assert found["log_intact"].verdict == "fail"
    assert found["log_intact"].exceptions >= 1
    assert found["enrolled"].verdict == "not-tested"
    database.close()


def test_a_log_that_is_not_intact_passes_nothing_even_where_it_can_be_read(log: Recorded) -> None:
    alone = Asked(START + 5000, START + 400 * DAY)
    database = sqlite3.connect(log.path)
    database.execute("update tile set hashes = zeroblob(length(hashes))")
    database.commit()
    database.close()
    found = named(run(log, ENROLLED, asked=alone))
    assert found["log_intact"].verdict == "fail"
    assert found["enrolled"].verdict == "not-tested"
    assert found["enrolled"].why == NOT_INTACT or "can't be read" in found["enrolled"].why


# --- the period ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**45), st.integers(0, 2**45), st.integers(1, 2**40))
def test_the_window_covers_everything_recorded_whatever_the_clock_did(
    now: int, latest: int, window: int
) -> None:
    since, until = period(now, latest, None, None, window)
    assert 0 <= since < until
    assert max(now, latest) == until - 1
    assert until - since <= window or since == 0


@pytest.mark.parametrize(("since", "until"), [(5, 5), (6, 5), (-1, 5), (101, None)])
def test_a_period_that_is_none_is_refused(since: int, until: int | None) -> None:
    with pytest.raises(PeriodInvalid):
        period(100, 50, since, until, 10)


# --- the tables that are kept --------------------------------------------------------------------------------------


def rows_of(
    log: Recorded, *, now: int = START + DAY, afresh: bool = False
) -> tuple[dict[str, bytes], kept_tables.Refreshed]:
    store = log.store()
    try:
        size, root = log.ledger.size, log.ledger.head().splitlines()[2]
        head = Head(ORIGIN, size, base64.b64decode(root).hex())
        with kept(log.folder / "evidence", store, head, now, afresh=afresh) as (tables, done):
            return {table: csv(tables, table) for table in TABLES}, done
    finally:
        store.close()


def test_the_tables_go_on_where_they_were_and_are_what_they_would_be_made_anew(log: Recorded) -> None:
    first, done = rows_of(log)
    assert (done.read, done.again) == (log.ledger.size, "there were none")
    assert rows_of(log)[1].read == 0
    before = log.ledger.size
    log.world.ran(log.world.session())
    log.catch_up()
    second, done = rows_of(log)
    assert (done.read, done.again) == (log.ledger.size - before, "")
    again, done = rows_of(log, afresh=True)
    assert (done.again, done.differed) == ("it was asked for", ())
    assert again == second
    assert first["event"] in second["event"]


def test_nobody_but_the_owner_reads_them(log: Recorded) -> None:
    rows_of(log)
    folder = log.folder / "evidence"
    assert folder.stat().st_mode & 0o77 == 0
    assert {one.name: one.stat().st_mode & 0o77 for one in folder.iterdir()} == {FILE: 0, SEAL: 0, "lock": 0}


def test_rows_that_somebody_changed_are_made_again_and_named(log: Recorded) -> None:
    sound, _ = rows_of(log)
    file = log.folder / "evidence" / FILE
    database = sqlite3.connect(file)
    database.execute("update person set alone = 0")
    database.commit()
    database.close()
    again, done = rows_of(log)
    assert done.differed == ("person",)
    assert again == sound


def test_rows_that_were_changed_together_with_their_seal_are_found_within_a_day(log: Recorded) -> None:
    sound, _ = rows_of(log)
    file, seal = log.folder / "evidence" / FILE, log.folder / "evidence" / SEAL
    old = kept_tables._digest(file)
    database = sqlite3.connect(file)
    database.execute("update person set alone = 0")
    database.commit()
    database.close()
    seal.write_text(seal.read_text().replace(old, kept_tables._digest(file)))
    assert rows_of(log)[0] != sound  # negative control: by the seal alone it is not seen
    again, done = rows_of(log, now=START + DAY + AFRESH_MS)
    assert (done.differed, again == sound) == (("person",), True)


@pytest.mark.parametrize("harm", ["garbage", "gone", "seal", "seal-gone", "half"])
def test_what_is_damaged_or_half_written_is_made_again(log: Recorded, harm: str) -> None:
    sound, _ = rows_of(log)
    file, seal = log.folder / "evidence" / FILE, log.folder / "evidence" / SEAL
    match harm:
        case "garbage":
            file.write_bytes(b"nothing of the kind" * 1000)
        case "gone":
            file.unlink()
        case "seal":
            seal.write_text("{}")
        case "seal-gone":
            seal.unlink()
        case "half":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    again, done = rows_of(log)
    assert again == sound
    assert done.again


def test_the_tables_of_another_log_are_not_gone_on_with(log: Recorded, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    world = World(START + 5)
    world.begin()
    other = Recorded(world, tmp_path / "other")
    rows_of(other)
    (log.folder / "evidence").mkdir()
    for name in (FILE, SEAL):
        (log.folder / "evidence" / name).write_bytes((other.folder / "evidence" / name).read_bytes())
    _, done = rows_of(log)
    assert done.again == "the log they were made from is no beginning of this one"
    other.close()


def test_an_erasure_makes_them_again_now_and_once_more_when_it_is_over(log: Recorded) -> None:
    rows_of(log)
    log.world.add("erasure.done", {"id": "e_1", "fields": 1, "entries": 1, "request": "r_1", "by": "ada"})
    log.catch_up()
    assert rows_of(log)[1].again == "something was erased"
    decided = next(h.index for h, _ in log.world.entries() if h.type == "action.decided")
    assert log.ledger.erase({decided: ["reading"]}, log.ledger.size) == 1
    rows, done = rows_of(log)
    assert done.again == "something was erased"
    assert f"{decided},".encode() in rows["blind"]
    assert rows_of(log)[1].again == ""


def test_two_at_once_are_refused_and_the_first_goes_on(log: Recorded) -> None:
    rows_of(log)
    store = log.store()
    head = Head(ORIGIN, 0, "")
    with kept_tables._locked(log.folder / "evidence"), pytest.raises(EvidenceBusy):
        with kept(log.folder / "evidence", store, head, START):
            pass
    store.close()


def test_a_folder_that_can_t_be_written_is_said_in_words(log: Recorded) -> None:
    (log.folder / "evidence").write_text("a file")
    with pytest.raises(EvidenceUnusable):
        rows_of(log)
