"""A home to test ledgers in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home."""
    made = Home(tmp_path)
    yield made
    made.close()
