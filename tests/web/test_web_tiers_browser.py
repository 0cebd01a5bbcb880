"""Four tiers, four gestures, in a real Chromium: what approving takes, by keys and by touch, and that it looks different."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, BrowserContext, Page, expect
from test_web_browser import AXE, DESK, PHONE, Console, sign_in
from web_browser import Running, open_browser, serve
from web_memory import MemoryWeb, app, view

from keyturn.identity import Person
from keyturn.policy.risk import Line, Risk
from keyturn.service.model import Drill

pytestmark = pytest.mark.browser

CRITICAL = Risk(
    "critical",
    120,
    (Line("target", 60, "It changes something in production."), Line("reach", 60, "It reaches far.")),
    "db.prod.example",
)
HIGH = Risk("high", 70, (Line("understanding", 70, "Not everything in it was understood."),), "sh")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def site(web: MemoryWeb) -> Iterator[Running]:
    with serve(app(web), stop=web.service.stop) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport=DESK)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, web: MemoryWeb, site: Running) -> Iterator[Page]:
    sign_in(context, web, site)
    console = Console()
    opened = context.new_page()
    console.watch(opened)
    yield opened
    assert console.lines == []


def of_tier(web: MemoryWeb, risk: Risk) -> None:
    web.service.views["r_00001"] = replace(web.service.views["r_00001"], risk=risk)


def test_a_critical_action_is_approved_by_typing_what_it_hits_and_a_reason(
    page: Page, web: MemoryWeb, site: Running
) -> None:
    of_tier(web, CRITICAL)
    page.goto(f"{site.origin}/requests/r_00001")
    expect(page.locator("#bar-words")).to_contain_text("Type db.prod.example to approve it")
    expect(page.locator("#approve")).to_be_disabled()
    page.keyboard.press("a")
    expect(page.locator("#typed")).to_be_focused()
    page.keyboard.type("db.prod.exampl")
    expect(page.locator("#approve")).to_be_disabled()
    page.keyboard.type("e")
    expect(page.locator("#approve")).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#bar-words")).to_contain_text("asks for a reason")
    assert web.service.decisions == 0
    page.keyboard.type("the migration of ticket 12")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("Approved.")
    assert web.service.gestures[-1].typed == "db.prod.example"


def test_the_server_enforces_what_the_page_asks_for(
    context: BrowserContext, web: MemoryWeb, site: Running
) -> None:
    of_tier(web, CRITICAL)
    sign_in(context, web, site)
    page = context.new_page()
    page.goto(f"{site.origin}/requests/r_00001")
    answer = page.evaluate(
        """async () => {
          const { digest, display } = document.getElementById("request").dataset;
          const { post } = await import(document.querySelector('link[href*="frame.js"]').href);
          return post("/requests/r_00001/decision", { choice: "approve", digest, display, reason: "so" });
        }"""
    )
    assert answer["status"] == 428
    assert answer["body"]["error"]["code"] == "approval.not_typed"
    assert web.service.views["r_00001"].state == "waiting"


def test_denying_a_critical_action_takes_nothing_more(page: Page, web: MemoryWeb, site: Running) -> None:
    of_tier(web, CRITICAL)
    page.goto(f"{site.origin}/requests/r_00001")
    page.locator("#deny").click()
    expect(page.locator("#outcome")).to_contain_text("Denied.")


def test_a_high_one_asks_for_a_reason(page: Page, web: MemoryWeb, site: Running) -> None:
    of_tier(web, HIGH)
    page.goto(f"{site.origin}/requests/r_00001")
    expect(page.locator("#approve")).to_be_enabled()
    page.keyboard.press("a")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.press("Enter")
    assert web.service.decisions == 0
    page.keyboard.type("read it")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("Approved.")


def test_a_medium_one_takes_one_key_and_says_how_long_it_was_looked_at(
    page: Page, web: MemoryWeb, site: Running
) -> None:
    page.goto(f"{site.origin}/requests/r_00001")
    expect(page.locator("#approve")).to_be_enabled()
    page.locator("details[data-part=digests] summary").click()
    page.locator("details[data-part=digests][open]").wait_for()
    page.locator("#bar-words").click()
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("Approved.")
    made = web.service.gestures[-1]
    assert made.dwell_ms is not None
    assert made.dwell_ms > 0
    assert made.opened == ("digests",)
    assert ("r_00001", "dana") in web.service.looked


def test_the_tiers_look_different(page: Page, web: MemoryWeb, site: Running) -> None:
    frames = set()
    for risk in (Risk("low", 5), Risk("medium", 30), HIGH, CRITICAL):
        of_tier(web, risk)
        page.goto(f"{site.origin}/requests/r_00001")
        expect(page.locator(".tier").first).to_be_visible()
        frames.add(
            page.evaluate(
                """() => JSON.stringify([...document.querySelectorAll("#request, #request > .headline, .tier, #bar")].map(
                    (e) => {
                      const s = getComputedStyle(e);
                      return [s.borderTopWidth, s.borderLeftWidth, s.borderTopStyle, e.innerText.slice(0, 14)];
                    }))"""
            )
        )
    assert len(frames) == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
@pytest.mark.parametrize("risk", [HIGH, CRITICAL])
def test_nothing_is_in_the_way_of_anybody(
    browser: Browser,
    web: MemoryWeb,
    site: Running,
    scheme: str,
    size: dict[str, int],
    risk: Risk,
    tmp_path: Path,
) -> None:
    of_tier(web, risk)
    context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=size == PHONE)  # type: ignore[arg-type]
    sign_in(context, web, site)
    page = context.new_page()
    page.goto(f"{site.origin}/requests/r_00001")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.screenshot(path=str(tmp_path / f"{risk.tier}-{scheme}-{size['width']}.png"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = page.evaluate(
        f"{AXE}; axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes[0].html))"
    )
    assert found == []
    context.close()


def test_by_touch_on_a_phone(browser: Browser, web: MemoryWeb, site: Running) -> None:
    of_tier(web, CRITICAL)
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    sign_in(context, web, site)
    page = context.new_page()
    page.goto(f"{site.origin}/requests/r_00001")
    expect(page.locator("#bar-words")).not_to_be_empty()
    expect(page.locator("#bar-words")).to_contain_text("Read it to the end")
    page.locator("#exact .seen").last.scroll_into_view_if_needed()
    expect(page.locator("#bar-words")).to_contain_text("Type db.prod.example")
    page.locator("#typed").tap()
    page.keyboard.type("db.prod.example")
    page.locator("#reason").tap()
    page.keyboard.type("planned")
    page.locator("#approve").tap()
    expect(page.locator("#outcome")).to_contain_text("Approved.")
    context.close()


# --- the queue


def a_queue(web: MemoryWeb, site: Running) -> None:
    def fill() -> None:
        for number, risk in ((2, Risk("low", 5)), (3, HIGH), (4, CRITICAL)):
            web.service.open(view(number, risk=risk, text=f"rm -r dir{number}"))

    site.call(fill)


def order(page: Page) -> list[str | None]:
    return [row.get_attribute("data-tier") for row in page.locator("#queue .row:visible").all()]


def test_what_needs_most_care_stands_first_and_tiers_are_filtered_by_key(
    page: Page, web: MemoryWeb, site: Running
) -> None:
    a_queue(web, site)
    page.goto(site.origin)
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    assert order(page) == ["critical", "high", "medium", "low"]
    expect(page.locator("#n-critical")).to_have_text("1")
    page.keyboard.press("2")
    page.wait_for_url("**/?tier=high")
    assert order(page) == ["high"]
    site.call(lambda: web.service.open(view(5, risk=CRITICAL)))
    expect(page.locator("#n-critical")).to_have_text("2")
    assert order(page) == ["high"]  # what was filtered out does not come by itself
    page.keyboard.press("0")
    expect(page.locator("#queue .row")).to_have_count(5)


def test_a_more_urgent_one_does_not_move_the_selected_row(page: Page, web: MemoryWeb, site: Running) -> None:
    page.goto(site.origin)
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.keyboard.press("j")
    place = page.locator("#row-r_00001").bounding_box()
    site.call(lambda: web.service.open(view(9, risk=CRITICAL)))
    expect(page.locator("#arrived")).to_contain_text("1 more urgent")
    expect(page.locator("#row-r_00001")).to_have_attribute("aria-selected", "true")
    assert (place or {})["x"] == (page.locator("#row-r_00001").bounding_box() or {})["x"]
    assert page.locator("#row-r_00009").count() == 0
    page.locator("#arrived").click()
    assert order(page) == ["critical", "medium"]


def test_only_what_i_may_decide(page: Page, web: MemoryWeb, site: Running) -> None:
    def own() -> None:
        mine = view(6)
        who = {**mine.attribution, "human": {"person": "dana", "how": "token"}}
        web.service.open(replace(mine, attribution=who, may_deny="x"))
        web.service.views["r_00006"] = replace(web.service.views["r_00006"], state="waiting")

    site.call(own)
    page.goto(site.origin)
    expect(page.locator("#queue .row")).to_have_count(2)
    page.locator("#mine").check()
    expect(page.locator("#queue .row:visible")).to_have_count(2)  # she may still deny her own


# --- alike


def alike(web: MemoryWeb, site: Running, first: int = 1) -> None:
    def fill() -> None:
        for number in range(first, first + 4):
            web.service.open(view(number, text=f"rm -r build/part{number}", alike=4))

    site.call(fill)


def test_those_alike_are_decided_together_by_keys(page: Page, web: MemoryWeb, site: Running) -> None:
    alike(web, site)
    page.goto(site.origin)
    page.keyboard.press("j")
    page.keyboard.press("t")
    page.wait_for_url("**/alike/r_*")
    expect(page.locator("#alike tbody tr")).to_have_count(4)
    assert page.locator("#alike td code.hit").all_inner_texts() == [f"build/part{n}" for n in range(1, 5)]
    page.locator("#alike tbody tr").nth(3).locator("input").uncheck()
    expect(page.locator("#approve")).to_contain_text("Approve 3 once each")
    page.keyboard.press("a")
    expect(page.locator("#approve")).to_be_focused()
    assert web.service.decisions == 0
    page.keyboard.press("Enter")
    expect(page.locator("#bar-words")).to_contain_text("3 of 3 recorded")
    assert web.service.decisions == 3
    assert web.service.views["r_00004"].state == "waiting"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_the_queue_and_the_table_are_for_everybody(
    browser: Browser, web: MemoryWeb, site: Running, scheme: str, size: dict[str, int], tmp_path: Path
) -> None:
    alike(web, site, 11)
    a_queue(web, site)
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    sign_in(context, web, site)
    page = context.new_page()
    for name, address in (("queue", "/"), ("alike", "/alike/r_00011")):
        page.goto(site.origin + address)
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
        page.screenshot(path=str(tmp_path / f"{name}-{scheme}-{size['width']}.png"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found = page.evaluate(
            f"{AXE}; axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes[0].html))"
        )
        assert found == []
    context.close()


# --- always allow, drills, how people review


def test_a_rule_is_looked_at_and_proposed(page: Page, web: MemoryWeb, site: Running) -> None:
    web.people["dana"] = Person("dana", "Dana Okafor", ("reviewers",), ("author",))
    page.goto(f"{site.origin}/requests/r_00001/always")
    expect(page.locator("body")).to_contain_text("People denied 1 of the 2 actions")
    page.locator("#note").fill("asked daily")
    page.locator("#propose").click()
    page.wait_for_url("**/requests/r_00001")
    assert web.ledger.list[-1].fields["note"] == "asked daily"


def test_who_writes_no_policies_only_looks(page: Page, web: MemoryWeb, site: Running) -> None:
    page.goto(f"{site.origin}/requests/r_00001/always")
    expect(page.locator("#propose")).to_be_disabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_the_other_pages_are_for_everybody(
    browser: Browser, web: MemoryWeb, site: Running, scheme: str, size: dict[str, int], tmp_path: Path
) -> None:
    web.people["dana"] = Person("dana", "Dana Okafor", ("reviewers",), ("author", "auditor"))
    told = Drill("uploads", "it sends files of the workspace to another machine", "dana", False, 3)
    web.service.views["r_00002"] = view(
        2, state="withdrawn", drill=told, ended=1, ended_why="This was a drill."
    )
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    sign_in(context, web, site)
    page = context.new_page()
    for name, address in (
        ("always", "/requests/r_00001/always"),
        ("unused", "/rules/unused"),
        ("reviewing", "/reviewing"),
        ("drill", "/requests/r_00002"),
    ):
        page.goto(site.origin + address)
        expect(page.locator("h1")).to_be_visible()
        page.screenshot(path=str(tmp_path / f"{name}-{scheme}-{size['width']}.png"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        found = page.evaluate(
            f"{AXE}; axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes[0].html))"
        )
        assert found == [], name
    context.close()
