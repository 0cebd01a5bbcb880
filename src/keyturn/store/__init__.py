"""The only SQL. `open_store` gives a `Store` (the port in `keyturn.ledger.storage`) on SQLite or PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from keyturn.ledger.storage import Store
from keyturn.store.errors import (
    StoreDriver,
    StoreInUse,
    StoreMissing,
    StoreUnreadable,
    StoreUnwritable,
    StoreVersion,
)

__all__ = [
    "Store",
    "StoreDriver",
    "StoreInUse",
    "StoreMissing",
    "StoreUnreadable",
    "StoreUnwritable",
    "StoreVersion",
    "open_store",
]


def open_store(url: str | Path, *, writer: bool = True) -> Store:
    """The store at *url*: a path or `sqlite:///path`, or `postgresql://…`.

    With *writer* it is made if it doesn't exist, and this process becomes its one writer until `close`; without, it is
    opened for reading only, beside a running writer or on a read-only medium.
    Raises `StoreInUse`, `StoreUnwritable`, `StoreUnreadable`, `StoreMissing`, `StoreVersion`, `StoreDriver`.
    """
    if isinstance(url, str) and url.startswith(("postgresql://", "postgres://")):
        return _postgres(url, writer)
    if isinstance(url, str):
        url = Path(_sqlite_path(url))
    from keyturn.store.sqlite import SqliteStore

    return SqliteStore(url.expanduser().absolute(), writer=writer)


def _sqlite_path(url: str) -> str:
    if url.startswith("sqlite:///"):
        return url.removeprefix("sqlite:///")
    scheme, mark, _ = url.partition("://")
    if mark or not url:
        raise StoreUnreadable(
            f"{scheme or 'An empty text'!r} is no store this program knows.",
            next_step="Use a path, sqlite:///path or postgresql://host/database.",
        )
    return url


def _postgres(url: str, writer: bool) -> Store:
    try:
        from keyturn.store.postgres import PostgresStore
    except ImportError as error:
        raise StoreDriver("The PostgreSQL driver (psycopg 3) is not installed.") from error
    return PostgresStore(url, writer=writer)
