"""A passkey in a real Chromium with a virtual authenticator: made on the page You, approved, and signing on a phone-sized page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect
from test_web_real import Real
from web_browser import open_browser

from keyturn.cli.ledger import log_vkey
from keyturn.evidence import verify_approvals
from keyturn.ledger.export import export
from keyturn.store import open_store

sys.path.insert(0, str(Path(__file__).parent.parent / "service"))

from signing_world import Vendor, approvals, signed_policy

pytestmark = pytest.mark.browser
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path, signed_policy())
    yield running
    running.stop()


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    # Colours on their way from one to the other are not looked at.
    made = browser.new_context(
        viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=3, reduced_motion="reduce"
    )
    yield made
    made.close()


class Phone:
    """Riley's phone: a page of the server under the name localhost, and an authenticator."""

    def __init__(self, real: Real, context: BrowserContext) -> None:
        self.real = real
        self.origin = real.server.url.replace("127.0.0.1", "localhost")
        self.page: Page = context.new_page()
        self.lines: list[str] = []
        self.page.on("pageerror", lambda e: self.lines.append(str(e)))
        self.page.goto(real.enrol("riley").replace("127.0.0.1", "localhost"))
        self.page.locator("#sign-in-go").tap()
        self.page.wait_for_url(f"{self.origin}/")
        self.cdp: CDPSession = context.new_cdp_session(
            self.page
        )  # of the real page: a blank one has no credentials
        self.cdp.send("WebAuthn.enable")
        made = self.cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        self.authenticator = made["authenticatorId"]

    def verify_user(self, yes: bool) -> None:
        self.cdp.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": yes}
        )

    def add_passkey(self) -> str:
        """Through the page You, by touch; another administrator approves it; the key's id."""
        self.page.goto(f"{self.origin}/you")
        self.page.locator("#key-name").fill("Phone")
        self.page.locator("#add-passkey").tap()
        expect(self.page.locator("#key-words")).to_contain_text("Another administrator")
        self.page.locator("#key-words a").tap()
        expect(self.page.locator("#exact")).to_contain_text("passkey of localhost")
        expect(self.page.locator("#bar-words")).to_contain_text("You")
        waiting = self.real.do(self.real.service.requests("waiting"))
        (asked,) = [one for one in waiting if one.subject == "key"]
        dana = self.real.service.core.roster.get("dana")
        assert dana is not None
        decided = self.real.service.decide(
            asked.id, dana, "approve", reason="", digest=asked.digest, display=asked.display, channel="t"
        )
        self.real.do(decided)
        return self.real.do(self.real.service.keys("riley"))[-1].id

    def open(self, request: str | None) -> None:
        self.page.goto(f"{self.origin}/requests/{request}")
        expect(self.page.locator("#live")).to_have_attribute("data-state", "live")

    def accessible(self) -> list[Any]:
        self.page.evaluate(AXE)
        found: dict[str, Any] = self.page.evaluate("axe.run()")
        return [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found["violations"]]


@pytest.fixture
def riley(real: Real, phone: BrowserContext) -> Iterator[Phone]:
    made = Phone(real, phone)
    yield made
    assert made.lines == []


def recorded(real: Real, request: str | None) -> list[dict[str, Any]]:
    return approvals(real.service, str(request))


def test_a_passkey_is_enrolled_and_signs_an_approval_with_the_keyboard_only(
    riley: Phone, real: Real, tmp_path: Path
) -> None:
    key = riley.add_passkey()
    outcome = real.do(real.hold("rm -r build"))
    riley.open(outcome.request)
    page = riley.page
    expect(page.locator("#sign")).to_be_checked()
    expect(page.locator("#sign")).to_be_disabled()  # this rule leaves no choice
    expect(page.locator("#approve")).to_be_enabled()
    page.keyboard.press("a")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.type("the build is stale")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("You approved it: entry")
    expect(page.locator("#standing")).to_contain_text("signed")
    (given,) = recorded(real, outcome.request)
    assert (given["assurance"], given["key"], given["reason"]) == ("signed", key, "the build is stale")
    assert outcome.request is not None
    assert real.do(real.service.claim(outcome.request, outcome.digest, "hooks:test@here")).permit is not None
    assert outside(real, tmp_path)["counts"]["approvals signed"] == 1


def outside(real: Real, folder: Path) -> dict[str, Any]:
    """What the program for outsiders says of an export of this log, run without anything but the standard library."""
    vkey = log_vkey(real.home)
    store = open_store(str(real.home.ledger), writer=False)
    try:
        export(store, folder / "export", vkey)
    finally:
        store.close()
    program = Path(verify_approvals.__file__)
    command = [sys.executable, "-I", "-S", program, folder / "export", "--key", vkey, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    verdict: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, verdict["problems"], verdict["unchecked"]) == (0, [], [])
    return verdict


def test_it_signs_by_touch_and_every_page_of_it_is_accessible(riley: Phone, real: Real) -> None:
    riley.add_passkey()
    page = riley.page
    page.goto(f"{riley.origin}/you")
    expect(page.locator("#keys-list")).to_contain_text("Phone")
    assert riley.accessible() == []
    outcome = real.do(real.hold("rm -r build"))
    riley.open(outcome.request)
    assert riley.accessible() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#reason").tap()
    page.locator("#reason").fill("seen on the train")
    page.locator("#approve").tap()
    expect(page.locator("#outcome")).to_contain_text("You approved it: entry")
    assert riley.accessible() == []
    assert [given["assurance"] for given in recorded(real, outcome.request)] == ["signed"]


def test_an_authenticator_that_can_not_tell_who_uses_it_signs_nothing(riley: Phone, real: Real) -> None:
    riley.add_passkey()
    outcome = real.do(real.hold("rm -r build"))
    riley.open(outcome.request)
    page = riley.page
    riley.verify_user(False)
    page.locator("#reason").fill("please")
    page.locator("#approve").tap()
    expect(page.locator("#bar-words")).to_contain_text("could not check that it is you")
    expect(page.locator("#bar-words")).to_contain_text("Not recorded. Nothing ran.")
    assert recorded(real, outcome.request) == []
    riley.verify_user(True)  # the same page, the same person: now it may
    page.locator("#approve").tap()
    expect(page.locator("#outcome")).to_contain_text("You approved it: entry")


def test_an_attestation_under_another_root_than_the_houses_makes_no_hardware(
    riley: Phone, real: Real
) -> None:
    """The virtual authenticator attests with its maker's certificate, which this house never put among its roots."""
    real.service.core.attestation_roots = (Vendor().root,)  # from now on attestations are asked for
    riley.add_passkey()
    (entry,) = [e for e in real.service.core.ledger.entries() if e.type == "key.enrolled"]
    assert (entry.fields["format"], entry.fields["attested_by"]) == ("packed", "")
    outcome = real.do(real.hold("rm -r build"))
    riley.open(outcome.request)
    riley.page.locator("#reason").fill("seen")
    riley.page.locator("#approve").tap()
    expect(riley.page.locator("#outcome")).to_contain_text("You approved it: entry")
    assert [given["assurance"] for given in recorded(real, outcome.request)] == ["signed"]


def test_without_a_passkey_the_page_says_so_and_only_denying_is_left(riley: Phone, real: Real) -> None:
    outcome = real.do(real.hold("rm -r build"))
    riley.open(outcome.request)
    page = riley.page
    expect(page.locator("#bar-words")).to_contain_text("add one on your page You")
    expect(page.locator("#approve")).to_be_disabled()
    page.keyboard.press("d")
    page.keyboard.type("no key at hand")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("Denied.")


def test_a_passkey_that_is_revoked_on_the_page_no_longer_signs(riley: Phone, real: Real) -> None:
    riley.add_passkey()
    page = riley.page
    outcome = real.do(real.hold("rm -r build"))
    page.goto(f"{riley.origin}/you")
    button = page.locator("button[data-revoke]")
    button.tap()
    expect(button).to_contain_text("Press again")
    button.tap()
    expect(page.locator("#keys-list")).to_contain_text("revoked")
    riley.open(outcome.request)
    expect(page.locator("#approve")).to_be_disabled()
    expect(page.locator("#bar-words")).to_contain_text("You have no passkey for this page")


def test_under_an_address_the_page_says_where_passkeys_work(riley: Phone, real: Real) -> None:
    page = riley.page
    page.goto(f"{riley.origin}/you")
    expect(page.locator("#add-passkey")).to_be_enabled()
    link = real.do(_link(real))
    page.goto(f"{real.server.url}/login?code={link}")
    page.locator("#sign-in-go").tap()
    page.wait_for_url(f"{real.server.url}/")
    page.goto(f"{real.server.url}/you")
    expect(page.locator("main")).to_contain_text(f"{riley.origin}/you")
    expect(page.locator("#add-passkey")).to_have_count(0)
    assert riley.accessible() == []


async def _link(real: Real) -> str:
    return real.service.logins.link_code("riley")
