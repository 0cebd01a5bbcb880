"""Fixtures of the pages' tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from web_memory import HERE, MemoryWeb, app, view


@pytest.fixture
def web() -> MemoryWeb:
    """One waiting request and one agent session."""
    memory = MemoryWeb()
    memory.service.open(view(1))
    return memory


@pytest.fixture
def client(web: MemoryWeb) -> Iterator[TestClient[Litestar]]:
    """A browser-like client that is not signed in."""
    with TestClient(app(web), base_url=HERE, raise_server_exceptions=False) as given:
        given.headers["accept"] = "text/html"
        yield given


@pytest.fixture
def dana(web: MemoryWeb, client: TestClient[Litestar]) -> TestClient[Any]:
    """The client, signed in as a reviewer."""
    answer = client.post("/login", json={"code": web.code("dana")}, headers={"origin": HERE})
    assert answer.status_code == 200
    return client
