"""Projections come from the log alone (promise 7): a rebuild gives identical rows, and names rows that were touched."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable

import pytest
from ledger_home import ORIGIN, Home, draft, fold, grow

from keyturn.ledger import Ledger
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.ledger.errors import UnknownType, UnknownVersion
from keyturn.ledger.rebuild import LogGrowing, rebuild
from keyturn.store import open_store


def test_live_rows_and_rebuilt_rows_are_the_same_bytes(home: Home) -> None:
    ledger = home.open()
    chance = random.Random(5)
    for i in range(120):
        session = f"s{chance.randrange(6)}"
        if chance.random() < 0.1:
            ledger.append_sync([Draft("session.closed", {"tuple": (1, 2.0, "é")}, session)])
        else:
            ledger.append_sync([draft(i, session, float=2.0, nested=((1,), {"z": 1, "a": -0.0}))])
    rebuilt = ledger.rebuild(check=True)
    assert rebuilt.identical
    assert rebuilt.entries == 120
    assert rebuilt.rows == sum(1 for _ in ledger._store.dump_rows())


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("update row set body = cast('{}' as blob) where kind = 'total'", "total"),
        ("update row set state = 'x' where kind = 'total'", "total"),
        ("update row set at = 7 where kind = 'total'", "total"),
        ("delete from row where kind = 'total'", "total"),
        ("insert into row values ('forged', 'a', '', 0, cast('{}' as blob))", "forged"),
        ("insert into row values ('a', 'a', '', 0, cast('{}' as blob))", "a"),
    ],
)
def test_a_row_that_was_changed_behind_the_log_is_named_and_mended(
    home: Home, statement: str, kind: str
) -> None:
    ledger = home.open()
    grow(ledger, 10)
    ledger.close()
    with sqlite3.connect(home.path) as connection:
        connection.execute(statement)
    connection.close()
    ledger = home.open()
    rebuilt = ledger.rebuild(check=True)
    assert [(difference.kind, rebuilt.differing) for difference in rebuilt.differences] == [(kind, 1)]
    assert not ledger.rebuild(check=True).identical, "checking changes nothing"
    assert not ledger.rebuild(check=False).identical
    assert ledger.rebuild(check=True).identical
    assert ledger.row("total", "all") == {"count": 10}
    ledger.append_sync([draft(10)])
    assert ledger.row("total", "all") == {"count": 11}
    assert ledger.rebuild(check=True).identical


def test_a_new_fold_gives_new_rows_after_a_rebuild(home: Home) -> None:
    ledger = home.open()
    grow(ledger, 5)
    ledger.close()

    def other(entry: Entry, rows: Rows) -> list[Put]:
        return [Put("other", str(entry.index), {"n": entry.n})]

    ledger = Ledger.open(open_store(home.path), home.key, ORIGIN, other)
    home.opened.append(ledger)
    rebuilt = ledger.rebuild(check=False)
    assert rebuilt.rows == 5
    assert ledger.row("total", "all") is None
    assert ledger.row("other", "4") == {"n": 2}


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [('"v":1', '"v":2', UnknownVersion), ("probe.result", "probe.newest", UnknownType)],
)
def test_an_entry_of_the_future_stops_a_rebuild_instead_of_being_skipped(
    home: Home, old: str, new: str, error: type[Exception]
) -> None:
    ledger = home.open()
    grow(ledger, 5)
    before = list(ledger._store.dump_rows())
    with sqlite3.connect(home.path) as connection:
        connection.execute(
            "update entry set leaf = cast(replace(leaf, ?, ?) as blob) where idx = 2", (old, new)
        )
    connection.close()
    with pytest.raises(error):
        ledger.rebuild(check=False)
    assert list(ledger._store.dump_rows()) == before
    with pytest.raises(error):
        ledger.entry(2)


def test_checking_beside_a_live_writer_accuses_nobody(home: Home) -> None:
    ledger = home.open()
    grow(ledger, 50)
    reader = open_store(home.path, writer=False)
    waiting = 3

    def busy(entry: Entry, rows: Rows) -> Iterable[Put]:
        nonlocal waiting
        if waiting and entry.index % 10 == 9:
            waiting -= 1
            ledger.append_sync([draft(entry.index, "live")])
        return fold(entry, rows)

    rebuilt = rebuild(reader, busy, check=True)
    reader.close()
    assert rebuilt.identical
    assert rebuilt.entries == 53


def test_a_log_that_never_stands_still_is_told_so(home: Home) -> None:
    ledger = home.open()
    grow(ledger, 5)

    def busy(entry: Entry, rows: Rows) -> Iterable[Put]:
        ledger.append_sync([draft(entry.index, "live")])
        return fold(entry, rows)

    reader = open_store(home.path, writer=False)
    with pytest.raises(LogGrowing):
        rebuild(reader, busy, check=True)
    reader.close()
