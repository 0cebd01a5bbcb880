"""Standing in, on the page You of a real server in a real Chromium: handed over, shown on the request, taken back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from test_web_real import Real
from web_browser import open_browser

pytestmark = pytest.mark.browser
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path)
    yield running
    running.stop()


def signed_in(context: BrowserContext, real: Real, link: str) -> Page:
    page = context.new_page()
    page.goto(link)
    page.locator("#sign-in-go").click()
    page.wait_for_url(f"{real.server.url}/")
    return page


def accessible(page: Page) -> list[Any]:
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found["violations"]]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_colleague_stands_in_from_the_page_you(
    browser: Browser, real: Real, size: str, scheme: Any
) -> None:
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    sam = real.enrol("sam")
    page = signed_in(context, real, real.enrol("riley"))
    lines: list[str] = []
    page.on("console", lambda m: lines.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(f"{real.server.url}/you")
    expect(page.locator("#standing-in")).to_contain_text("Nobody stands in for you")
    page.locator("#stand-go").click()
    expect(page.locator("#stand-words")).to_contain_text("Choose a colleague")
    page.locator("#stand-to").select_option("sam")
    page.locator("#stand-until").fill((datetime.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M"))
    page.locator("#stand-why").fill("<b>On leave</b>")
    page.get_by_label("policy").uncheck()
    page.locator("#stand-go").click()
    expect(page.locator("#standing-in")).to_contain_text("sam stands in for you in reviewers until")
    expect(page.locator("#standing-in")).to_contain_text("<b>On leave</b>")
    assert accessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    outcome = real.do(real.hold("rm -r build"))
    page.goto(f"{real.server.url}/requests/{outcome.request}")
    expect(page.locator("#standing")).to_contain_text("May still decide: sam")
    assert lines == []
    context.close()
    other = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    page = signed_in(other, real, sam)
    page.goto(f"{real.server.url}/you")
    expect(page.locator("#standing-in")).to_contain_text("You stand in for riley in reviewers")
    page.get_by_role("button", name="Decline it from riley").click()
    expect(page.locator("#standing-in")).to_contain_text("Nobody stands in for you, and you for nobody")
    page.goto(f"{real.server.url}/requests/{outcome.request}")
    expect(page.locator("#standing")).to_contain_text("May still decide: riley, sam")
    other.close()


def test_an_approval_says_for_whom_it_was_given(browser: Browser, real: Real) -> None:
    context = browser.new_context()
    real.enrol("riley")
    real.do(real.service.enrol("eve", name="", groups=[], roles=["member"], os_uids=[], by="dana"))
    riley = real.service.core.roster.get("riley")
    assert riley is not None
    until = real.service.core.now() + 3_600_000
    real.do(real.service.hand_over(riley, "eve", groups=(), until=until))

    async def link() -> str:
        return real.service.logins.link_code("eve")

    page = signed_in(context, real, f"{real.server.url}/login?code={real.do(link())}")
    outcome = real.do(real.hold("rm -r build"))
    page.goto(f"{real.server.url}/requests/{outcome.request}")
    expect(page.locator("#standing")).to_contain_text("May still decide: eve (for riley)")
    page.locator("#approve").click()
    expect(page.locator("#standing")).to_contain_text("approved by eve for riley")
    context.close()
