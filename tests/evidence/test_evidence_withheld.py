"""An operator who withholds just the field that shows an exception gets no pass: the tests that rest on it are not tested."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import test_evidence_queries_a as records
import test_evidence_queries_b as oversight
from world_b import SETTINGS, UNTIL

from keyturn.evidence.program.rows import SOURCES
from keyturn.evidence.program.tables import Tables
from keyturn.evidence.testing import load_tests

RECORDS = (
    ("approval.given", "on_behalf_of"), ("approval.given", "key"), ("action.decided", "permit"), ("clock.jumped", "clock"),
    ("source.reconciled", "stopped"),
)  # fmt: skip
OVERSIGHT = (
    ("action.decided", "sealed"), ("approval.given", "gesture"), ("credential.issued", "parent"), ("evidence.exported", "by"),
    ("notice.failed", "final"),
)  # fmt: skip

Entries = list[tuple[tuple[Any, ...], dict[str, Any]]]


@cache
def world(name: str) -> tuple[Entries, tuple[int, int, int], dict[str, float], tuple[str, ...]]:
    """Entries with every seeded exception, the period, thresholds, and names of the tests."""
    if name == "records":
        made, since = records.everything()
        period, given, names = (since, made.now, made.index), {}, tuple(records.TESTS)
    else:
        made, _ = oversight.everything()
        period, given, names = (oversight.START, UNTIL, made.index), SETTINGS, oversight.NAMES
    entries = [
        ((h.index, h.time, h.type, h.session, h.n, len(h._sd)), fields) for h, fields in made.entries()
    ]
    return entries, period, given, names


def found(name: str, kind: str, less: str = "", *, told: bool = True) -> dict[str, tuple[set[Any], int]]:
    """Of each test that rests on *kind* its exceptions, and how many could not be tested, where the field *less* is withheld."""
    entries, period, given, names = world(name)
    tables = Tables()
    tables.load(
        (header, {n: v for n, v in fields.items() if n != less} if header[2] == kind else fields)
        for header, fields in entries
    )
    if not told:
        tables.db.execute("DELETE FROM blind WHERE field = ''")
    tables.index()
    came = {}
    for test in (load_tests()[one] for one in names):
        if any(kind in SOURCES[table] for table in test.rests_on):
            outcome = tables.run(test.text, test.rests_on, period, test.values(given))
            came[test.id] = (set(outcome.listed), outcome.untested)
    tables.close()
    return came


@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [*(("records", *one) for one in RECORDS), *(("oversight", *one) for one in OVERSIGHT)],
)
def test_no_exception_is_hidden_by_withholding_the_field_that_shows_it(
    name: str, kind: str, field: str
) -> None:
    whole, less, untold = found(name, kind), found(name, kind, field), found(name, kind, field, told=False)
    hidden = {test for test in whole if whole[test][0] - less[test][0]}
    assert hidden
    assert all(less[test][1] for test in hidden)
    assert any(not untold[test][1] for test in hidden), "negative control: nothing else tells it"
