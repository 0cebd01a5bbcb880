"""A pack from the page: asked for by an auditor in a real Chromium, built by the server, taken home, and verified by its own program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from test_web_delegations import SIZES, accessible, signed_in
from test_web_real import Real
from web_browser import open_browser

from keyturn.channels.web.packs import Asked, wish
from keyturn.errors import Malformed
from keyturn.evidence import verifier


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    running = Real(tmp_path)
    yield running
    running.stop()


def link_of(real: Real, person: str, role: str) -> str:
    async def enrolled() -> str:
        await real.service.enrol(person, name="", groups=[], roles=[role], os_uids=[], by="dana")
        return real.service.logins.link_code(person)

    return f"{real.server.url}/login?code={real.do(enrolled())}"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_auditor_asks_for_a_pack_takes_it_home_and_verifies_it(
    browser: Browser, real: Real, tmp_path: Path
) -> None:
    context = browser.new_context(accept_downloads=True, viewport=SIZES["phone"])  # type: ignore[arg-type]
    page = signed_in(context, real, link_of(real, "quinn", "auditor"))
    page.goto(real.server.url + "/evidence/packs")
    page.get_by_label("Framework").select_option("soc2")
    page.locator("input[name=auditor]").fill("Quinn <b>of</b> Example")
    page.get_by_role("button", name="Make it").click()
    table = page.locator(".packs tbody tr")
    expect(table).to_have_count(1)
    (asked,) = [one for one in real.service.core.ledger.entries() if one.type == "evidence.exported"]
    assert (asked.fields["by"], asked.fields["disclosure"]) == ("quinn", "digests")
    take = page.get_by_role("link", name="Take it home")
    end = time.monotonic() + 240
    while (
        not take.count() and time.monotonic() < end
    ):  # another process builds it; the page says so and is loaded again
        page.wait_for_timeout(1000)
        page.reload()
    assert accessible(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("KEYTURN_TEST_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/packs-phone.png", full_page=True)
    with page.expect_download() as download:
        take.click()
    pack, program = tmp_path / "pack.zip", tmp_path / "verify.py"
    download.value.save_as(pack)
    program.write_bytes(verifier.text())
    vkey = real.service.core.ledger.vkey
    run = [sys.executable, "-I", "-S", str(program), str(pack), "--key", vkey]
    good = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert good.returncode == 0, good.stdout + good.stderr
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    bad = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert bad.returncode == 7, "negative control: one bit"
    context.close()


@pytest.mark.browser
def test_somebody_who_is_neither_administrator_nor_auditor_gets_no_pack(browser: Browser, real: Real) -> None:
    context = browser.new_context()
    page = signed_in(context, real, real.enrol("riley"))
    page.goto(real.server.url + "/evidence/packs")
    expect(page.locator("main")).to_contain_text("Administrators and auditors ask for packs")
    answer = page.goto(real.server.url + "/evidence/packs/e_1/file")
    assert answer is not None
    assert answer.status == 403
    assert not [one for one in real.service.core.ledger.entries() if one.type == "evidence.exported"]
    context.close()


def test_a_period_that_ends_today_ends_now_and_a_day_is_a_day() -> None:
    now = 1_795_979_000_000  # 2026-11-29
    asked = wish(Asked("soc2", "2026-11-01", "2026-11-29"), now)
    assert (asked.since, asked.until) == (1_793_491_200_000, 0)
    assert wish(Asked("soc2", "2026-11-01", "2026-11-28"), now).until == 1_795_910_400_000
    with pytest.raises(Malformed):
        wish(Asked("soc2", "2026-02-30", "2026-03-01"), now)
