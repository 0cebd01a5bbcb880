"""The page about retention in a real Chromium: what is overdue, what is held, and saying that a file is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from test_web_delegations import SIZES, accessible, signed_in
from test_web_real import Real
from web_browser import open_browser

from keyturn.ledger.entries import Draft
from keyturn.policy.folder import STARTER, read_folder
from keyturn.service import artefacts, legal_holds

pytestmark = pytest.mark.browser
DRIFT = b'[retention.customer-data]\nlabels = ["production"]\nkeep = "24h"\nbecause = "the privacy notice"\n'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path, {**read_folder(STARTER), "drift.toml": DRIFT})
    yield running
    running.stop()


def populated(real: Real) -> str:
    core = real.service.core
    now = core.now()

    async def made() -> str:
        shared = {
            "rule": "customer-data",
            "labels": ["production"],
            "action": "a_1",
            "agent": "claude-code",
            "source": "",
        }
        for name, path, due in (
            ("x_1", "/srv/<b>extract</b>\u202evsc.csv", now - 3_600_000),
            ("x_2", "/tmp/" + "long-name-" * 18, now + 7_200_000),
        ):
            fields = {"id": name, "path": path, "made": now - 90_000_000, "due": due, **shared}
            await core.ledger.append([Draft("artefact.written", fields)])
        await legal_holds.place(core, "person", "kim", "case <b>14</b>", core.roster.people["dana"])
        return "x_1"

    return real.do(made())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_somebody_says_that_an_overdue_file_is_gone(
    browser: Browser, real: Real, size: str, scheme: Any
) -> None:
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    page = signed_in(context, real, real.enrol("riley"))
    lines: list[str] = []
    page.on("console", lambda m: lines.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(f"{real.server.url}/retention")
    expect(page.locator("main")).to_contain_text("No file made of labelled data is kept.")
    populated(real)
    page.reload()
    expect(page.locator("main")).to_contain_text("/srv/<b>extract</b>U+202Evsc.csv")
    expect(page.locator("main")).to_contain_text("case <b>14</b>")
    assert accessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if shots := os.environ.get("KEYTURN_TEST_SHOTS"):
        page.screenshot(path=f"{shots}/retention-{size}-{scheme}.png", full_page=True)
    page.get_by_label("How you know that x_1 is gone").fill("the folder was deleted")
    page.get_by_role("button", name="It is gone").first.click()
    expect(page.locator("main")).not_to_contain_text("extract")
    assert artefacts.view(real.service.core, "x_1").by == "riley"
    assert lines == []
    context.close()
