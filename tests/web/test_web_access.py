"""The review of access on the page of a real server in a real Chromium: seen, recorded, and refused as the command refuses it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from test_web_delegations import SIZES, accessible, signed_in
from test_web_real import Real
from web_browser import open_browser

from keyturn.ledger.entries import Entry
from keyturn.service import people

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path)
    yield running
    running.stop()


def link(real: Real, person: str) -> str:
    async def code() -> str:
        return real.service.logins.link_code(person)

    return f"{real.server.url}/login?code={real.do(code())}"


def with_roles(real: Real, person: str, *roles: str) -> str:
    """Somebody with these roles; the address that signs them in."""
    real.enrol(person)
    real.do(people.change(real.service.core, person, {"roles": list(roles)}, by="dana"))
    return link(real, person)


def reviews(real: Real) -> list[Entry]:
    ledger = real.service.core.ledger
    return [one for one in ledger.entries(0, ledger.size) if one.type == "access.reviewed"]


def record(page: Page, note: str = "") -> None:
    page.get_by_label("Note on the review").fill(note)
    page.get_by_role("button", name="I looked through it").click()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_administrator_looks_through_access_and_records_it(
    browser: Browser, real: Real, size: str, scheme: Any
) -> None:
    sam = with_roles(real, "sam", "member", "admin")
    real.enrol("riley")
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
    page = signed_in(context, real, sam)
    lines: list[str] = []
    page.on("console", lambda m: lines.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(f"{real.server.url}/you")
    page.get_by_role("link", name="Who may do what here").click()
    main = page.locator("main")
    expect(main).to_contain_text("Nobody has looked through it yet")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(main.get_by_role("row", name="sam you")).to_contain_text("signed in")
    expect(main.get_by_role("row", name="dana")).to_contain_text("acted")
    expect(main.get_by_role("row", name="riley")).to_contain_text("never")
    expect(main.get_by_role("row", name="riley")).to_contain_text("reviewers")
    assert accessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if shots := os.environ.get("KEYTURN_TEST_SHOTS"):
        page.screenshot(path=f"{shots}/access-{size}-{scheme}.png", full_page=True)
    assert reviews(real) == []
    record(page, "looks right")
    expect(main).to_contain_text("sam looked through it")
    seen = {
        who: main.get_by_role("row", name=who).locator("td[data-name='Looked at']")
        for who in ("sam you", "dana")
    }
    expect(seen["dana"]).to_contain_text("by sam")
    expect(seen["sam you"]).to_have_text("never")  # nobody reviews themselves
    (entry,) = reviews(real)
    assert (entry.fields["by"], entry.fields["note"]) == ("sam", "looks right")
    real.do(people.remove(real.service.core, "riley", by="dana"))
    page.reload()
    expect(main).to_contain_text("person riley")
    assert accessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if shots:
        page.screenshot(path=f"{shots}/access-reviewed-{size}-{scheme}.png", full_page=True)
    assert real.service.core.ledger.rebuild(check=True).identical
    assert lines == []


def test_a_list_that_changed_since_it_was_shown_is_not_recorded(browser: Browser, real: Real) -> None:
    page = signed_in(browser.new_context(), real, with_roles(real, "sam", "member", "admin"))
    page.goto(f"{real.server.url}/access")
    real.enrol("riley")
    record(page)
    expect(page.locator("form [role=status]")).to_contain_text("has changed since that list was shown")
    assert reviews(real) == []
    page.reload()  # negative control: the same person, with the list as it is now
    record(page)
    expect(page.locator("main")).to_contain_text("sam looked through it")
    assert len(reviews(real)) == 1


def test_the_only_administrator_does_not_review_themselves(browser: Browser, real: Real) -> None:
    page = signed_in(browser.new_context(), real, link(real, "dana"))
    page.goto(f"{real.server.url}/access")
    expect(page.locator("main")).to_contain_text("You are the only administrator")
    record(page)
    expect(page.locator("form [role=status]")).to_contain_text("dana is the only administrator")
    assert reviews(real) == []


def test_an_auditor_reads_it_and_records_nothing_and_a_member_sees_nothing(
    browser: Browser, real: Real
) -> None:
    with_roles(real, "sam", "member", "admin")
    real.do(real.service.enrol("aud", name="", groups=[], roles=["auditor"], os_uids=[], by="dana"))
    page = signed_in(browser.new_context(), real, link(real, "aud"))
    page.goto(f"{real.server.url}/access")
    expect(page.locator("main")).to_contain_text("People (3)")
    expect(page.get_by_role("button", name="I looked through it")).to_have_count(0)
    answer = page.request.post(
        f"{real.server.url}/access/review",
        data={"digest": "x"},
        headers={"Origin": real.server.url, "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status == 403
    member = signed_in(browser.new_context(), real, real.enrol("riley"))
    assert member.request.get(f"{real.server.url}/access").status == 403
    assert reviews(real) == []
