"""A store that can't write: everybody is told, nothing is half recorded, and the log goes on when the store does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from ledger_home import ORIGIN, Home, draft, fold

from keyturn.ledger import Ledger, LedgerDamaged, LedgerUnwritable
from keyturn.ledger.entries import Draft
from keyturn.ledger.storage import Batch
from keyturn.ledger.verify import verify
from keyturn.store import StoreUnwritable, open_store
from keyturn.store.sqlite import SqliteStore


class Faulty(SqliteStore):
    """A real store whose next writes can be made to fail before or after they are durable, or to wait."""

    fault: Callable[[Batch, Callable[[Batch], None]], None] | None = None

    def write(self, batch: Batch) -> None:
        if self.fault is None:
            super().write(batch)
        else:
            self.fault(batch, super().write)


def before(batch: Batch, write: Callable[[Batch], None]) -> None:
    raise StoreUnwritable("The disk is full.")


def after(batch: Batch, write: Callable[[Batch], None]) -> None:
    write(batch)
    raise StoreUnwritable("The connection was lost.")


def unforeseen(batch: Batch, write: Callable[[Batch], None]) -> None:
    raise RuntimeError("a defect")


@pytest.fixture
def store(home: Home) -> Faulty:
    return Faulty(home.path, writer=True)


@pytest.fixture
def ledger(home: Home, store: Faulty) -> Ledger:
    opened = Ledger.open(store, home.key, ORIGIN, fold, lambda: home.now)
    home.opened.append(opened)
    return opened


def state(ledger: Ledger) -> dict[str, Any]:
    """Everything the ledger knows in memory."""
    sequencer = ledger._sequencer
    return {
        "tree": sequencer.tree,
        "head": sequencer.head,
        "time": sequencer.time,
        "behind": sequencer.behind,
        "sessions": {session: n for session, n in sequencer._sessions.items() if n},
        "rows": {place: body for place, body in ledger._rows.known().items() if body is not None},
    }


@pytest.mark.parametrize("fault", [before, unforeseen])
def test_a_failed_write_leaves_no_trace_in_memory_and_later_appends_work(
    ledger: Ledger, store: Faulty, home: Home, fault: Callable[..., None]
) -> None:
    ledger.append_sync([draft(0, "s"), draft(1, "s")])
    known = state(ledger)
    store.fault = fault
    home.now -= 5
    for _ in range(3):
        with pytest.raises(LedgerUnwritable) as refused:
            ledger.append_sync([draft(2, "s"), draft(3, "t"), Draft("probe.result", {"i": 0}, once="k")])
        assert refused.value.status == 503
        assert refused.value.exit_code == 1
        assert refused.value.not_done == "Nothing ran."
        assert state(ledger) == known
        assert ledger.broken
    store.fault = None
    entries = ledger.append_sync([draft(2, "s"), Draft("probe.result", {"i": 0}, once="k")])
    assert [(e.index, e.n) for e in entries] == [(3, 3), (4, None)]
    assert [e.type for e in ledger.entries(2, 3)] == ["clock.jumped"]
    assert ledger.broken == ""
    assert verify(store, ledger.vkey).intact
    assert ledger.rebuild(check=True).identical


def test_every_caller_of_a_failed_batch_is_refused(ledger: Ledger, store: Faulty) -> None:
    store.fault = before

    async def many() -> list[object]:
        return await asyncio.gather(*(ledger.append([draft(i)]) for i in range(50)), return_exceptions=True)

    results = asyncio.run(many())
    assert all(isinstance(result, LedgerUnwritable) for result in results)
    assert len({id(result) for result in results}) == 50
    assert ledger.size == 0


def test_a_write_that_happened_although_it_reported_failure_is_found_and_built_upon(
    ledger: Ledger, store: Faulty
) -> None:
    ledger.append_sync([draft(0, "s")])
    store.fault = after
    with pytest.raises(LedgerUnwritable):
        ledger.append_sync([draft(1, "s"), Draft("probe.result", {"i": 1}, once="k")])
    store.fault = None
    (entry,) = ledger.append_sync([draft(2, "s")])
    assert (entry.index, entry.n) == (3, 3)
    assert ledger.row("session", "s") == {"entries": 3, "n": 3}
    assert verify(store, ledger.vkey).intact
    assert ledger.rebuild(check=True).identical


def test_a_log_damaged_behind_a_failed_write_takes_no_more_entries(ledger: Ledger, store: Faulty) -> None:
    ledger.append_sync([draft(0)])

    def lost_and_damaged(batch: Batch, write: Callable[[Batch], None]) -> None:
        write(batch)
        store._writable().execute("update tile set hashes = zeroblob(64)")
        raise StoreUnwritable("The connection was lost.")

    store.fault = lost_and_damaged
    with pytest.raises(LedgerUnwritable):
        ledger.append_sync([draft(1)])
    store.fault = None
    for _ in range(2):
        with pytest.raises(LedgerDamaged):
            ledger.append_sync([draft(2)])
    assert sum(1 for _ in store.entries()) == 2


def test_nothing_is_answered_before_the_write_returned(ledger: Ledger, store: Faulty) -> None:
    writing, allowed = threading.Event(), threading.Event()

    def slow(batch: Batch, write: Callable[[Batch], None]) -> None:
        writing.set()
        assert allowed.wait(120)
        write(batch)

    async def ask() -> None:
        task = asyncio.ensure_future(ledger.append([draft(0)]))
        await asyncio.get_running_loop().run_in_executor(None, writing.wait, 60)
        assert not task.done()
        assert ledger.size == 0
        assert ledger.row("total", "all") is None
        allowed.set()
        assert (await task)[0].index == 0

    store.fault = slow
    asyncio.run(ask())


def test_what_came_during_a_write_is_one_commit(ledger: Ledger, store: Faulty) -> None:
    writing, allowed, sizes = threading.Event(), threading.Event(), []

    def slow(batch: Batch, write: Callable[[Batch], None]) -> None:
        sizes.append(len(batch.entries))
        writing.set()
        assert allowed.wait(120)
        write(batch)

    async def ask() -> None:
        first = asyncio.ensure_future(ledger.append([draft(0)]))
        await asyncio.get_running_loop().run_in_executor(None, writing.wait, 60)
        rest = [asyncio.ensure_future(ledger.append([draft(i)])) for i in range(1, 41)]
        await asyncio.sleep(0)
        allowed.set()
        await asyncio.gather(first, *rest)

    store.fault = slow
    asyncio.run(ask())
    assert sizes == [1, 40]


def test_a_row_read_while_it_is_being_written_is_never_stale_afterwards(
    ledger: Ledger, store: Faulty
) -> None:
    ledger.append_sync([draft(0)])
    ledger._rows.forget()
    reading, allowed = threading.Event(), threading.Event()
    read = ledger._rows._read

    def slow(kind: str, key: str) -> Any:
        body = read(kind, key)
        if threading.current_thread() is reader:
            reading.set()
            assert allowed.wait(120)
        return body

    ledger._rows._read = slow
    seen: list[Any] = []
    reader = threading.Thread(target=lambda: seen.append(ledger.row("total", "all")))
    reader.start()
    assert reading.wait(120)
    ledger.append_sync([draft(1)])
    ledger._rows.forget()
    allowed.set()
    reader.join()
    assert seen == [{"count": 1}]
    assert ledger.row("total", "all") == {"count": 2}
    store_row = open_store(store.path, writer=False)
    assert store_row.row("total", "all") == {"count": 2}
    store_row.close()
