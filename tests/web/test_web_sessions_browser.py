"""A session's page in a real browser: replay, markers, live, hostile recordings, the kill switch, phones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, FrameLocator, Page, expect
from test_web_browser import AXE, DESK, PHONE, Console, browser, console, context, page, sign_in, site
from web_browser import Running
from web_memory import MemoryWeb, now

from keyturn.service.model import SessionView

pytestmark = pytest.mark.browser
__all__ = ["browser", "console", "context", "page", "site"]

ID = "s_" + "0" * 26
REQUEST = "r_" + "1" * 26
HEADER = '{"version":3,"term":{"cols":80,"rows":24},"timestamp":1763671234}\n'
HOSTILE = (
    "\x1b]0;<img src=x onerror=alert(1)>\x07\x1b]8;;javascript:alert(1)\x07press\x1b]8;;\x07"
    "\x1b[?1049h\x1b[8;9999;9999t\x1b[6n\x1bP$q\x1b\\<script>alert(1)</script>\x1b[38;5;999mend"
)


def line(passed: float, code: str, data: str) -> str:
    return json.dumps([passed, code, data]) + "\n"


@pytest.fixture
def recording(web: MemoryWeb, tmp_path: Path) -> Path:
    """An open session's recording that has begun."""
    web.recordings = tmp_path / "recordings"
    web.recordings.mkdir(mode=0o700)
    web.views[ID] = SessionView(ID, "deploy-bot", "exec", "kim", "exec@here", now(), 3)
    file = web.recordings / f"{ID}.cast"
    file.write_text(
        HEADER
        + line(0.1, "o", "$ make release\r\n")
        + line(1, "m", f"keyturn: waiting for a person: {REQUEST}")
        + line(70, "o", "\x1b[32mbuilt\x1b[0m\r\n")
        + line(1, "m", "keyturn: allowed: gcc")
    )
    return file


def closed(web: MemoryWeb, digest: str = "") -> None:
    web.views[ID] = replace(web.views[ID], closed=now(), recording=digest)


def append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(text)


def terminal(page: Page) -> FrameLocator:
    return page.frame_locator("#player")


def screen(page: Page) -> Any:
    return terminal(page).locator(".ap-term")


def test_a_live_session_is_followed_without_rebuilding_the_player(
    page: Page, web: MemoryWeb, site: Running, recording: Path
) -> None:
    page.goto(f"{site.origin}/sessions/{ID}")
    expect(screen(page)).to_contain_text("built")
    expect(page.locator("#player-words")).to_have_text("Live.")
    screen(page).evaluate("e => { e.dataset.kept = 'yes' }")
    append(recording, line(1, "o", "deployed\r\n") + line(0, "m", "keyturn: denied: rm"))
    expect(screen(page)).to_contain_text("deployed")
    expect(screen(page)).to_have_attribute("data-kept", "yes")
    expect(page.locator("#marks li")).to_have_count(3)
    page.locator("#marks button").first.click()
    expect(page.locator("#player-words")).to_contain_text("Looking back")
    expect(screen(page)).not_to_contain_text("built")
    page.locator("#follow").click()
    expect(screen(page)).to_contain_text("deployed")


def test_stopped_and_ended_are_two_things(page: Page, web: MemoryWeb, site: Running, recording: Path) -> None:
    page.goto(f"{site.origin}/sessions/{ID}")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    site.call(lambda: web.service.record("session.stopped", {"by": "olu", "why": "x"}, ID))
    expect(page.locator("#news")).to_contain_text("was stopped")
    expect(page.locator("#state")).to_have_text("Stopped")
    site.call(lambda: web.service.record("session.closed", {"why": "x", "count": 3}, ID))
    expect(page.locator("#news")).to_contain_text("has ended")
    expect(page.locator("#player-words")).to_be_empty()


def test_markers_jump_and_link_to_their_request(
    page: Page, web: MemoryWeb, site: Running, recording: Path
) -> None:
    closed(web)
    page.goto(f"{site.origin}/sessions/{ID}")
    marks = page.locator("#marks li")
    expect(marks).to_have_count(2)
    assert marks.first.locator("a").get_attribute("href") == f"/requests/{REQUEST}"
    marks.nth(1).locator("button").click()
    expect(screen(page)).to_contain_text("built")
    marks.first.locator("button").press("Enter")
    expect(screen(page)).to_contain_text("make release")
    expect(screen(page)).not_to_contain_text("built")


def test_a_hostile_recording_does_nothing_but_look_odd(
    page: Page, web: MemoryWeb, site: Running, recording: Path, console: Console
) -> None:
    closed(web)
    outside: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if not r.url.startswith(site.origin) else None)
    page.on("dialog", lambda d: outside.append(d.message))
    append(recording, line(1, "o", HOSTILE) + line(0, "m", "<img src=x onerror=alert(1)>"))
    title = page.title
    page.goto(f"{site.origin}/sessions/{ID}")
    expect(page.locator("#marks li")).to_have_count(3)
    page.locator("#marks li button").nth(2).click()
    expect(screen(page)).to_contain_text("end")
    assert terminal(page).locator("img, a[href^='javascript'], .ap-term script").count() == 0
    assert page.locator("#marks img").count() == 0
    assert title().startswith(f"Session {ID}")
    frame = page.frames[1]
    assert frame.evaluate("origin") == "null"
    assert outside == []


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ('[1,"o","cut', "breaks off"),
        ("nonsense\n", "damaged"),
        ('[-5,"o","x"]\n', "damaged"),
        ('[1,"o",7]\n', "damaged"),
    ],
)
def test_what_is_damaged_is_said_and_the_rest_shown(
    page: Page, web: MemoryWeb, site: Running, recording: Path, tail: str, words: str
) -> None:
    closed(web)
    append(recording, tail)
    page.goto(f"{site.origin}/sessions/{ID}")
    expect(page.locator("#player-words")).to_contain_text(words)
    page.locator("#marks button").nth(1).click()
    expect(screen(page)).to_contain_text("built")


def test_stopping_wants_a_reason_and_says_what_was_done(
    page: Page, web: MemoryWeb, site: Running, recording: Path
) -> None:
    page.goto(f"{site.origin}/sessions/{ID}")
    page.locator("#stop summary").press("Enter")
    page.locator("#stop-now").click()
    expect(page.locator("#stop-words")).to_have_text("Say why it is stopped.")
    assert web.ledger.size == 0 or "session.stopped" not in str(web.ledger)
    page.locator("#stop-why").fill("runs wild")
    page.locator("#stop-now").click()
    expect(page.locator("#stop-words")).to_have_text("Stopped by dana: runs wild")


@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", DESK), ("light", PHONE)], ids=["light", "dark", "phone"]
)
def test_it_is_accessible_and_fits(
    browser: Browser, web: MemoryWeb, site: Running, recording: Path, theme: Any, size: Any, console: Console
) -> None:
    opened = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    sign_in(opened, web, site)
    page = opened.new_page()
    console.watch(page)
    page.goto(f"{site.origin}/sessions/{ID}")
    expect(screen(page)).to_contain_text("built")
    page.locator("#stop summary").click()
    page.evaluate(AXE)
    found = page.evaluate(
        "axe.run(document, {resultTypes: ['violations'], elementRef: false, iframes: false})"
    )
    assert [v["id"] for v in found["violations"] if v["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0

    # The frame is as tall as what it shows: nothing is cut, and no empty half is left on a phone.
    inside = terminal(page).locator("#stage").evaluate("e => e.getBoundingClientRect().height")
    expect(page.locator("#player")).to_have_attribute("height", str(-int(-inside // 1)))
    assert console.lines == []
    opened.close()
