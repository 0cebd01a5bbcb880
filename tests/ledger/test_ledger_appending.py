"""Appending: order, all-or-nothing plans, once keys, sessions, times, many callers, and what readers see."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_home import ORIGIN, Home, draft, fold, grow

from keyturn.canonical import NotCanonical
from keyturn.errors import NotFound
from keyturn.ledger import (
    AlreadyDone,
    Lagged,
    Ledger,
    LedgerClosed,
    LedgerDamaged,
    checkpoint,
    merkle,
    note,
    proof,
)
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.ledger.errors import DraftMalformed, UnknownType, WrongKey
from keyturn.ledger.verify import verify
from keyturn.store import open_store


def test_entries_are_given_in_their_places_and_read_back(home: Home) -> None:
    ledger = home.open()
    assert ledger.size == 0
    first = ledger.append_sync([draft(0, "s"), draft(1)])
    second = ledger.append_sync([draft(2, "s")])
    assert [(e.index, e.session, e.n) for e in first + second] == [(0, "s", 1), (1, None, None), (2, "s", 2)]
    assert {e.time for e in first + second} == {1_763_671_234_000}
    assert ledger.size == 3
    assert ledger.entry(0) == first[0]
    assert ledger.entry(3) is None
    assert tuple(ledger.entries()) == first + second
    assert tuple(ledger.entries(1, 2)) == first[1:]


def test_a_log_goes_on_where_it_stopped(home: Home) -> None:
    ledger = home.open()
    grow(ledger, 300, per_commit=70)
    head = ledger.head()
    ledger.close()
    again = home.open()
    assert again.head() == head
    (entry,) = again.append_sync([draft(300, "s0")])
    assert (entry.index, entry.n) == (300, 101)
    assert verify(again._store, again.vkey).intact
    proof_ = again.consistency(300, 301)
    old, new = (checkpoint.open_checkpoint(h, note.parse_vkey(again.vkey)) for h in (head, again.head()))
    assert merkle.extends(300, old.root, 301, new.root, proof_)


def test_every_commit_s_checkpoint_extends_the_one_before(home: Home) -> None:
    ledger = home.open()
    key = note.parse_vkey(ledger.vkey)
    before = checkpoint.open_checkpoint(ledger.head(), key)
    assert before.size == 0
    for step in (1, 2, 253, 1, 3, 260):
        ledger.append_sync([draft(i) for i in range(step)])
        head = checkpoint.open_checkpoint(ledger.head(), key)
        assert head.size == before.size + step
        assert merkle.extends(
            before.size, before.root, head.size, head.root, ledger.consistency(before.size, head.size)
        )
        before = head


def test_a_proof_of_any_entry_verifies_offline(home: Home) -> None:
    ledger = home.open()
    grow(ledger, 517, per_commit=100)
    key = note.parse_vkey(ledger.vkey)
    for index in (0, 1, 255, 256, 511, 512, 516):
        entry = ledger.entry(index)
        assert entry is not None
        assert proof.verify(ledger.inclusion(index), entry.leaf, key)[0] == index
    with pytest.raises(NotFound, match="no entry 517"):
        ledger.inclusion(517)
    with pytest.raises(ValueError, match="has 517 entries"):
        ledger.consistency(1, 518)


def test_a_plan_sees_everything_sequenced_before_it(home: Home) -> None:
    ledger = home.open()

    def count(rows: Rows) -> list[Draft]:
        total = rows.row("total", "all") or {"count": 0}
        return [draft(total["count"])]

    async def all_at_once() -> list[tuple[Entry, ...]]:
        return await asyncio.gather(*(ledger.append(count) for _ in range(200)))

    entries = [entry for (entry,) in asyncio.run(all_at_once())]
    assert [entry.fields["i"] for entry in entries] == [entry.index for entry in entries] == list(range(200))


def test_a_plan_that_fails_is_rejected_alone_and_whole(home: Home) -> None:
    ledger = home.open()

    def broken(rows: Rows) -> Sequence[Draft]:
        raise LookupError("no such request")

    async def mixed() -> list[object]:
        return await asyncio.gather(
            ledger.append([draft(0, "s")]),
            ledger.append(broken),
            ledger.append([draft(1, "s"), Draft("no.such.type")]),
            ledger.append([draft(2, "s", bad=float("nan"))]),
            ledger.append([draft(3, "s"), draft(4, "s", é=1)]),
            ledger.append([draft(5, "s", session_id=1), Draft("session.closed")]),
            ledger.append([draft(6, "s")]),
            return_exceptions=True,
        )

    results = asyncio.run(mixed())
    kinds = [type(result) for result in results]
    assert kinds == [tuple, LookupError, UnknownType, NotCanonical, DraftMalformed, DraftMalformed, tuple]
    assert [(e.index, e.n, e.fields["i"]) for e in ledger.entries()] == [(0, 1, 0), (1, 2, 6)]
    assert ledger.row("total", "all") == {"count": 2}
    assert ledger.row("session", "s") == {"entries": 2, "n": 2}
    assert ledger.rebuild(check=True).identical


def test_a_fold_that_fails_rejects_its_plan_alone(home: Home) -> None:
    def fussy(entry: Entry, rows: Rows) -> list[object]:
        if entry.fields["i"] == 1:
            raise ZeroDivisionError
        return list(fold(entry, rows))

    ledger = Ledger.open(open_store(home.path), home.key, ORIGIN, fussy)  # type: ignore[arg-type]
    home.opened.append(ledger)
    ledger.append_sync([draft(0)])
    with pytest.raises(ZeroDivisionError):
        ledger.append_sync([draft(5), draft(1)])
    ledger.append_sync([draft(2)])
    assert [entry.fields["i"] for entry in ledger.entries()] == [0, 2]
    assert ledger.row("total", "all") == {"count": 2}


@pytest.mark.parametrize(
    "put",
    [
        Put("k", "a", {"x": float("nan")}),
        Put("k\0", "a", {}),
        Put("k", "\ud800", {}),
        Put("k", "a", {}, "\0"),
    ],
)
def test_a_row_that_no_store_could_hold_rejects_its_plan_alone(home: Home, put: Put) -> None:
    def careless(entry: Entry, rows: Rows) -> list[Put]:
        return [*fold(entry, rows), *([put] if entry.fields["i"] == 1 else [])]

    ledger = Ledger.open(open_store(home.path), home.key, ORIGIN, careless)
    home.opened.append(ledger)

    async def mixed() -> list[object]:
        plans = ([draft(0)], [draft(5), draft(1)], [draft(2)])
        return await asyncio.gather(*(ledger.append(plan) for plan in plans), return_exceptions=True)

    results = asyncio.run(mixed())
    assert isinstance(results[1], NotCanonical | DraftMalformed)
    assert [entry.fields["i"] for entry in ledger.entries()] == [0, 2]
    assert ledger.row("total", "all") == {"count": 2}


def test_a_plan_may_find_nothing_to_record(home: Home) -> None:
    ledger = home.open()
    assert ledger.append_sync(lambda rows: []) == ()
    assert ledger.size == 0


def test_a_once_key_is_recorded_once_in_a_batch_across_batches_and_across_restarts(home: Home) -> None:
    ledger = home.open()
    once = Draft("permit.consumed", {"permit": "p"}, once="permit.consumed:p")

    async def race() -> list[object]:
        return await asyncio.gather(
            *(ledger.append([draft(i), once]) for i in range(40)), return_exceptions=True
        )

    results = asyncio.run(race())
    assert sum(isinstance(result, tuple) for result in results) == 1
    refusals = [result for result in results if isinstance(result, AlreadyDone)]
    assert len(refusals) == 39
    assert {refusal.details["index"] for refusal in refusals} == {1}
    assert ledger.size == 2
    with pytest.raises(AlreadyDone):
        ledger.append_sync([once])
    with pytest.raises(AlreadyDone):
        ledger.append_sync([Draft("probe.result", once="twice"), Draft("probe.result", once="twice")])
    ledger.append_sync([Draft("probe.result", once="twice")])
    ledger.close()
    again = home.open()
    with pytest.raises(AlreadyDone) as refused:
        again.append_sync([once])
    assert refused.value.details["index"] == 1
    again.append_sync([Draft("permit.consumed", {"permit": "q"}, once="permit.consumed:q")])
    assert again.size == 4


def test_plans_that_relied_on_a_rejected_plan_of_their_batch_are_run_again_without_it(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([Draft("probe.result", {"i": -1}, once="k")])

    def count(rows: Rows) -> list[Draft]:
        return [draft((rows.row("total", "all") or {"count": 0})["count"])]

    async def batch() -> list[object]:
        doomed = [draft(99, "s"), Draft("probe.result", {"i": 98}, once="k")]
        return await asyncio.gather(
            ledger.append(count), ledger.append(doomed), ledger.append(count), return_exceptions=True
        )

    results = asyncio.run(batch())
    assert isinstance(results[1], AlreadyDone)
    assert [entry.fields["i"] for entry in ledger.entries(1)] == [1, 2]
    (entry,) = ledger.append_sync([draft(0, "s")])
    assert entry.n == 1


@pytest.mark.parametrize("once", ["a\0b", "a\nb", "x" * 513, "\ud800"])
def test_a_once_key_that_a_store_could_not_hold_is_refused(home: Home, once: str) -> None:
    ledger = home.open()
    with pytest.raises(DraftMalformed):
        ledger.append_sync([Draft("probe.result", once=once)])
    ledger.append_sync([Draft("probe.result", once="x" * 512)])


def test_a_closing_entry_carries_the_count_of_its_session(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([draft(i, "s") for i in range(5)])
    (closed,) = ledger.append_sync([Draft("session.closed", {"why": "done", "count": 99}, "s")])
    assert closed.fields == {"why": "done", "count": 6}
    assert closed.n == 6
    assert ledger.entry(5) == closed


def test_an_entry_that_comes_after_the_closing_is_numbered_on_not_anew(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([draft(0, "s"), Draft("session.closed", {}, "s")])
    ledger.close()
    (late,) = home.open().append_sync([draft(1, "s")])
    assert late.n == 3


def test_times_never_decrease_and_a_clock_that_jumps_back_is_recorded_once(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([draft(0)])
    home.now -= 0.9
    ledger.append_sync([draft(1)])
    assert ledger.size == 2, "a correction of less than a second is no jump"
    home.now -= 3600
    ledger.append_sync([draft(2)])
    ledger.append_sync([draft(3)])
    home.now += 3600 + 10
    ledger.append_sync([draft(4)])
    home.now -= 3600
    ledger.append_sync([draft(5)])
    types = [entry.type for entry in ledger.entries()]
    assert types == ["probe.result"] * 2 + ["clock.jumped"] + ["probe.result"] * 3 + [
        "clock.jumped",
        "probe.result",
    ]
    times = [entry.time for entry in ledger.entries()]
    assert times == sorted(times)
    assert times[5] == times[0] + 9_100
    jump = ledger.entry(2)
    assert jump is not None
    assert jump.fields == {"clock": times[0] - 3_600_900, "log": times[0]}
    assert verify(ledger._store, ledger.vkey).intact


def test_many_callers_on_many_loops_and_threads_all_get_their_own_entries(home: Home) -> None:
    ledger = home.open()
    got: dict[int, list[int]] = {}

    async def client(number: int) -> None:
        for i in range(25):
            (entry,) = await ledger.append([draft(i, f"c{number}")])
            assert (entry.session, entry.n) == (f"c{number}", i + 1)
            got.setdefault(number, []).append(entry.index)

    async def clients(first: int) -> None:
        await asyncio.gather(*(client(number) for number in range(first, first + 8)))

    def thread(number: int) -> None:
        for i in range(25):
            (entry,) = ledger.append_sync([draft(i, f"c{number}")])
            got.setdefault(number, []).append(entry.index)

    threads = [threading.Thread(target=asyncio.run, args=(clients(first),)) for first in (0, 100)]
    threads += [threading.Thread(target=thread, args=(number,)) for number in (200, 201)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    indices = sorted(index for own in got.values() for index in own)
    assert indices == list(range(18 * 25))
    assert all(own == sorted(own) for own in got.values())
    assert verify(ledger._store, ledger.vkey).intact
    assert ledger.rebuild(check=True).identical


def test_an_answer_comes_only_after_the_entry_can_be_read_from_the_store(home: Home) -> None:
    ledger = home.open()
    reader = open_store(home.path, writer=False)

    async def check() -> None:
        for i in range(20):
            (entry,) = await ledger.append([draft(i)])
            stored = reader.entry(entry.index)
            assert stored is not None
            assert stored.leaf == entry.leaf
            assert checkpoint.read_unverified(reader.head() or "").size >= entry.index + 1
            assert ledger.row("entry", f"{entry.index:08d}") is not None

    asyncio.run(check())
    reader.close()


def test_rows_are_what_was_committed(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([draft(0, "a"), draft(1, "b")])
    assert ledger.count("session", state="open") == 2
    ledger.append_sync([Draft("session.closed", {}, "a")])
    assert ledger.row("session", "a") is None
    assert ledger.rows("session") == [{"entries": 1, "n": 1}]
    assert ledger.count("entry") == 3
    assert [row["type"] for row in ledger.rows("entry", newest_first=False)] == ["probe.result"] * 2 + [
        "session.closed"
    ]


def test_a_caller_cannot_change_what_is_recorded_after_asking(home: Home) -> None:
    ledger = home.open()
    shared = {"list": [1]}
    (entry,) = ledger.append_sync([Draft("probe.result", shared)])
    shared["list"].append(2)
    assert entry.fields == {"list": [1]}
    assert ledger.row("entry", "00000000") == {"type": "probe.result", "fields": {"list": [1]}}


def test_a_cancelled_caller_disturbs_nobody(home: Home) -> None:
    ledger = home.open()

    async def cancel() -> None:
        tasks = [asyncio.ensure_future(ledger.append([draft(i)])) for i in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, tuple) for result in results[1::2])

    asyncio.run(cancel())
    ledger.append_sync([draft(20)])
    assert verify(ledger._store, ledger.vkey).intact


def test_after_closing_nothing_is_taken_and_closing_twice_is_closing_once(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([draft(0)])
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerClosed):
        ledger.append_sync([draft(1)])
    with pytest.raises(LedgerClosed):
        asyncio.run(ledger.append([draft(1)]))


def test_what_was_asked_before_closing_is_answered(home: Home) -> None:
    ledger = home.open()

    async def ask() -> list[object]:
        tasks = [asyncio.ensure_future(ledger.append([draft(i)])) for i in range(50)]
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, ledger.close)
        return await asyncio.gather(*tasks)

    assert len(asyncio.run(ask())) == 50


def test_a_plan_that_appends_is_told_so_instead_of_waiting_for_itself(home: Home) -> None:
    ledger = home.open()
    with pytest.raises(RuntimeError, match="it is pure"):
        ledger.append_sync(lambda rows: [draft(len(ledger.append_sync([draft(0)])))])
    ledger.append_sync([draft(0)])


def test_another_key_or_origin_does_not_open_the_log(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([draft(0)])
    ledger.close()
    for key, origin, words in (
        (Ed25519PrivateKey.generate(), ORIGIN, "not signed by this key"),
        (home.key, "other.example", "origin is 'ledger"),
    ):
        store = open_store(home.path)
        with pytest.raises(WrongKey, match=words):
            Ledger.open(store, key, origin, fold)
        store.close()
    assert home.open().size == 1


# Subscriptions


def test_a_subscriber_gets_every_entry_committed_since_in_order(home: Home) -> None:
    ledger = home.open()
    ledger.append_sync([draft(0)])

    async def follow() -> list[Entry]:
        got: list[Entry] = []
        async with ledger.subscribe() as entries:
            tasks = [asyncio.ensure_future(ledger.append([draft(i), draft(i)])) for i in range(30)]
            async for entry in entries:
                got.append(entry)
                if len(got) == 60:
                    break
            await asyncio.gather(*tasks)
        return got

    got = asyncio.run(follow())
    assert [entry.index for entry in got] == list(range(1, 61))
    assert got == list(ledger.entries(1))


def test_a_slow_subscriber_is_dropped_with_a_mark_and_delays_nobody(home: Home) -> None:
    ledger = home.open()

    async def lag() -> None:
        slow, fast = ledger.subscribe(capacity=5), ledger.subscribe()
        for i in range(20):
            await ledger.append([draft(i)])
        assert slow.lagged == 5
        assert [(await anext(slow)).index for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(Lagged) as dropped:
            await anext(slow)
        assert dropped.value.details == {"next": 5}
        fast_got = [await anext(fast) for _ in range(20)]
        assert [entry.index for entry in fast_got] == list(range(20))
        fast.close()
        assert ledger._writer._subscriptions == {}

    asyncio.run(lag())


def test_a_subscriber_of_some_types_gets_all_entries_of_these_and_no_others(home: Home) -> None:
    ledger = home.open()
    wanted = Draft("clock.jumped", {"clock": 1, "log": 2})

    async def follow() -> None:
        some, every = ledger.subscribe(capacity=5, types=["clock.jumped"]), ledger.subscribe()
        for i in range(10):
            await ledger.append([draft(i)])
            await ledger.append([draft(i), *([wanted] if i % 4 == 0 else [])])
        assert [(await anext(some)).index for _ in range(3)] == [2, 11, 20]
        got = [await anext(every) for _ in range(23)]  # the negative control
        assert [entry.index for entry in got if entry.type == wanted.type] == [2, 11, 20]
        for _ in range(6):
            await ledger.append([wanted])
        assert some.lagged == 28  # only what it wants fills its queue

    asyncio.run(follow())


def test_a_subscriber_that_waits_is_ended_when_the_ledger_closes(home: Home) -> None:
    ledger = home.open()

    async def wait() -> list[Entry]:
        async def read() -> list[Entry]:
            return [entry async for entry in entries]

        entries = ledger.subscribe()
        task = asyncio.ensure_future(read())
        await ledger.append([draft(0)])
        await asyncio.get_running_loop().run_in_executor(None, ledger.close)
        return await task

    assert [entry.index for entry in asyncio.run(wait())] == [0]


def test_a_subscriber_whose_loop_is_gone_disturbs_nobody(home: Home) -> None:
    ledger = home.open()

    async def leave() -> None:
        ledger.subscribe()

    asyncio.run(leave())
    ledger.append_sync([draft(0)])
    assert ledger.size == 1


# Opening a damaged log


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("update tile set hashes = zeroblob(length(hashes)) where level = 0 and idx = 1", "another root"),
        ("update tile set hashes = zeroblob(length(hashes)) where level = 1", "another root"),
        ("delete from tile where level = 0 and idx = 1", "tile/0/001 is missing"),
        ("update tile set hashes = substr(hashes, 1, 32) where level = 0 and idx = 1", "has 32 bytes"),
        ("delete from entry where idx = 299", "Entry 299 is missing"),
        (
            "update entry set leaf = (select leaf from entry where idx = 5) where idx = 299",
            "Entry 299 is not the one",
        ),
        (
            "insert into entry select 300, time, type, session, 1000, once, leaf, disclosures from entry where idx = 1",
            "is an entry 300",
        ),
        ("update checkpoint set note = replace(note, '300', '299')", "not signed"),
        ("update checkpoint set note = 'nonsense'", "malformed"),
        ("delete from checkpoint", "no checkpoint"),
    ],
)
def test_a_log_whose_end_does_not_agree_with_itself_is_not_opened_for_writing(
    home: Home, statement: str, words: str
) -> None:
    import sqlite3

    ledger = home.open()
    grow(ledger, 300, per_commit=50)
    ledger.close()
    home.open().close()
    with sqlite3.connect(home.path) as connection:
        connection.execute(statement)
    connection.close()
    store = open_store(home.path)
    with pytest.raises((LedgerDamaged, WrongKey), match=words) as refused:
        Ledger.open(store, home.key, ORIGIN, fold)
    if isinstance(refused.value, LedgerDamaged):
        assert refused.value.exit_code == 7
    store.close()
