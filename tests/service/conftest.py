from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from service_world import World


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A home on each store; no story knows which."""
    if request.param == "sqlite":
        return World(tmp_path)
    return World(tmp_path, store=request.getfixturevalue("postgres_url"))
