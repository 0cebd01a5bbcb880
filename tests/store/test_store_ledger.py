"""The whole ledger over every store: sequencing, verification, rebuilding, and coming back after trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.ledger import AlreadyDone, Ledger, LedgerUnwritable
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.ledger.export import export
from keyturn.ledger.verify import verify
from keyturn.store import StoreUnreadable, StoreVersion, open_store

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def fold(entry: Entry, rows: Rows) -> Iterable[Put]:
    total = rows.row("total", "all") or {"count": 0}
    yield Put("total", "all", {"count": total["count"] + 1})
    yield Put("entry", f"{entry.index}\x1f€", {"fields": entry.fields}, entry.type, entry.time)
    if entry.index % 3 == 2:
        yield Put("entry", f"{entry.index - 1}\x1f€", None)


@pytest.fixture
def opened(store_url: str) -> Iterator[Callable[[], Ledger]]:
    ledgers: list[Ledger] = []

    def open_() -> Ledger:
        ledgers.append(Ledger.open(open_store(store_url), KEY, "ledger.example", fold))
        return ledgers[-1]

    yield open_
    for ledger in ledgers:
        ledger.close()


def draft(i: int, session: str | None = "s") -> Draft:
    return Draft("probe.result", {"i": i, "text": "ü" * i}, session, f"once {i}")


def test_a_log_is_written_read_verified_rebuilt_exported_and_continued(
    opened: Callable[[], Ledger], tmp_path: Path
) -> None:
    ledger = opened()

    async def many() -> None:
        results = await asyncio.gather(
            *(ledger.append([draft(i % 300)]) for i in range(330)), return_exceptions=True
        )
        assert sum(isinstance(result, AlreadyDone) for result in results) == 30

    asyncio.run(many())
    ledger.append_sync([Draft("probe.result", {"big": "x" * 9000}), Draft("session.closed", {}, "s")])
    assert verify(ledger._store, ledger.vkey).problems == ()
    assert ledger.rebuild(check=True).identical
    assert ledger.row("total", "all") == {"count": 302}
    done = export(ledger._store, tmp_path / "export", ledger.vkey)
    assert done.size == 302
    assert verify(tmp_path / "export", ledger.vkey).intact
    ledger.close()
    again = opened()
    (entry,) = again.append_sync([draft(300)])
    assert (entry.index, entry.n) == (302, 302)
    with pytest.raises(AlreadyDone):
        again.append_sync([draft(7)])
    assert again.rebuild(check=True).identical


def test_an_export_is_the_same_bytes_from_either_store(tmp_path: Path, postgres_url: str) -> None:
    first = Ledger.open(open_store(tmp_path / "ledger.db"), KEY, "ledger.example", fold)
    first.append_sync([draft(i) for i in range(40)])
    store, other = first._store, open_store(postgres_url)
    from keyturn.ledger.storage import Batch

    head = store.head()
    tile = store.tile(0, 0)
    assert head is not None
    assert tile is not None
    other.write(Batch(list(store.entries()), {(0, 0): tile}, head, dict(store.blobs())))
    for source, name in ((store, "a"), (other, "b")):
        export(source, tmp_path / name, first.vkey)
    files = [sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*")) for name in "ab"]
    assert files[0] == files[1]
    assert all(
        (tmp_path / "a" / p).read_bytes() == (tmp_path / "b" / p).read_bytes()
        for p in files[0]
        if (tmp_path / "a" / p).is_file()
    )
    other.close()
    first.close()


@pytest.mark.postgres
def test_a_lost_database_connection_refuses_and_comes_back(postgres_url: str) -> None:
    import psycopg

    ledger = Ledger.open(open_store(postgres_url), KEY, "ledger.example", fold)
    try:
        ledger.append_sync([draft(0)])
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keyturn'"
            )
            with pytest.raises(LedgerUnwritable):
                ledger.append_sync([draft(1)])
        (entry,) = ledger.append_sync([draft(1)])
        assert (entry.index, entry.n) == (1, 2)
        assert ledger.row("total", "all") == {"count": 2}
        assert verify(ledger._store, ledger.vkey).intact
    finally:
        ledger.close()


@pytest.mark.postgres
def test_a_writer_that_lost_its_lock_to_another_never_writes_beside_it(postgres_url: str) -> None:
    import psycopg

    first = Ledger.open(open_store(postgres_url), KEY, "ledger.example", fold)
    first.append_sync([draft(0)])
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keyturn'"
        )
    second = Ledger.open(open_store(postgres_url), KEY, "ledger.example", fold)
    try:
        second.append_sync([draft(1)])
        for _ in range(3):
            with pytest.raises(LedgerUnwritable):
                first.append_sync([draft(2)])
        second.append_sync([draft(3)])
        second.close()
        (entry,) = first.append_sync([draft(4)])
        assert entry.index == 3
        assert [e.fields["i"] for e in first.entries()] == [0, 1, 3, 4]
        assert verify(first._store, first.vkey).intact
        assert first.rebuild(check=True).identical
    finally:
        first.close()
        second.close()


@pytest.mark.postgres
def test_postgres_tables_of_another_version_or_program_are_refused(postgres_url: str) -> None:
    import psycopg

    open_store(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("update schema_version set version = 9")
        for writer in (True, False):
            with pytest.raises(StoreVersion, match="version 9"):
                open_store(postgres_url, writer=writer)
        other.execute("drop table schema_version")
        for writer in (True, False):
            with pytest.raises(StoreUnreadable, match="not a Keyturn ledger"):
                open_store(postgres_url, writer=writer)


@pytest.mark.postgres
def test_an_unreachable_database_is_refused_without_its_password(postgres_url: str) -> None:
    with pytest.raises(StoreUnreadable) as refused:
        open_store("postgresql://user:hunter2@127.0.0.1:1/none?connect_timeout=2")
    assert "hunter2" not in str(refused.value)
