"""The pages over a real server: real ledger, real policy, real decision, from the link to the proof."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect
from web_browser import open_browser

from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell, Text
from keyturn.cli.init import create
from keyturn.home import Home
from keyturn.resources import Surroundings
from keyturn.server import Server
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome
from keyturn.service.settings import Settings

pytestmark = pytest.mark.browser
T = TypeVar("T")
GATE = Gate("hooks:test@here", "cooperative")


class Real:
    """A running server, and a way to do things in its event loop."""

    def __init__(self, folder: Path, policy: dict[str, bytes] | None = None) -> None:
        self.home = Home(folder / "home")
        create(self.home, "dana", "Dana", "enforce", policy=policy)
        self.work = folder / "work"
        self.work.mkdir()
        self.server = Server(self.home, Settings(port=0))
        self.service: Keyturn
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(120), "the server did not start"

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with self.server.running() as self.service:
            self._ready.set()
            await self._stop.wait()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(120)

    def enrol(self, person: str) -> str:
        """A reviewer; gives the address of a one-time link."""
        self.do(
            self.service.enrol(
                person, name="", groups=["reviewers", "policy"], roles=["member"], os_uids=[], by="dana"
            )
        )

        async def link() -> str:
            return self.service.logins.link_code(person)

        return f"{self.server.url}/login?code={self.do(link())}"

    async def hold(self, script: str) -> Outcome:
        """Dana's agent asks for *script*, which the starter policy holds."""
        agent, human = Agent("claude-code", "claude-code", "2.1"), Human("dana", "os-uid", os.getuid())
        session = await self.service.open_session(agent=agent, human=human, gate=GATE, cwd=str(self.work))
        who = Attribution(
            agent, human, Text("clean up", "hook:UserPromptSubmit"), Text("it is old", "transcript")
        )
        action = Action(Shell(script), who, GATE, session.id, cwd=str(self.work))
        around = Surroundings(cwd=str(self.work), workspace=str(self.work), home=str(self.work.parent))
        outcome = await self.service.authorize(action, around)
        assert outcome.verdict == "hold"
        return outcome


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def page(browser: Browser, real: Real) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    lines: list[str] = []
    opened.on("console", lambda m: lines.append(m.text) if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda e: lines.append(str(e)))
    opened.goto(real.enrol("riley"))
    opened.locator("#sign-in-go").click()
    opened.wait_for_url(f"{real.server.url}/")
    expect(opened.locator("#live")).to_have_attribute("data-state", "live")
    yield opened
    assert lines == []
    context.close()


def test_from_a_held_action_to_a_verified_proof(page: Page, real: Real) -> None:
    outcome = real.do(real.hold("rm -r build"))
    expect(page.locator("#queue > a")).to_have_count(1)
    expect(page.locator("#queue > a")).to_contain_text("claude-code for dana")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#exact")).to_contain_text("rm -r build")
    expect(page.locator("#approve")).to_be_enabled()
    page.keyboard.press("a")
    expect(page.locator("#approve")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("You approved it: entry")
    assert outcome.request is not None
    claimed = real.do(real.service.claim(outcome.request, outcome.digest, GATE.name))
    assert claimed.permit is not None
    page.locator("#outcome a", has_text="entry").click()
    expect(page.locator(".type").first).to_have_text("approval.given")
    page.locator("#verify-go").click()
    expect(page.locator("#verify")).to_have_attribute("data-result", "good")
    page.goto(f"{real.server.url}/ledger")
    expect(page.locator(".type", has_text="permit.issued")).to_be_visible()
    page.goto(f"{real.server.url}/about")
    expect(page.locator(".health-bad")).to_have_count(0)


def test_a_denial_reaches_the_agent_with_its_reason(page: Page, real: Real) -> None:
    outcome = real.do(real.hold("rm -r build"))
    assert outcome.request is not None
    page.goto(f"{real.server.url}/requests/{outcome.request}")
    page.keyboard.press("d")
    page.keyboard.type("still needed")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("Denied.")
    ended = real.do(real.service.wait(outcome.request, 10))
    assert (ended.state, ended.approvals[0].reason) == ("denied", "still needed")


def test_an_entry_altered_behind_keyturns_back_is_caught(page: Page, real: Real) -> None:
    """Negative control first: the entry verifies, then it is altered in the database."""
    outcome = real.do(real.hold("rm -r build"))
    view = real.do(real.service.request(str(outcome.request)))
    address = f"{real.server.url}/ledger/{view.entry}"
    page.goto(address)
    page.locator("#verify-go").click()
    expect(page.locator("#verify")).to_have_attribute("data-result", "good")
    with sqlite3.connect(real.home.ledger) as database:
        (leaf,) = database.execute("select leaf from entry where idx = ?", (view.entry,)).fetchone()
        first = leaf.index(b'"_sd":["') + 8
        other = leaf[:first] + (b"A" if leaf[first : first + 1] != b"A" else b"B") + leaf[first + 1 :]
        database.execute("update entry set leaf = ? where idx = ?", (other, view.entry))
    page.goto(f"{real.server.url}/ledger")
    expect(page.locator(".entry", has_text="damaged")).to_be_visible()
    expect(page.locator(".entry", has_text="log.opened")).to_be_visible()
