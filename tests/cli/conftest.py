"""A home with two people and its server, shared by the tests that only ask; and ways to run the command line."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "server"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from cli_house import House, furnished  # noqa: E402 — beside this file


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """A running server that no test stops or breaks."""
    with short_folder() as folder, furnished(folder) as made:
        yield made


@pytest.fixture
def own_house() -> Iterator[House]:
    """A running server that a test may stop and break."""
    with short_folder() as folder, furnished(folder) as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """A scratch folder whose path is short: a Unix socket's has at most 107 characters."""
    with short_folder() as made:
        yield made


class short_folder(tempfile.TemporaryDirectory):  # type: ignore[type-arg]  # noqa: N801 — used as a function
    """A scratch folder, as a path."""

    def __init__(self) -> None:
        super().__init__(prefix="kt-")

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(super().__enter__()).resolve()
