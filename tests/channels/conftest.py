from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "service"))
sys.path.insert(0, str(Path(__file__).parent))

from channels_world import ChannelsWorld


@pytest.fixture
def world(tmp_path: Path) -> ChannelsWorld:
    return ChannelsWorld(tmp_path)
