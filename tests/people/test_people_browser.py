"""A real browser at a real provider: signing in, linking an account, and a decision with the provider's word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from people_provider import House, RealProvider, house
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_people_decisions import idp_policy

from patient_browser import MILLISECONDS, patient

pytestmark = [pytest.mark.browser, pytest.mark.provider]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments, timeout=MILLISECONDS)
        yield patient(opened)
        opened.close()


@pytest.fixture
def keyturn(tmp_path: Path, provider: RealProvider) -> Iterator[House]:
    with house(tmp_path, provider.issuer, policy=idp_policy(), name="Test ID") as opened:
        opened.enrol("riley", f"{provider.issuer}|u-riley", groups=("reviewers",))
        yield opened


@pytest.fixture
def page(browser: Browser, keyturn: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    opened = context.new_page()
    lines: list[str] = []
    opened.on("pageerror", lambda e: lines.append(str(e)))
    yield opened
    assert lines == []
    context.close()


def sign_in(page: Page, keyturn: House, path: str = "/", login: str = "u-riley") -> None:
    """As a person does: our button, the provider's form, and back at the page that was asked for."""
    page.goto(keyturn.url + path)
    page.locator("#provider-go").click()
    at_provider(page, login)
    page.wait_for_url(keyturn.url + path)


def at_provider(page: Page, login: str) -> None:
    page.locator("input[name=login]").fill(login)
    page.keyboard.press("Enter")


def clean(page: Page) -> None:
    """No accessibility violation, and nothing wider than the phone."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_signing_in_are_for_everybody(page: Page, keyturn: House, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(keyturn.url + "/login")
    expect(page.locator("#provider-go")).to_have_text("Sign in with Test ID")
    expect(page.locator("#provider-go")).to_be_enabled()
    clean(page)
    page.locator("#provider-go").click()
    page.get_by_text("Give up").click()
    expect(page.locator("#sign-in-words")).to_contain_text("access_denied")
    clean(page)
    assert "state=" not in page.url
    sign_in(page, keyturn, "/you")
    expect(page.locator("#accounts-title")).to_be_visible()
    expect(page.locator("#link-account")).to_be_enabled()
    clean(page)


def test_who_signs_in_comes_back_to_the_page_that_was_asked_for(page: Page, keyturn: House) -> None:
    view = keyturn.hold()
    sign_in(page, keyturn, f"/requests/{view.id}")
    expect(page.locator("#exact")).to_contain_text("rm -r build")
    assert "code=" not in page.url
    page.reload()
    expect(page.locator("#exact")).to_be_visible()
    page.locator("#sign-out").click()
    page.wait_for_url(keyturn.url + "/login")


def test_a_stranger_is_told_what_to_ask_for(page: Page, keyturn: House, provider: RealProvider) -> None:
    page.goto(keyturn.url + "/login")
    page.locator("#provider-go").click()
    at_provider(page, "u-stranger")
    expect(page.locator("#sign-in-words")).to_contain_text(
        f"{provider.issuer}|u-stranger is linked to nobody here"
    )
    expect(page.locator("#sign-in-words")).to_contain_text("keyturn person link")
    clean(page)


def test_a_decision_goes_to_the_provider_and_comes_home_recorded(page: Page, keyturn: House) -> None:
    view = keyturn.hold()
    sign_in(page, keyturn, f"/requests/{view.id}")
    expect(page.locator("#approve")).to_be_enabled()
    page.locator("#approve").click()
    at_provider(page, "u-riley")
    page.wait_for_url(f"{keyturn.url}/requests/{view.id}#outcome")
    expect(page.locator("#outcome")).to_contain_text("You approved it")
    (given,) = keyturn.entries("approval.given")
    assert (given.fields["assurance"], given.fields["person"]) == ("idp", "riley")


def test_an_account_is_linked_by_showing_it_and_another_administrator(
    page: Page, keyturn: House, provider: RealProvider
) -> None:
    sign_in(page, keyturn, "/you")
    page.locator("#link-account").click()
    at_provider(page, "u-dana")
    page.wait_for_url("**/requests/r*")
    expect(page.locator("#exact")).to_contain_text(f"{provider.issuer}|u-dana")
    request = page.url.rpartition("/")[2]
    assert keyturn.service.core.roster.people["riley"].accounts == (f"{provider.issuer}|u-riley",)
    clean(page)

    async def approve() -> None:
        dana, service = keyturn.service.core.roster.people["dana"], keyturn.service
        view = await service.request(request, dana)
        await service.decide(
            request,
            dana,
            "approve",
            reason="I know her",
            digest=view.digest,
            display=view.display,
            channel="test",
        )

    keyturn.do(approve())
    assert f"{provider.issuer}|u-dana" in keyturn.service.core.roster.people["riley"].accounts
