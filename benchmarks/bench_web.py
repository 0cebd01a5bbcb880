"""The queue page in a real Chromium over a real server with 1,000 waiting requests.

Floors, from the same browser in the same run: painting one row of a page that needs no server; one empty round trip and a frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.browser import chromium
from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell
from keyturn.channels.web.rendering import ASSETS
from keyturn.cli.init import create
from keyturn.home import Home
from keyturn.resources import Surroundings
from keyturn.server import Server
from keyturn.service.keyturn import Keyturn
from keyturn.service.settings import Settings

T = TypeVar("T")
WAITING = 1_000
UPDATES = 50
LOADS = 9
QUEUE_SCRIPTS = ("frame.js", "live.js", "queue.js")
SESSION_SCRIPTS = ("frame.js", "live.js", "session.js")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

FIRST_ROW = """
addEventListener("DOMContentLoaded", () => {
  const look = () => document.querySelector(".row")
    ? requestAnimationFrame(() => { window.firstRow = performance.now(); })
    : requestAnimationFrame(look);
  look();
});
"""
"""Milliseconds from the start of the navigation to the frame after the one that has the first row."""

UPDATES_SEEN = """() => {
  window.painted = {};
  window.expected = {};
  new MutationObserver(changes => requestAnimationFrame(() => requestAnimationFrame(() => {
    for (const change of changes) for (const row of change.addedNodes)
      if (row.dataset) {
        window.painted[row.dataset.id] ??= performance.timeOrigin + performance.now();
        window.expected[row.dataset.id]?.();
      }
  }))).observe(document.getElementById("queue"), {childList: true});
}"""

WHEN_PAINTED = """async id => {
  if (!window.painted[id]) await new Promise(done => { window.expected[id] = done; });
  return window.painted[id];
}"""

ROUND_TRIP = """async () => {
  const began = performance.now();
  await (await fetch("/livez")).text();
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - began;
}"""


def run() -> list[dict[str, Any]]:
    """All rows. Without a Chromium only the size of the scripts can be measured."""
    pages = {"queue": QUEUE_SCRIPTS, "session": SESSION_SCRIPTS}
    rows = [
        row(
            f"JavaScript of the {page} page, gzip",
            sum(len(ASSETS[n].compressed) for n in scripts) / 1024,
            "KiB",
            None,
            10,
        )
        for page, scripts in pages.items()
    ]
    executable = chromium()
    if executable is None:
        return rows
    with sync_playwright() as playwright, real_server() as real:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        try:
            return [*measure(browser, real), *rows]
        finally:
            browser.close()


def measure(browser: Browser, real: Real) -> list[dict[str, Any]]:
    """First row and updates."""
    real.do(real.hold(WAITING))
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(real.link())
    page.locator("#sign-in-go").click()
    page.wait_for_url(real.server.url + "/")
    first = [first_row(page, real.server.url + "/") for _ in range(LOADS)]
    page.wait_for_selector("#live[data-state=live]")
    updates = [*update_times(page, real)]
    trips = [page.evaluate(ROUND_TRIP) for _ in range(UPDATES)]
    floor = statistics.median(first_row_floor(page) for _ in range(LOADS))
    p95 = statistics.quantiles(updates, n=20)[18]
    return [
        row(
            f"queue page, {WAITING:,} requests: first row painted (median of {LOADS})",
            statistics.median(first),
            "ms",
            floor,
            300,
        ),
        row(
            f"update of a row, recorded to painted: p95 of {len(updates)}",
            p95,
            "ms",
            statistics.median(trips),
            50,
        ),
    ]


def first_row(page: Page, address: str) -> float:
    """Milliseconds to the first row of the queue."""
    page.add_init_script(FIRST_ROW)
    page.goto(address)
    page.wait_for_function("window.firstRow")
    return float(page.evaluate("window.firstRow"))


def first_row_floor(page: Page) -> float:
    """The same for a page that is one row and comes from nowhere."""
    address = "http://127.0.0.1:1/floor"
    page.route(address, lambda r: r.fulfill(content_type="text/html", body='<p class="row">row</p>'))
    return first_row(page, address)


def update_times(page: Page, real: Real) -> Iterator[float]:
    """Milliseconds from an entry's landing in the server to the frame that shows it, one after the other."""
    page.evaluate(UPDATES_SEEN)
    shown = page.eval_on_selector_all("#queue > .row", "rows => rows.map(row => row.dataset.id)")
    for request in shown[:UPDATES]:
        landed = real.do(real.withdraw(request))
        yield float(page.evaluate(WHEN_PAINTED, request)) - landed


class Real:
    """A server in this process, on a fresh home."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        create(self.home, "dana", "Dana", "enforce")
        self.server = Server(self.home, Settings(port=0))
        self.service: Keyturn
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the server did not start")

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with self.server.running() as self.service:
            self._ready.set()
            await self._stop.wait()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do *work* in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def stop(self) -> None:
        """End the server."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def link(self) -> str:
        """A one-time link of a reviewer."""

        async def enrol() -> str:
            await self.service.enrol(
                "riley", name="", groups=["reviewers"], roles=["member"], os_uids=[], by="dana"
            )
            return self.service.logins.link_code("riley")

        return f"{self.server.url}/login?code={self.do(enrol())}"

    async def hold(self, count: int) -> None:
        """*count* actions that wait for people."""
        agent, human, gate = Agent("bench"), Human("dana", "os-uid", os.getuid()), Gate("bench@here")
        session = await self.service.open_session(agent=agent, human=human, gate=gate, cwd="/srv")
        around = Surroundings(cwd="/srv", workspace="/srv", home="/home/dana")
        actions = (
            Action(Shell(f"rm -r build-{n}"), Attribution(agent, human), gate, session.id, cwd="/srv")
            for n in range(count)
        )
        outcomes = await asyncio.gather(*(self.service.authorize(action, around) for action in actions))
        if any(outcome.verdict != "hold" for outcome in outcomes):
            raise RuntimeError("the starter policy no longer holds `rm -r`")

    async def withdraw(self, request: str) -> float:
        """Withdraw it; gives when the entry landed, in milliseconds since 1970."""
        landing = asyncio.ensure_future(self._landing(request))
        await asyncio.sleep(0)
        await self.service.withdraw(request, "bench", "bench")
        return await landing

    async def _landing(self, request: str) -> float:
        async for change in self.service.changes():
            if change.get("request") == request:
                return time.time() * 1000
        raise RuntimeError("the server stopped")


@contextlib.contextmanager
def real_server() -> Iterator[Real]:
    """A server on a scratch home on this disk."""
    build = Path(__file__).parent.parent / "build"
    build.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-", dir=build))
    try:
        real = Real(folder)
        yield real
        real.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def row(name: str, value: float, unit: str, floor: float | None, budget: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "floor": floor,
        "budget": budget,
        "within": value <= budget,
    }
