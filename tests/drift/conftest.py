from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "service"))
sys.path.insert(0, str(Path(__file__).parents[1] / "gates"))

from drift_postgres import MISSING, Audited, audited, installed


@pytest.fixture(scope="session")
def postgres_audited() -> Iterator[Audited]:
    """A real PostgreSQL with pgaudit, for this run."""
    if installed() is None:
        pytest.skip(MISSING)
    pytest.importorskip("psycopg", reason="psycopg (the extra keyturn[postgres]) is not installed")
    with audited() as server:
        yield server
