"""Credentials and findings on the pages of a real server in a real Chromium: revoked by keyboard and by touch, seen at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from test_web_delegations import SIZES, accessible, signed_in
from test_web_real import Real
from web_browser import open_browser

from keyturn.drift.finding import Drift
from keyturn.identity.credentials import CredentialRevoked
from keyturn.ledger.entries import Draft
from keyturn.service import callers, credentials, findings
from keyturn.service.credentials import Wish

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


def populated(real: Real) -> tuple[str, str]:
    """A gate's token and riley's own."""
    core = real.service.core

    async def made() -> tuple[str, str]:
        await core.ledger.append(
            [Draft("gate.enrolled", {"name": "ci", "assurance": "advisory", "by": "dana"})]
        )
        gate = await credentials.issue(core, Wish("gate", "ci", machine="<b>build</b>\u202e"), "dana")
        own = await credentials.issue(
            core, Wish("person", "riley", "opaque", ("approve",), note="phone"), "riley"
        )
        agent = Wish("agent", "coder", scopes=("shell",), owner="riley", actors=("agent:coder",))
        await credentials.issue(core, agent, "dana")
        await findings.record(
            core, Drift("credential.shared", ("x",), "The credential <b>c_x</b> is on two machines.")
        )
        return gate.token, own.token

    return real.do(made())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_leaked_credential_is_revoked_on_the_page(
    browser: Browser, real: Real, size: str, scheme: Any
) -> None:
    link = real.enrol("riley")
    gate, own = populated(real)
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, has_touch=size == "phone")  # type: ignore[arg-type]
    page = signed_in(context, real, link)
    lines: list[str] = []
    page.on("console", lambda m: lines.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(f"{real.server.url}/about")
    expect(page.locator(".health")).to_contain_text("1 open")
    page.goto(f"{real.server.url}/credentials")
    expect(page.locator("main")).to_contain_text("<b>build</b>")
    assert accessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.get_by_role("button", name="Revoke ci")).to_have_count(0)  # riley is no administrator
    button = page.get_by_role("button", name="Revoke phone")
    assert callers.person_by_token(real.service.core, own) is not None
    if size == "phone":
        button.tap()
        expect(page.get_by_role("button", name="press again")).to_be_visible()
        page.get_by_role("button", name="press again").tap()
    else:
        button.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="press again")).to_be_visible()
        page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("You have no token but that of your enrolment")
    with pytest.raises(CredentialRevoked):
        callers.person_by_token(real.service.core, own)
    assert callers.by_token(real.service.core, gate).name == "ci", (
        "negative control: what was not revoked still opens"
    )
    page.goto(f"{real.server.url}/findings")
    expect(page.locator("main")).to_contain_text("The credential <b>c_x</b> is on two machines.")
    assert accessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert lines == []
    context.close()


def test_one_press_or_somebody_elses_revokes_nothing(browser: Browser, real: Real) -> None:
    link = real.enrol("riley")
    gate, own = populated(real)
    context = browser.new_context()
    page = signed_in(context, real, link)
    page.goto(f"{real.server.url}/credentials")
    page.get_by_role("button", name="Revoke phone").click()
    page.locator("h1").click()  # it loses the focus, and with it the first press
    expect(page.get_by_role("button", name="Revoke phone", exact=True)).to_be_visible()
    assert callers.person_by_token(real.service.core, own) is not None
    issued = callers.by_token(real.service.core, gate).credential
    answer = page.evaluate(
        """async (id) => { const answer = await fetch(`/credentials/${id}/revoke`, {method: "POST", body: "{}", headers:
        {"content-type": "application/json", accept: "application/json", "X-Keyturn-CSRF": localStorage.getItem("keyturn.session")}});
        return (await answer.json()).error.code; }""",
        issued,
    )
    assert answer == "auth.forbidden"
    assert callers.by_token(real.service.core, gate).name == "ci"
    context.close()
