from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server_process import Process, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    with running(tmp_path) as process:
        yield process
