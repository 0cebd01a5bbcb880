"""Real agent clients, a scripted model and a real Keyturn server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agents_clients import RECIPES, Agent, modules
from agents_keyturn import KeyturnServer


@pytest.fixture(scope="session")
def keyturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyturnServer]:
    """A running server, shared by all tests of this folder."""
    server = KeyturnServer(tmp_path_factory.mktemp("keyturn") / "kt")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def agent(tmp_path: Path) -> Callable[[str], Agent]:
    """Makes a client's home and work folder; skips, saying how to get it, when it isn't installed."""

    def make(name: str) -> Agent:
        recipe = RECIPES[name]
        if not (modules() / ".bin" / recipe.program).exists():
            pytest.skip(f"{recipe.program} is not in {modules()}: `make agents` installs the clients.")
        return Agent(recipe, tmp_path)

    return make
