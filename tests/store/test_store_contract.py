"""The one contract every store keeps. Each test runs over SQLite and PostgreSQL; none knows which."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from keyturn import canonical
from keyturn.ledger.entries import Put
from keyturn.ledger.storage import Batch, Store, StoredEntry
from keyturn.store import StoreInUse, StoreMissing, StoreUnwritable, open_store


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def entry(index: int, **more: object) -> StoredEntry:
    given: dict[str, object] = {"type": "probe.result", "session": None, "n": None, "once": None} | more
    return StoredEntry(
        index,
        1_700_000_000_000 + index,
        str(given["type"]),
        b"leaf %d \x00\xff" % index,
        b'["abc"]',
        given["session"],  # type: ignore[arg-type]
        given["n"],  # type: ignore[arg-type]
        given["once"],  # type: ignore[arg-type]
    )


def batch(*entries: StoredEntry, **more: object) -> Batch:
    given: dict[str, object] = {"tiles": {}, "checkpoint": f"head {len(entries)}\n"} | more
    return Batch(entries=entries, **given)  # type: ignore[arg-type]


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert store.head() is None
    assert store.entry(0) is None
    assert list(store.entries()) == []
    assert store.once(["a"]) == {}
    assert store.tile(0, 0) is None
    assert store.blob("sha256:00") is None
    assert list(store.blobs()) == []
    assert store.row("k", "a") is None
    assert store.rows("k") == []
    assert store.count("k") == 0
    assert list(store.dump_rows()) == []
    assert store.session_counts() == {}
    assert store.session_last("s") == 0


def test_what_was_written_is_read_back_exactly(store: Store, store_url: str) -> None:
    entries = [entry(i, session="s", n=i + 1, once=f"k{i}" if i % 3 == 0 else None) for i in range(1200)]
    blobs = {f"sha256:{i:064x}": bytes([i]) * i for i in range(40)}
    store.write(
        batch(*entries, tiles={(0, 0): b"t" * 64, (1, 2): b"u" * 32}, checkpoint="é head\n", blobs=blobs)
    )
    assert store.head() == "é head\n"
    assert store.entry(7) == entries[7]
    assert store.entry(1200) is None
    assert list(store.entries()) == entries
    assert list(store.entries(510, 515)) == entries[510:515]
    assert list(store.entries(1199)) == entries[1199:]
    assert list(store.entries(5, 5)) == []
    assert store.once(["k0", "k1", "k3", "nope"]) == {"k0": 0, "k3": 3}
    assert store.tile(0, 0) == b"t" * 64
    assert store.tile(1, 2) == b"u" * 32
    assert dict(store.blobs()) == blobs
    assert [digest for digest, _ in store.blobs()] == sorted(blobs)
    assert store.blob("sha256:" + f"{3:064x}") == b"\x03\x03\x03"
    store.close()
    again = open_store(store_url, writer=False)
    assert list(again.entries()) == entries
    again.close()


def test_a_tile_and_the_checkpoint_are_replaced_and_a_blob_is_not(store: Store) -> None:
    store.write(batch(entry(0), tiles={(0, 0): b"a"}, checkpoint="one\n", blobs={"sha256:1": b"first"}))
    store.write(batch(entry(1), tiles={(0, 0): b"ab"}, checkpoint="two\n", blobs={"sha256:1": b"other"}))
    assert store.tile(0, 0) == b"ab"
    assert store.head() == "two\n"
    assert store.blob("sha256:1") == b"first"


@pytest.mark.parametrize(
    "second",
    [
        (entry(1), entry(0)),
        (entry(1), entry(2, once="only")),
        (entry(1, session="s", n=1),),
    ],
    ids=["the same index", "the same once key", "the same number in a session"],
)
def test_a_batch_that_breaks_a_rule_changes_nothing(store: Store, second: tuple[StoredEntry, ...]) -> None:
    store.write(batch(entry(0, once="only", session="s", n=1), checkpoint="one\n"))
    with pytest.raises(StoreUnwritable):
        store.write(
            batch(
                *second,
                tiles={(0, 0): b"x"},
                checkpoint="two\n",
                blobs={"sha256:9": b"9"},
                rows=[Put("k", "a", {})],
            )
        )
    assert store.head() == "one\n"
    assert [one.index for one in store.entries()] == [0]
    assert store.tile(0, 0) is None
    assert store.blob("sha256:9") is None
    assert store.row("k", "a") is None
    store.write(batch(entry(1), checkpoint="two\n"))
    assert store.head() == "two\n"


def test_rows_are_replaced_whole_and_removed(store: Store) -> None:
    store.write(
        batch(entry(0), rows=[Put("k", "a", {"x": 1}, "open", 5), Put("k", "b", {"y": [1, None]}, "", 6)])
    )
    assert store.row("k", "a") == {"x": 1}
    store.write(batch(entry(1), rows=[Put("k", "a", {"z": "ü"}, "shut", 9), Put("k", "b", None)]))
    assert store.row("k", "a") == {"z": "ü"}
    assert store.row("k", "b") is None
    assert store.count("k") == 1
    assert store.count("k", state="open") == 0
    assert store.count("k", state="shut") == 1


def test_a_body_lies_in_the_store_as_canonical_json(store: Store) -> None:
    body = {"b": 1, "a": [True, 1.5, "é\u2028"], "€": {"": None}, "\U0001f600": -1, "\ufb33": 2}
    store.write(batch(entry(0), rows=[Put("k", "a", body)]))
    (found,) = store.dump_rows()
    assert found == ("k", "a", "", 0, canonical.dumps(body))


def test_rows_are_listed_by_time_then_key_and_page_without_gap_or_repeat(store: Store) -> None:
    keys = ["a", "B", "é", "z", "\U0001f600", "aa", "0", "~"]
    puts = [
        Put("k", key, {"key": key, "at": i % 3}, "even" if i % 2 == 0 else "odd", i % 3)
        for i, key in enumerate(keys)
    ]
    store.write(batch(entry(0), rows=[*puts, Put("other", "a", {})]))
    oldest = [put.body for put in sorted(puts, key=lambda put: (put.at, put.key.encode()))]
    assert store.rows("k", newest_first=False) == oldest
    assert store.rows("k") == oldest[::-1]
    even = [body for body in oldest if body and keys.index(body["key"]) % 2 == 0]
    assert store.rows("k", state="even", newest_first=False) == even
    assert store.rows("k", state="even") == even[::-1]
    for newest_first in (True, False):
        for state in (None, "even"):
            whole = store.rows("k", state=state, newest_first=newest_first)
            paged, before = [], None
            while page := store.rows("k", state=state, newest_first=newest_first, limit=3, before=before):
                paged += page
                before = (page[-1]["at"], page[-1]["key"])
            assert paged == whole


def test_the_dump_is_ordered_by_bytes_and_replacing_rows_gives_the_same_dump(store: Store) -> None:
    keys = [f"{i:04d}" for i in range(700)] + ["é", "z", "\U0001f600", "\ufb33", "Z"]
    store.write(
        batch(entry(0), rows=[Put(kind, key, {"k": key}, "s", 3) for key in keys for kind in ("b", "a")])
    )
    dump = list(store.dump_rows())
    assert [row[:2] for row in dump] == sorted(
        (row[:2] for row in dump), key=lambda r: (r[0].encode(), r[1].encode())
    )
    assert len(dump) == 2 * len(keys)
    store.replace_rows(Put(kind, key, {"k": key}, "s", 3) for key in reversed(keys) for kind in ("a", "b"))
    assert list(store.dump_rows()) == dump
    store.replace_rows(iter([]))
    assert list(store.dump_rows()) == []


def test_a_replacement_that_fails_halfway_changes_nothing(store: Store) -> None:
    store.write(batch(entry(0), rows=[Put("k", "a", {"x": 1})]))

    def broken() -> Iterator[Put]:
        for i in range(600):
            yield Put("k", f"n{i}", {})
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        store.replace_rows(broken())
    assert [row[:2] for row in store.dump_rows()] == [("k", "a")]
    store.write(batch(entry(1)))


def test_session_numbers_of_open_sessions_and_of_one(store: Store) -> None:
    store.write(
        batch(
            entry(0, session="open", n=1),
            entry(1, session="open", n=2),
            entry(2, session="shut", n=1),
            entry(3, session="shut", n=2, type="session.closed"),
            entry(4, session="late", n=1, type="session.closed"),
            entry(5, session="late", n=2),
            entry(6),
        )
    )
    assert store.session_counts() == {"open": 2}
    assert store.session_last("open") == 2
    assert store.session_last("shut") == 2
    assert store.session_last("late") == 2
    assert store.session_last("never") == 0


def test_hostile_text_in_keys_is_data_and_not_language(store: Store) -> None:
    hostile = "'); drop table entry; -- \" % \x1f \n ? %s {}"
    store.write(
        batch(
            entry(0, once=hostile, session=hostile, n=1),
            rows=[Put(hostile, hostile, {"a": hostile}, hostile, 1)],
        )
    )
    assert store.once([hostile]) == {hostile: 0}
    assert store.session_last(hostile) == 1
    assert store.row(hostile, hostile) == {"a": hostile}
    assert store.rows(hostile, state=hostile) == [{"a": hostile}]


def test_any_thread_reads_while_one_writes(store: Store) -> None:
    stop, first = threading.Event(), threading.Event()
    seen: list[int] = []
    failed: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                head = store.head()
                if head is None:
                    continue
                size = int(head)
                assert sum(1 for _ in store.entries(0, size)) == size
                seen.append(size)
                first.set()
        except BaseException as error:
            failed.append(error)
            first.set()

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for index in range(60):
        store.write(batch(entry(index), checkpoint=str(index + 1)))
    first.wait(120)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert seen


def test_a_second_writer_is_refused_and_told_which_process_writes(store: Store, store_url: str) -> None:
    with pytest.raises(StoreInUse) as refused:
        open_store(store_url)
    assert isinstance(refused.value.details["pid"], int)
    store.write(batch(entry(0)))


def test_the_lock_is_free_again_after_closing(store: Store, store_url: str) -> None:
    store.write(batch(entry(0)))
    store.close()
    again = open_store(store_url)
    again.write(batch(entry(1)))
    again.close()


def test_a_reader_sees_a_live_writer_and_can_write_nothing(store: Store, store_url: str) -> None:
    reader = open_store(store_url, writer=False)
    store.write(batch(entry(0), checkpoint="one\n"))
    assert reader.head() == "one\n"
    with pytest.raises(StoreUnwritable):
        reader.write(batch(entry(1)))
    with pytest.raises(StoreUnwritable):
        reader.replace_rows(iter([]))
    reader.close()
    assert store.head() == "one\n"


def test_reading_a_store_that_is_not_there_is_refused(store_url: str) -> None:
    with pytest.raises(StoreMissing):
        open_store(store_url, writer=False)


def test_closing_twice_is_closing_once(store: Store) -> None:
    store.close()
    store.close()


def test_what_is_erased_is_gone_and_the_rest_stands(store: Store, store_url: str) -> None:
    store.write(batch(*[entry(i) for i in range(5)], blobs={"sha256:aa": b"secret", "sha256:bb": b"kept"}))
    store.erase({1: b'["~name"]', 3: b"[]"}, ["sha256:aa", "sha256:unknown"])
    store.scrub()
    assert [one.disclosures for one in store.entries()] == [
        b'["abc"]',
        b'["~name"]',
        b'["abc"]',
        b"[]",
        b'["abc"]',
    ]
    assert [one.leaf for one in store.entries()] == [entry(i).leaf for i in range(5)]
    assert list(store.blobs()) == [("sha256:bb", b"kept")]
    store.write(batch(entry(5)))  # the log goes on
    assert store.entry(5) == entry(5)
