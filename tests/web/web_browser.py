"""A real server on a free port, and a real Chromium, for the `browser` tests and the benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from patient_browser import MILLISECONDS, PATIENCE, patient

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium, or a skipped test that says what to install."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: install your distribution's package `chromium`")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, timeout=MILLISECONDS)
        yield patient(launched)
        launched.close()


def chromium() -> str | None:
    """Path of the distribution's Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


class Served(uvicorn.Server):
    """Tells when it listens, instead of being asked again and again."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], None]) -> None:
        super().__init__(config)
        self.stop = stop
        self.listening = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.listening.set()

    async def shutdown(self, sockets: Any = None) -> None:
        self.stop()  # streams end first; otherwise stopping would wait for them
        await super().shutdown(sockets)


class Running:
    """A server that answers at `origin`."""

    def __init__(self, origin: str, server: Served) -> None:
        self.origin = origin
        self.port = int(origin.rpartition(":")[2])
        self._server = server

    def call(self, act: Callable[[], Any]) -> Any:
        """Do *act* in the server's own thread, as its other requests do."""

        async def run() -> Any:
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self._server.loop).result(PATIENCE)


@contextlib.contextmanager
def serve(application: Any, port: int = 0, stop: Callable[[], None] = lambda: None) -> Iterator[Running]:
    """Serve *application* in a thread."""
    config = uvicorn.Config(
        application,
        "127.0.0.1",
        port,
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = Served(config, stop)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.listening.wait(PATIENCE), "the server did not start"
    chosen = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(f"http://127.0.0.1:{chosen}", server)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
