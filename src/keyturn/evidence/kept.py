"""The evidence tables of a home, kept between runs: `<home>/evidence/tables.db`, made from the log alone.

Rules kept here:

- They are derived: whoever deletes them loses time. The seal beside them (`tables.json`, written last) says of which log they are, up
  to which entry and its root, by which program, and the SHA-256 of the file. What does not fit is not read: they are made again.
- They are made again, too, after an erasure, and when they are older than `AFRESH_MS`: then what was there is compared with what the
  log gives, and a difference is said.
- One process at a time; one that was killed leaves no seal, and so nothing that is read.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from keyturn.evidence import reading
from keyturn.evidence.errors import EvidenceBusy, EvidenceUnusable
from keyturn.evidence.program import rows as rows_program
from keyturn.evidence.program import tables as tables_program
from keyturn.evidence.program.rows import TABLES
from keyturn.evidence.program.tables import Tables
from keyturn.ledger.merkle import frontier_places, root_of_frontier
from keyturn.ledger.storage import Store
from keyturn.ledger.tiles import subtrees

FILE, SEAL = "tables.db", "tables.json"
AFRESH_MS = 24 * 3600 * 1000
"""How old they become before they are made from nothing and compared."""
LATELY = 1_000
"""Entries before the first ones that are looked through for an erasure that is still going on."""
_CHUNK = 1 << 20

Progress = Callable[[int, int], None]
"""(entries read, entries to read)."""


class Seal(Struct, frozen=True):
    """What the tables say of themselves. `earlier` is how far they went before they were last brought up to date."""

    program: str
    origin: str
    size: int
    root: str
    sha256: str
    made: int
    earlier: int = 0


class Refreshed(Struct, frozen=True):
    """How many entries were read, why all of them (empty when they were not), and which tables were not what the log gives."""

    read: int
    again: str = ""
    differed: tuple[str, ...] = ()


class Head(Struct, frozen=True):
    """Of which log, and how much of it: origin, entries, root (hexadecimal)."""

    origin: str
    size: int
    root: str


@contextmanager
def kept(
    folder: Path,
    store: Store,
    head: Head,
    now: int,
    *,
    afresh: bool = False,
    progress: Progress = lambda done, of: None,
) -> Iterator[tuple[Tables, Refreshed]]:
    """The tables of the log in *store* up to *head*, brought up to date. *now*: milliseconds since 1970.

    Raises `EvidenceBusy`, `EvidenceUnusable`, and what reading the log raises.
    """
    with _locked(folder):
        with _said(folder):
            done = _refresh(folder, store, head, now, afresh, progress)
            tables = Tables(folder / FILE)
        try:
            yield tables, done
        finally:
            tables.close()


def drop(folder: Path) -> None:
    """Delete them; they are made again when somebody asks. Raises `EvidenceBusy`, `EvidenceUnusable`."""
    with _locked(folder), _said(folder):
        for name in (SEAL, FILE):
            (folder / name).unlink(missing_ok=True)


def program() -> str:
    """Which program made the rows: another one makes them again."""
    made = sha256()
    for module in (rows_program, tables_program):
        made.update(Path(str(module.__file__)).read_bytes())
    return f"sha256:{made.hexdigest()}"


# --- whether they fit ---------------------------------------------------------------------------------------------


def _refresh(folder: Path, store: Store, head: Head, now: int, afresh: bool, progress: Progress) -> Refreshed:
    """Bring them up to date, or make them again."""
    seal = _read_seal(folder)
    stranger = _stranger(seal, store, head)
    if seal is None or stranger:
        _make(folder, store, head, now, max(0, head.size - LATELY), progress)
        return Refreshed(head.size, stranger)
    if any(one.type == "erasure.done" for one in store.entries(seal.earlier, head.size)):
        _make(folder, store, head, now, seal.size, progress)
        return Refreshed(head.size, "something was erased")
    again = _doubtful(folder, seal, now, afresh)
    if again:
        differed = _make(folder, store, head, now, seal.size, progress, seal)
        return Refreshed(head.size, again, differed)
    _go_on(folder, seal, store, head, progress)
    return Refreshed(head.size - seal.size)


def _stranger(seal: Seal | None, store: Store, head: Head) -> str:
    """Why these are not tables of this log, by this program; empty when they are."""
    if seal is None:
        return "there were none"
    if seal.program != program():
        return "they were made by another version"
    if seal.origin != head.origin or seal.size > head.size:
        return "they are of another log"
    if seal.root != _root(store, head.size, seal.size):
        return "the log they were made from is no beginning of this one"
    return ""


def _doubtful(folder: Path, seal: Seal, now: int, afresh: bool) -> str:
    """Why they are made from nothing and compared; empty when they are gone on with."""
    if afresh:
        return "it was asked for"
    if _digest(folder / FILE) != seal.sha256:
        return "the file is not the one that was sealed"
    return "" if seal.made <= now < seal.made + AFRESH_MS else "they are made anew each day"


def _root(store: Store, size: int, earlier: int) -> str:
    """The root that the tree of *size* entries had when it had *earlier*, by its tiles."""
    subtree = subtrees(size, store.tile)
    return root_of_frontier([subtree(*place) for place in frontier_places(earlier)]).hex()


def _read_seal(folder: Path) -> Seal | None:
    try:
        return msgspec.json.decode((folder / SEAL).read_bytes(), type=Seal)
    except (OSError, msgspec.MsgspecError):
        return None


# --- making them --------------------------------------------------------------------------------------------------


def _go_on(folder: Path, seal: Seal, store: Store, head: Head, progress: Progress) -> None:
    if seal.size == seal.earlier == head.size:
        return
    (folder / SEAL).unlink()
    if seal.size < head.size:
        _fill(folder / FILE, store, seal.size, head.size, progress)
    _write_seal(folder, head, seal.made, seal.size)


def _make(
    folder: Path,
    store: Store,
    head: Head,
    now: int,
    earlier: int,
    progress: Progress,
    compared: Seal | None = None,
) -> tuple[str, ...]:
    """Make all of them; gives the tables that were there, as *compared* says, and were not what the log gives."""
    making = folder / f".{FILE}"
    making.unlink(missing_ok=True)
    _fill(making, store, 0, head.size, progress)
    differed = _differing(folder / FILE, making, compared.size) if compared is not None else ()
    (folder / SEAL).unlink(missing_ok=True)
    making.replace(folder / FILE)
    _write_seal(folder, head, now, earlier)
    return differed


def _fill(path: Path, store: Store, start: int, end: int, progress: Progress) -> None:
    def told() -> Iterator[tuple[reading.Place, dict[str, Any]]]:
        for one in reading.entries(store, start, end):
            if one[0][0] % 1000 == 0:
                progress(one[0][0] - start, end - start)
            yield one

    _own(path)
    with closing(Tables(path)) as tables:
        tables.load(told())
        tables.index()
    progress(end - start, end - start)


def _differing(old: Path, new: Path, size: int) -> tuple[str, ...]:
    """Tables of *old* that hold other rows than *new* does for the first *size* entries; all of the file when it can't be read."""
    try:
        with closing(Tables(old)) as before, closing(Tables(new)) as after:
            return tuple(table for table in TABLES if not _same(before, after, table, size))
    except sqlite3.Error:
        return (FILE,)


def _same(before: Tables, after: Tables, table: str, size: int) -> bool:
    rows = f'SELECT * FROM "{table}" WHERE entry < ? ORDER BY rowid'
    old = before.db.execute(f'SELECT * FROM "{table}" ORDER BY rowid')
    return all(one == other for one, other in zip_longest(old, after.db.execute(rows, (size,))))


def _write_seal(folder: Path, head: Head, made: int, earlier: int) -> None:
    seal = Seal(program(), head.origin, head.size, head.root, _digest(folder / FILE), made, earlier)
    writing = folder / f".{SEAL}"
    _own(writing)
    writing.write_bytes(msgspec.json.format(msgspec.json.encode(seal)) + b"\n")
    writing.replace(folder / SEAL)


def _own(path: Path) -> None:
    """Make the file, if it isn't there, for its owner alone: who did what when is in it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _digest(path: Path) -> str:
    made = sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                made.update(chunk)
    except FileNotFoundError:
        return ""
    return made.hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only one that changes them."""
    with _said(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EvidenceBusy(f"Another process tests controls in {folder}.") from None
        yield
    finally:
        os.close(handle)


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """A full disk, a missing right or a broken file, in words."""
    try:
        yield
    except OSError as error:
        raise EvidenceUnusable(f"{error.filename or folder}: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise EvidenceUnusable(f"{folder / FILE}: {error}.") from error


__all__ = ["AFRESH_MS", "Head", "Progress", "Refreshed", "Seal", "drop", "kept", "program"]
