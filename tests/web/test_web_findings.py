"""Findings on the pages of a real server in a real Chromium: filtered, looked at, settled by somebody else, lifted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from test_web_delegations import SIZES, accessible, signed_in
from test_web_real import GATE, Real
from web_browser import open_browser

from keyturn.actions import Agent, Human
from keyturn.drift.finding import Drift, Explanation, Magnitude, Since
from keyturn.policy.folder import read_folder
from keyturn.service import findings

pytestmark = pytest.mark.browser
STARTER = Path(findings.__file__).parents[1] / "policy" / "starter"
RULES = b'[response.watch]\nkinds = ["credential.shared"]\ndo = "step-up"\napprove = "1 of reviewers"\n'
PICTURES = os.environ.get("KEYTURN_TEST_PICTURES", "")
"""A folder for screenshots, for people to look at; none are kept without it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path, {**read_folder(STARTER), "drift.toml": RULES})
    yield running
    running.stop()


def populated(real: Real) -> dict[str, str]:
    """A plain, a hostile, a long and an explained finding about Dana's agent; their ids."""

    async def made() -> dict[str, str]:
        service = real.service
        session = await service.open_session(
            agent=Agent("claude-code"), human=Human("dana", "os-uid", os.getuid()), gate=GATE, cwd="/"
        )
        now, ids = service.core.now(), {}
        subject = {"agent": "claude-code", "session": session.id}
        shown = Explanation(
            "PROVEN",
            "r_change",
            "dana",
            ("riley", "sam"),
            "the quarterly migration",
            now - 86_400_000,
            "4 rows changed",
            ("sales.region was not in it",),
            "",
        )
        searched = Explanation(searched="Searched 214 approved changes between 1 and 9 March: none match.")
        drifts = {
            "plain": Drift(
                "credential.shared",
                ("a",),
                "The agent claude-code reads customer records four times as often as in its approved baseline.",
                {**subject, "target": "db-1"},
                "41 % of its actions read customer records",
                "9 % (baseline of 400 sessions, pinned by r_pin)",
                Since(now - 7_200_000, now - 3_600_000),
                Magnitude(0.41, 0.09, "share of actions", 120_000),
                (2, 3),
                "The instruction file was changed in twelve small steps.",
                searched,
            ),
            "hostile": Drift(
                "approval.from_agent",
                ("b",),
                "<b>Nothing</b> to see\u202e here.\n" + "x" * 600,
                {"person": "dana", "object": "<script>1</script>" * 30},
                "\u200b" * 3,
            ),
            "proven": Drift(
                "breakglass.unreviewed", ("c",), "A column was added to sales.", subject, explanation=shown
            ),
        }
        for name, drift in drifts.items():
            await findings.record(service.core, drift)
            ids[name] = findings.views(service.core)[0].id
        return ids

    return real.do(made())


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_a_finding_is_settled_on_the_page_by_somebody_else(
    browser: Browser, real: Real, size: str, scheme: Any
) -> None:
    riley = real.enrol("riley")
    ids = populated(real)
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = signed_in(context, real, riley)
    lines: list[str] = []
    page.on("console", lambda m: lines.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: lines.append(str(e)))
    for name, address in {
        "list": "?state=all",
        "lag": "/lag",
        **{k: f"/{v}" for k, v in ids.items()},
    }.items():
        if name in ids and name != "proven":
            with page.expect_response("**/viewed"):
                page.goto(f"{real.server.url}/findings{address}")
        else:
            page.goto(f"{real.server.url}/findings{address}")
        expect(page.locator("h1")).to_be_visible()
        assert accessible(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        picture(page, f"{name}-{size}-{scheme}")
    page.goto(f"{real.server.url}/findings")
    expect(page.locator(".row")).to_have_count(2)
    page.locator("#f-severity").select_option("critical")
    expect(page.locator(".row")).to_have_count(1)
    page.goto(f"{real.server.url}/findings/{ids['plain']}")
    expect(page.locator("main")).to_contain_text("odds of 120,000 to 1 against no drift")
    expect(page.locator("main")).to_contain_text("4.56 times as much")
    expect(page.locator("main")).to_contain_text("First look by riley")
    expect(page.locator("main")).to_contain_text("It met no action so far.")
    expect(page.locator("main")).to_contain_text("Response watch stepped it up")
    page.get_by_label("What you are about to do").fill("on it")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("main")).to_contain_text("riley looks after it")
    close = page.locator("form[data-post$='/close']")
    close.get_by_role("textbox").fill("<i>rotated</i>")
    close.get_by_role("combobox").select_option("false-alarm")
    close.get_by_role("button").click()
    expect(page.locator("main")).to_contain_text("riley closed it (false-alarm)")
    expect(page.locator("main")).to_contain_text("<i>rotated</i>")
    expect(page.get_by_role("button", name="Reopen")).to_have_count(0)
    page.get_by_label("Why watch can be lifted").fill("it is over")
    with page.expect_navigation():  # the page is loaded anew once it is recorded
        page.get_by_role("button", name="Ask 1 of reviewers").click()
    page.goto(f"{real.server.url}/")
    expect(page.locator("main")).to_contain_text("Lifts step-up of agent claude-code")
    assert lines == []
    context.close()


def test_whoever_it_ran_for_is_told_and_can_only_acknowledge(browser: Browser, real: Real) -> None:
    ids = populated(real)

    async def link() -> str:
        return real.service.logins.link_code("dana")

    context = browser.new_context()
    page = signed_in(context, real, f"{real.server.url}/login?code={real.do(link())}")
    page.goto(f"{real.server.url}/findings/{ids['plain']}")
    expect(page.locator("main")).to_contain_text("You have a part in what this finding is about")
    expect(page.locator("main")).not_to_contain_text("First look")
    expect(page.get_by_role("button", name="Close", exact=True).locator("visible=true")).to_have_count(0)
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(1)
    answer = page.evaluate(
        """async (id) => { const answer = await fetch(`/findings/${id}/close`, {method: "POST", body: '{"reason": "mine"}',
        headers: {"content-type": "application/json", accept: "application/json",
        "X-Keyturn-CSRF": localStorage.getItem("keyturn.session")}}); return (await answer.json()).error.code; }""",
        ids["plain"],
    )
    assert answer == "finding.own"
    without = page.evaluate(
        """async (id) => (await fetch(`/findings/${id}/acknowledge`, {method: "POST", body: "{}",
        headers: {"content-type": "application/json", accept: "application/json"}})).status""",
        ids["plain"],
    )
    assert without == 403, "a cookie alone changes nothing"
    assert findings.required(real.service.core, ids["plain"])["state"] == "open"
    context.close()
