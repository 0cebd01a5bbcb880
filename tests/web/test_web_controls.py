"""The pages about evidence in a real Chromium: the wall, one control, the auditor's portal; and that an auditor's looks are recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from test_web_delegations import SIZES, accessible, signed_in
from test_web_real import Real
from web_browser import open_browser

from keyturn.channels.web.controls import DAY_MS, window
from keyturn.evidence.kept import Refreshed
from keyturn.evidence.testing import Day, Exceptional, TestResult, load_tests
from keyturn.evidence.verdicts import of_test
from keyturn.service.testing_controls import Report, recorded

NASTY = "<b>x</b>\u202evsc " + "long-name-" * 12
FIGURES = {"same_bytes": (41, 2, 0), "approved_before_run": (12, 0, 0), "people_look": (5, 0, 1), "stop_works": (0, 0, 0)}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path)
    yield running
    running.stop()


def tested(real: Real) -> None:
    """A run of the tests is recorded: one fails, one passes, one can't be looked at whole, one has no population."""
    core = real.service.core
    now = core.now()
    today = now - now % DAY_MS
    results = []
    for name, (population, exceptions, untested) in sorted(FIGURES.items()):
        test = load_tests()[name]
        listed = tuple(Exceptional(at, now, NASTY, f"other bytes ran: {NASTY}") for at in range(exceptions))
        days = tuple(
            Day(today - ago * DAY_MS, population // 5, exceptions if ago == 2 else 0, untested if ago == 1 else 0)
            for ago in range(4, -1, -1)
        ) if population else ()  # fmt: skip
        word, why = of_test(population, exceptions, untested)
        results.append(
            TestResult(
                name, test.digest, test.values(), today - 90 * DAY_MS, now, 9, "sha256:" + "ab" * 32,
                population, exceptions, untested, listed, days, word, why,
            )
        )  # fmt: skip
    report = Report(
        core.ledger.origin, 9, "sha256:" + "ab" * 32, today - 90 * DAY_MS, now, tuple(results), Refreshed(9),
        ("A control <b>of the house</b> is none.",),
    )  # fmt: skip

    async def record() -> None:
        await core.ledger.append(recorded(core.id("t"), report, "asked", "dana", 3600))

    real.do(record())


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_wall_and_one_control_tell_what_was_tested(
    browser: Browser, real: Real, size: str, scheme: str
) -> None:
    tested(real)
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    page = signed_in(context, real, real.enrol("riley"))
    for path in ("/controls", "/controls/soc2", "/controls/soc2/CC8.1", "/auditor"):
        page.goto(real.server.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert accessible(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if folder := os.environ.get("KEYTURN_TEST_SCREENSHOTS"):
            page.screenshot(
                path=f"{folder}/evidence{path.replace('/', '-')}-{size}-{scheme}.png", full_page=True
            )
    page.goto(real.server.url + "/controls/soc2/CC8.1")
    section = page.locator("section.test", has=page.locator("#test-same_bytes"))
    expect(section).to_contain_text("41")
    expect(section).to_contain_text("fail")
    expect(section.locator("td code").first).to_contain_text("<b>x</b>")
    assert section.locator("td b").count() == 0, "no word of the log is markup"
    expect(page.locator("svg.k-chart").first).to_be_visible()
    page.goto(real.server.url + "/controls/soc2?state=fail")
    expect(page.get_by_role("link", name="CC8.1", exact=True)).to_be_visible()
    context.close()


@pytest.mark.browser
def test_what_an_auditor_opens_is_recorded_and_the_head_can_be_taken_home(
    browser: Browser, real: Real
) -> None:
    core = real.service.core

    async def enrolled() -> str:
        await real.service.enrol("quinn", name="", groups=[], roles=["auditor"], os_uids=[], by="dana")
        return real.service.logins.link_code("quinn")

    link = f"{real.server.url}/login?code={real.do(enrolled())}"
    context = browser.new_context(accept_downloads=True)
    page = signed_in(context, real, link)
    page.goto(real.server.url + "/auditor")
    expect(page.locator("main")).to_contain_text("What you look at is recorded")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the head as a file").click()
    assert Path(download.value.path()).read_text().startswith(core.ledger.origin + "\n")
    page.goto(real.server.url + "/ledger/2")
    seen = [
        (one.fields["what"], one.fields["of"])
        for one in core.ledger.entries()
        if one.type == "evidence.viewed"
    ]
    assert {("auditor", ""), ("auditor", "checkpoint"), ("entry", "2")} <= set(seen)
    assert len(seen) == len(set(seen))
    context.close()


@pytest.mark.parametrize(
    ("asked", "days"),
    [
        (("", "", ""), 90), (("30", "", ""), 30), (("99999", "", ""), 90), (("0", "", ""), 1), (("x", "2026-02-30", "2026-03-01"), 90),
        (("", "2026-01-10", "2026-01-01"), 90), (("", "2026-01-01", "2026-01-31"), 31), (("", "2026-11-20", "2027-01-01"), 10),
    ],
)  # fmt: skip
def test_a_window_is_never_empty_and_ends_with_today_at_the_latest(
    asked: tuple[str, str, str], days: int
) -> None:
    now = 1_795_979_000_000  # 2026-11-29
    found = window(*asked, now)
    assert (found.until - found.since) // DAY_MS == days
    assert found.since < found.until <= now - now % DAY_MS + DAY_MS
