"""Fixtures of the tests about people and their accounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from people_provider import House, RealProvider, house


@pytest.fixture(scope="module")
def provider(
    tmp_path_factory: pytest.TempPathFactory, node_bin: Path, provider_modules: Path
) -> Iterator[RealProvider]:
    """A running OpenID provider, for all tests of a module."""
    real = RealProvider(tmp_path_factory.mktemp("provider"), node_bin / "node", provider_modules)
    real.start()
    yield real
    real.stop()


@pytest.fixture
def own_provider(tmp_path: Path, node_bin: Path, provider_modules: Path) -> Iterator[RealProvider]:
    """One that the test starts and stops as it likes."""
    real = RealProvider(tmp_path, node_bin / "node", provider_modules)
    yield real
    real.stop()


@pytest.fixture
def keyturn(tmp_path: Path, provider: RealProvider) -> Iterator[House]:
    """A Keyturn whose Dana and Riley have accounts there."""
    with house(tmp_path, provider.issuer) as opened:
        yield opened
