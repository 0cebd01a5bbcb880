"""The pages Grants and Break-glass, and their gestures on a request's page, over a real server in a real Chromium on a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from test_web_real import GATE, Real
from test_web_signing import PHONE, Phone
from web_browser import open_browser

from keyturn.actions import Action, Agent, Attribution, Human, Shell, Text
from keyturn.policy.folder import STARTER, read_folder
from keyturn.resources import Surroundings
from keyturn.service.model import Proposed

pytestmark = pytest.mark.browser
FILES = read_folder(STARTER)
SECTION = b'\n[breakglass]\npeople = ["riley"]\nreviewers = "security"\n'
POLICY = {**FILES, "requirements.toml": FILES["requirements.toml"] + SECTION}
LOOKS = os.environ.get("KEYTURN_TEST_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path, POLICY)
    yield running
    running.stop()


@pytest.fixture
def riley(real: Real, browser: Browser) -> Iterator[Phone]:
    context: BrowserContext = browser.new_context(
        viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    made = Phone(real, context)
    yield made
    assert made.lines == []
    context.close()


def looked_at(riley: Phone, name: str) -> None:
    """Axe finds nothing, in light and in dark, on a phone and on a desk; the pictures, where somebody wants to look at them."""
    for width, height in ((PHONE["width"], PHONE["height"]), (1280, 900)):
        riley.page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            riley.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            assert riley.accessible() == [], (name, width, scheme)
            wide = riley.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (name, width, wide)
            if LOOKS:
                riley.page.screenshot(path=f"{LOOKS}/{name}-{width}-{scheme}.png", full_page=True)
    riley.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    riley.page.emulate_media(color_scheme="light")


def test_an_action_is_granted_for_a_time_and_the_grant_is_revoked_by_touch(riley: Phone, real: Real) -> None:
    outcome = real.do(real.hold("rm -r build"))
    page = riley.page
    riley.open(outcome.request)
    looked_at(riley, "request")
    page.locator("#far").select_option("600s session")
    if page.locator("#reason").is_enabled():
        page.locator("#reason").fill("it is rebuilt all the time")
    expect(page.locator("#approve")).to_be_enabled()
    page.locator("#approve").press("Enter")
    expect(page.locator("#outcome")).to_contain_text("You approved it: entry")
    (grant,) = real.do(real.service.grants("open", 10))
    assert (grant.request, grant.uses, bool(grant.session)) == (outcome.request, 0, True)

    page.goto(f"{riley.origin}/grants")
    expect(page.locator("h2.pre")).to_contain_text("build")
    looked_at(riley, "grants")
    page.locator("form.act input").fill("wrong folder")
    page.locator("form.act button").tap()
    expect(page.locator(".empty")).to_contain_text("No grant is open.")
    (gone,) = real.do(real.service.grants("all", 10))
    assert (gone.state, gone.revoked_by, gone.revoked_why) == ("revoked", "riley", "wrong folder")
    page.goto(f"{riley.origin}/grants?only=all")
    expect(page.locator("main")).to_contain_text("Revoked by riley")


def test_a_plan_is_read_step_by_step_approved_and_revoked_by_touch(riley: Phone, real: Real) -> None:
    scripts = ("rm -r build", "ls -la", "rm -r di\u202est  # now", "rm -r cache")
    first = real.do(real.hold("rm -r elsewhere"))
    row = real.service.core.ledger.row("action", first.action)
    assert row is not None
    who = Attribution(
        Agent("claude-code", "claude-code", "2.1"),
        Human("dana", "os-uid", os.getuid()),
        Text("clean up", "hook"),
    )
    steps = [
        Proposed(
            Action(Shell(one), who, GATE, row["session"], cwd=str(real.work)), Surroundings(str(real.work))
        )
        for one in scripts
    ]
    answer = real.do(real.service.propose_plan(steps, "Clear what was built.", 600))
    assert answer.request is not None
    page = riley.page
    riley.open(answer.request)
    expect(page.locator("#exact")).to_contain_text("Step 3 of 4: needs people")
    expect(page.locator("#exact .tok").first).to_contain_text("U+202E")
    looked_at(riley, "plan-request")
    expect(page.locator("#exact")).to_contain_text("not understood: U+202E")
    for part in page.locator("#exact .seen").all():
        part.scroll_into_view_if_needed()
    page.locator("#reason").fill("all of it is rebuilt")
    expect(page.locator("#approve")).to_be_enabled()
    page.locator("#approve").press("Enter")
    expect(page.locator("#outcome")).to_contain_text("You approved it: entry")
    ran = real.do(real.service.authorize(steps[0].action, steps[0].around, consume=True))
    assert ran.verdict == "run"
    page.goto(f"{riley.origin}/grants")
    expect(page.locator("ol li").nth(0)).to_contain_text("used")
    expect(page.locator("ol li").nth(2)).to_contain_text("next")
    looked_at(riley, "plans")
    page.locator("form.act input").fill("wrong folder")
    page.locator("form.act button").tap()
    expect(page.locator(".empty")).to_contain_text("No grant is open.")
    (gone,) = real.do(real.service.plans("all", 10))
    assert (gone.state, gone.stopped_by) == ("revoked", "riley")
    page.goto(f"{riley.origin}/grants?only=all")
    expect(page.locator("main")).to_contain_text("Revoked by riley")


def test_the_glass_is_broken_with_a_passkey_and_reviewed_by_somebody_else(
    riley: Phone, real: Real, browser: Browser
) -> None:
    riley.add_passkey()
    outcome = real.do(real.hold("rm -r build"))
    page = riley.page
    riley.open(outcome.request)
    page.locator("#glass summary").press("Enter")
    looked_at(riley, "glass")
    page.locator("#glass-now").press("Enter")
    expect(page.locator("#glass-words")).to_contain_text("nothing was sent yet")
    page.locator("#glass-why").fill("checkout is down")
    page.locator("#glass-now").press("Enter")
    expect(page.locator("#outcome")).to_contain_text("riley broke the glass: checkout is down")
    (used,) = real.do(real.service.glasses("unreviewed", 10))
    assert (used.person, used.assurance) == ("riley", "signed")

    page.goto(f"{riley.origin}/")
    expect(page.locator("main .alarm")).to_contain_text(
        "The glass was broken once, and that is not reviewed."
    )
    looked_at(riley, "queue")
    page.goto(f"{riley.origin}/breakglass")
    expect(page.locator("main")).to_contain_text("You broke the glass; somebody else reviews it.")

    real.do(real.service.enrol("sam", name="", groups=["security"], roles=["member"], os_uids=[], by="dana"))

    async def link() -> str:
        return real.service.logins.link_code("sam")

    sam = browser.new_context(viewport=PHONE, has_touch=True)
    other = sam.new_page()
    other.goto(f"{riley.origin}/login?code={real.do(link())}")
    other.locator("#sign-in-go").tap()
    other.wait_for_url(f"{riley.origin}/")
    other.goto(f"{riley.origin}/breakglass")
    other.locator("form.act input").fill("the shop was down")
    other.locator("button", has_text="Not justified").tap()
    expect(other.locator(".empty")).to_contain_text("Nothing is to be reviewed.")
    (done,) = real.do(real.service.glasses("all", 10))
    assert (done.state, done.verdict, done.reviewed_by, done.note) == (
        "reviewed",
        "unjustified",
        "sam",
        "the shop was down",
    )
    other.goto(f"{riley.origin}/")
    expect(other.locator("main .alarm")).to_have_count(0)
    sam.close()
    page.goto(f"{riley.origin}/breakglass?only=all")
    looked_at(riley, "reviewed")
