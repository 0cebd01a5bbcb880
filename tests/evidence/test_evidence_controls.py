"""Every control of every framework tells every exception that was seeded for it and nothing else, in real packs.

`control_figures.py` (`make test-controls`) prints the same as a table.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import control_worlds
import pytest
from control_worlds import BESIDE, KEPT, UNKEPT, Log, Row, compared, logs, packed, wanted
from packing_house import SIGNER, House, lived_in
from world_a import SEEDS

from keyturn.evidence import catalogue, pack_contents
from keyturn.evidence.controls import Control
from keyturn.evidence.examining import Asked, examine
from keyturn.evidence.pack_errors import LogDamaged
from keyturn.evidence.pack_results import judged
from keyturn.evidence.testing import TestResult
from keyturn.ledger.tiles import WIDTH

CATALOGUE = catalogue.load()
CONTROLS = tuple(CATALOGUE.controls())


@dataclass(frozen=True)
class Told:
    """A log, and what its packs say of each control."""

    log: Log
    rows: dict[tuple[str, str], Row]

    def of(self, control: Control) -> Row:
        """What they say of one."""
        return self.rows[control.framework, control.id]


def _name(control: Control) -> str:
    return f"{control.framework} {control.id}"


every_control = pytest.mark.parametrize("control", CONTROLS, ids=_name)


@pytest.fixture(scope="module", autouse=True)
def unprinted() -> Iterator[None]:
    """A PDF takes seconds, and is tested where reports are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_contents, "pdf", _nothing)
        yield


def _nothing(page: bytes) -> bytes:
    return b"%PDF"


@pytest.fixture(scope="module")
def told(unprinted: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, ...]:
    """Every log, the clean one first, and its packs."""
    return tuple(Told(log, packed(log, tmp_path_factory.mktemp(log.name))) for log in logs())


# --- precision and recall ----------------------------------------------------------------------------------------------


@every_control
def test_a_control_tells_what_was_seeded_for_it_and_nothing_else(
    control: Control, told: tuple[Told, ...]
) -> None:
    for one in told:
        row, expected = one.of(control), wanted(one.log, control)
        assert compared(expected, row.found).exact, (expected - row.found, row.found - expected)
        failed = [test for test in control.tests if any(test == name for name, _, _ in expected)]
        if failed:
            assert (row.verdict, row.why) == ("fail", f"Failed: {', '.join(failed)}.")
        else:
            assert row.verdict != "fail"


@every_control
def test_a_control_passes_where_nothing_is_wrong(control: Control, told: tuple[Told, ...]) -> None:
    row = told[0].of(control)
    assert (row.verdict, row.why, row.found) == ("pass", "", Counter())


@every_control
def test_every_test_of_a_control_has_a_seeded_exception(control: Control, told: tuple[Told, ...]) -> None:
    """And what is found where nothing is wrong would not be enough, nor what is found there right where nothing is."""
    seeded = sum((wanted(one.log, control) for one in told), Counter())
    assert {test for test, _, _ in seeded} == {*control.tests} - {BESIDE}
    clean = told[0].of(control).found
    for one in told[1:]:
        expected = wanted(one.log, control)
        if not expected:
            continue
        assert not compared(expected, clean).exact  # negative control: recall
        assert not compared(clean, one.of(control).found).exact  # negative control: precision


@every_control
def test_what_tests_show_in_part_is_never_said_to_have_passed_whole(
    control: Control, told: tuple[Told, ...]
) -> None:
    clean = told[0].of(control)
    assert clean.how == control.how in ("automatic", "partial")
    assert bool(clean.also) == (control.how == "partial")
    assert (clean.passed, clean.tested_part_passed) == (control.how == "automatic", True)
    for one in told[1:]:
        if wanted(one.log, control):
            row = one.of(control)
            assert (row.passed, row.tested_part_passed) == (False, False)


def test_there_are_more_rows_than_were_asked_for_and_each_is_in_the_packs(told: tuple[Told, ...]) -> None:
    assert len(CONTROLS) >= 70
    for one in told:
        assert set(one.rows) == {(control.framework, control.id) for control in CONTROLS}


def test_one_exception_that_is_missed_or_made_up_is_seen(told: tuple[Told, ...]) -> None:
    one = told[1]
    control = CATALOGUE.control("soc2", "CC6.1")
    expected, found = wanted(one.log, control), one.of(control).found
    assert compared(expected, found).exact
    first = next(iter(found))
    assert not compared(expected, found - Counter([first])).exact
    assert not compared(expected, found + Counter([first])).exact
    assert not compared(expected, found + Counter([("agents_owned", "s_1", "made up")])).exact


def test_what_no_pack_is_made_of_is_a_seed_of_its_own() -> None:
    assert set(SEEDS) >= UNKEPT


# --- a log that is not intact ------------------------------------------------------------------------------------------

RESTS_ON_THE_LOG = [one for one in CONTROLS if BESIDE in one.tests]


@pytest.fixture(scope="module")
def damaged(unprinted: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with two bundles of entries, in the first of which one leaf is another one."""
    house = lived_in(tmp_path_factory.mktemp("damaged"), sessions=9)
    assert WIDTH < house.tree.size <= 2 * WIDTH
    house.pack("before.zip")  # negative control
    with sqlite3.connect(house.path) as database:
        (leaf,) = database.execute("SELECT leaf FROM entry WHERE idx = 5").fetchone()
        at = bytes(leaf).index(b'"_sd":["') + 8
        forged = leaf[:at] + (b"A" if leaf[at : at + 1] != b"A" else b"B") + leaf[at + 1 :]
        database.execute("UPDATE entry SET leaf = ? WHERE idx = 5", (forged,))
    database.close()
    yield house
    house.close()


@pytest.fixture(scope="module")
def examined(damaged: House) -> tuple[TestResult, ...]:
    """What the tests that run by themselves say of it."""
    store = damaged.opener()
    order = damaged.order()
    try:
        asked = Asked(order.since, order.until)
        found = examine(store, str(SIGNER.key), damaged.folder / "tables", [], asked, order.until)
    finally:
        store.close()
    return found.results


@pytest.mark.parametrize("framework", sorted({one.framework for one in RESTS_ON_THE_LOG}))
def test_of_a_log_that_is_not_intact_there_is_no_pack(framework: str, damaged: House) -> None:
    name = f"{framework}.zip"
    with pytest.raises(LogDamaged):
        damaged.pack(name, framework=framework)
    assert not (damaged.folder / name).exists()


@pytest.mark.parametrize("control", RESTS_ON_THE_LOG, ids=_name)
def test_a_control_that_rests_on_the_log_fails_with_the_one_bundle_that_was_changed(
    control: Control, examined: tuple[TestResult, ...]
) -> None:
    intact = next(one for one in examined if one.test == BESIDE)
    assert (intact.population, intact.exceptions, intact.untested) == (2, 1, 0)
    row = next(
        one for one in judged(CATALOGUE.framework(control.framework), examined) if one.control == control.id
    )
    assert (row.verdict, row.why) == ("fail", f"Failed: {BESIDE}.")


def test_checkpoints_that_a_log_does_not_continue_are_told_by_the_controls_they_are_for(
    told: tuple[Told, ...],
) -> None:
    for control in CONTROLS:
        found = [one.of(control).found[control_worlds.stray()] for one in told]
        assert found == ([0, 1, 1] if KEPT in control.tests else [0, 0, 0])
