"""SQLite homes in trouble: full disk, read-only, not a database, another version, another program's file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.ledger import Ledger, LedgerUnwritable
from keyturn.ledger.entries import Draft, Put
from keyturn.ledger.storage import Batch, StoredEntry
from keyturn.ledger.verify import verify
from keyturn.store import StoreInUse, StoreMissing, StoreUnreadable, StoreUnwritable, StoreVersion, open_store
from keyturn.store.sqlite import SqliteStore
from keyturn.store.statements import statements


def one(index: int = 0) -> Batch:
    return Batch([StoredEntry(index, 1, "probe.result", b"leaf", b"[]")], {}, f"head {index}\n")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    store = open_store(path)
    store.write(one())
    store.close()
    return path


def change(path: Path, *statements_: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements_:
            connection.execute(statement)
    connection.close()


def test_every_commit_is_synced_and_written_ahead(written: Path) -> None:
    store = SqliteStore(written, writer=True)
    connection = store._writable()
    assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    assert connection.execute("pragma synchronous").fetchone() == (2,)
    store.close()
    assert [p.name for p in written.parent.iterdir() if p.name.endswith(("-wal", "-shm"))] == []


def test_the_files_are_readable_by_their_owner_alone(written: Path) -> None:
    store = open_store(written)
    store.write(one(1))
    for path in written.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    store.close()


@pytest.mark.parametrize("url", ["{path}", "sqlite:///{path}"])
def test_a_path_and_its_url_are_the_same_store(written: Path, url: str) -> None:
    store = open_store(url.format(path=written), writer=False)
    assert store.head() == "head 0\n"
    store.close()


@pytest.mark.parametrize("url", ["mysql://host/db", "", "http://x"])
def test_an_unknown_url_is_refused_in_words(url: str) -> None:
    with pytest.raises(StoreUnreadable, match="no store this program knows"):
        open_store(url)


@pytest.mark.parametrize("writer", [True, False])
def test_a_file_that_is_not_a_database_is_refused_and_left_alone(tmp_path: Path, writer: bool) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database " * 500)
    with pytest.raises(StoreUnreadable, match="not an intact SQLite database"):
        open_store(path, writer=writer)
    assert path.read_bytes() == b"not a database " * 500


@pytest.mark.parametrize("writer", [True, False])
def test_another_program_s_database_is_refused_and_left_alone(tmp_path: Path, writer: bool) -> None:
    path = tmp_path / "ledger.db"
    change(path, "create table entry (mine)")
    before = path.read_bytes()
    with pytest.raises(StoreUnreadable, match="not a Keyturn ledger"):
        open_store(path, writer=writer)
    assert path.read_bytes() == before


@pytest.mark.parametrize("writer", [True, False])
@pytest.mark.parametrize("version", [2, 99])
def test_tables_of_another_version_are_refused(written: Path, version: int, writer: bool) -> None:
    open_store(written, writer=writer).close()
    change(written, f"pragma user_version = {version}")
    with pytest.raises(StoreVersion, match=f"tables of version {version}"):
        open_store(written, writer=writer)


def test_after_a_refused_opening_the_lock_is_free(written: Path) -> None:
    change(written, "pragma user_version = 2")
    with pytest.raises(StoreVersion):
        open_store(written)
    change(written, "pragma user_version = 1")
    open_store(written).close()


def test_a_corrupt_page_is_an_error_in_words_and_not_a_wrong_answer(written: Path) -> None:
    store = open_store(written)
    for index in range(1, 400):
        store.write(Batch([StoredEntry(index, 1, "probe.result", b"leaf" * 100, b"[]")], {}, "head\n"))
    store.close()
    data = bytearray(written.read_bytes())
    data[8 * 4096 : 40 * 4096] = os.urandom(32 * 4096)
    written.write_bytes(data)
    store = open_store(written, writer=False)
    with pytest.raises(StoreUnreadable):
        list(store.entries())
    store.close()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable, match="No such file"):
        open_store(tmp_path / "missing" / "ledger.db")
    with pytest.raises(StoreMissing):
        open_store(tmp_path / "missing" / "ledger.db", writer=False)


def test_two_servers_in_one_home_are_refused_even_over_two_names(written: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    store = open_store(written)
    with pytest.raises(StoreInUse, match=str(os.getpid())):
        open_store(tmp_path / "link" / "ledger.db")
    store.close()
    open_store(tmp_path / "link" / "ledger.db").close()


def test_a_row_too_large_for_the_store_refuses_its_batch_whole(written: Path) -> None:
    store = open_store(written)
    batch = Batch(
        [StoredEntry(1, 1, "probe.result", b"", b"[]")], {}, "head\n", {}, [Put("k", "a", {}, "", 2**70)]
    )
    with pytest.raises(StoreUnwritable):
        store.write(batch)
    assert store.entry(1) is None
    store.write(one(1))
    store.close()


# Full disks and read-only places


def a_ledger(path: Path) -> Ledger:
    def fold(entry: object, rows: object) -> list[Put]:
        return [Put("entry", str(getattr(entry, "index", 0)), {})]

    return Ledger.open(
        open_store(path), Ed25519PrivateKey.from_private_bytes(b"k" * 32), "ledger.example", fold
    )


def append_until_refused(ledger: Ledger, size: int) -> int:
    """Append entries until the disk is full; gives the size of the log."""
    done, words = ledger.size, ""
    while not words:
        assert done < 1000, "the disk was never full"
        try:
            ledger.append_sync([Draft("probe.result", {"i": done, "text": "x" * size})])
            done += 1
        except LedgerUnwritable as refused:
            words = refused.happened
    assert "full" in words
    assert ledger.size == done
    return done


@pytest.mark.parametrize("size", [100, 60_000])
def test_a_full_disk_refuses_appends_and_a_freed_one_takes_them_again(written: Path, size: int) -> None:
    """`max_page_count` gives SQLite's own answer to a full disk, SQLITE_FULL."""
    shutil.rmtree(written.parent)
    written.parent.mkdir()
    ledger = a_ledger(written)
    store = ledger._store
    assert isinstance(store, SqliteStore)
    ledger.append_sync([Draft("probe.result", {"i": 0})])
    pages = store._writable().execute("pragma page_count").fetchone()[0]
    store._writable().execute(f"pragma max_page_count = {pages + 4}")
    done = append_until_refused(ledger, size)
    with pytest.raises(LedgerUnwritable):
        ledger.append_sync([Draft("probe.result", {"i": done, "text": "x" * 60_000})])
    store._writable().execute("pragma max_page_count = 1000000")
    (entry,) = ledger.append_sync([Draft("probe.result", {"i": done})])
    assert entry.index == done
    assert verify(store, ledger.vkey).intact
    assert ledger.rebuild(check=True).identical
    ledger.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mount.returncode:
        pytest.skip("only a user who may mount can have a small disk of its own (root)")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_really_is_full_loses_nothing_it_acknowledged(small_disk: Path) -> None:
    path = small_disk / "ledger.db"
    ledger = a_ledger(path)
    done = append_until_refused(ledger, 3000)
    assert done > 10
    for _ in range(3):
        with pytest.raises(LedgerUnwritable):
            ledger.append_sync([Draft("probe.result", {"i": done, "text": "x" * 60_000})])
    assert ledger.size == done
    assert verify(ledger._store, ledger.vkey).intact
    assert [entry.fields["i"] for entry in ledger.entries()] == list(range(done))
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    ledger.append_sync([Draft("probe.result", {"i": done})])
    ledger.close()
    again = a_ledger(path)
    assert again.size == done + 1
    again.close()


def test_a_home_on_a_read_only_medium_is_refused_for_writing_and_read(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    mounted = subprocess.run(["mount", "--bind", tmp_path, folder], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("only a user who may mount can have a read-only medium (root)")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        with pytest.raises(StoreUnwritable, match="Read-only"):
            open_store(folder / "ledger.db")
        store = open_store(folder / "ledger.db", writer=False)
        assert store.head() == "head 0\n"
        store.close()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_home_without_permission_is_refused_in_words(written: Path) -> None:
    script = """
import os, sys
import keyturn.store.sqlite  # before the process may no longer read its own program
from keyturn.store import open_store
from keyturn.errors import KeyturnError
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
for writer in (True, False):
    try:
        open_store(sys.argv[1], writer=writer)
    except KeyturnError as error:
        print(error.code)
"""
    written.parent.chmod(0o500)
    written.chmod(0o000)
    for parent in written.parents[1:3]:
        parent.chmod(0o755)
    try:
        ran = subprocess.run([sys.executable, "-c", script, str(written)], capture_output=True, text=True)
    finally:
        written.parent.chmod(0o700)
        written.chmod(0o600)
    assert ran.stderr == ""
    codes = ran.stdout.split()
    assert len(codes) == 2
    assert set(codes) <= {"store.unwritable", "store.unreadable", "store.missing"}


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_both_dialects_name_the_statements_their_store_uses(dialect: str) -> None:
    found = statements(dialect)
    shared = {
        "schema",
        "head",
        "entry",
        "entries",
        "leaves",
        "once",
        "tile",
        "blob",
        "blobs",
        "row",
        "count",
        "dump_rows",
    }
    assert shared <= set(found)
    assert all(text and not text.endswith(";") for text in found.values())
