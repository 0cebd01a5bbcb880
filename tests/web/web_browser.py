"""A real server on a free port, and a real Chromium, for the `browser` tests and the benchmark."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def chromium() -> str | None:
    """Path of the distribution's Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


class Served(uvicorn.Server):
    """Tells when it listens, instead of being asked again and again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextlib.contextmanager
def serve(application: Any, port: int = 0) -> Iterator[str]:
    """Serve *application* in a thread; gives its origin."""
    config = uvicorn.Config(
        application, "127.0.0.1", port, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = Served(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.listening.wait(20), "the server did not start"
    chosen = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{chosen}"
    finally:
        server.should_exit = True
        thread.join(20)
