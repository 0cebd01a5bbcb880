"""Web push: a real encryption to a browser's keys, a real token, a local push service; and the page in a real Chromium."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from channels_http import cut, status
from channels_world import ChannelsWorld, Running, decide
from push_fake import Browser, FakePush, b64

from keyturn.channels.building import build
from keyturn.channels.push.subscription import Keys, Subscription, allowed, check
from keyturn.channels.telling import PageTelling
from keyturn.errors import KeyturnError, Malformed, NotFound
from keyturn.ledger.entries import Draft
from patient_browser import MILLISECONDS, PATIENCE

sys.path.insert(0, str(Path(__file__).parent.parent / "web"))


def configured(world: ChannelsWorld, push: FakePush) -> None:
    world.set(f'port = 0\n[push]\ncontact = "mailto:ops@example.com"\nservices = ["{push.url}"]\n')


def telling(world: ChannelsWorld, run: Running) -> PageTelling:
    return PageTelling(run.service.core, build(world.home.root, world.settings))


async def added(world: ChannelsWorld, run: Running, browser: Browser, who: str = "riley") -> str:
    given = browser.subscription
    keys = Keys(**given["keys"])
    person = run.service.core.roster.people[who]
    await telling(world, run).subscribe(person, Subscription(given["endpoint"], keys), "Phone")
    return str(run.service.core.ledger.rows("push", state=who)[0]["id"])


def play(world: ChannelsWorld, story: Callable[[Running, FakePush], Awaitable[None]]) -> None:
    async def main() -> None:
        async with FakePush().listening() as push:
            configured(world, push)
            async with world.telling() as run:
                push.application_key = telling(world, run).push_key
                await story(run, push)

    asyncio.run(main())


def test_who_may_decide_gets_a_message_that_only_their_browser_opens(world: ChannelsWorld) -> None:
    async def story(run: Running, push: FakePush) -> None:
        browser = Browser(push)
        await added(world, run, browser)
        request = await run.ask("rm -r secret-folder")
        await run.recorded("notice.sent")
        said = browser.open(push.got[0].body)
        assert said["path"] == f"/requests/{request}"
        assert said["title"] == "Medium risk: command"
        assert "claude-code wants to" in said["body"]
        assert "secret-folder" not in json.dumps(said)  # a locked screen may be read by anybody
        assert b"claude" not in push.got[0].body  # the service in between reads nothing
        with pytest.raises(Exception, match=r".*"):
            Browser(push).open(push.got[0].body)  # the control: another browser's keys

    play(world, story)


def test_a_browser_that_is_gone_is_forgotten(world: ChannelsWorld) -> None:
    async def story(run: Running, push: FakePush) -> None:
        identity = await added(world, run, Browser(push))
        push.moods = [status(410)]
        await run.ask("rm -r one")
        (ended,) = await run.recorded("push.ended")
        assert ended.fields["id"] == identity
        assert run.service.core.ledger.rows("push", state="riley") == []
        size = len(push.got)
        first = await run.ask("rm -r two")
        await decide(run.service, first, "sam", "deny")
        assert len(push.got) == size

    play(world, story)


@pytest.mark.parametrize(
    "mood", [status(429, {"Retry-After": "0"}), status(500), cut], ids=["429", "500", "cut"]
)
def test_a_push_service_that_fails_is_tried_again(world: ChannelsWorld, mood: Any) -> None:
    async def story(run: Running, push: FakePush) -> None:
        browser = Browser(push)
        await added(world, run, browser)
        push.moods = [mood]
        await run.ask()
        await run.recorded("notice.sent")
        assert len(run.entries("notice.failed")) == 1
        assert browser.endpoint not in repr([e.fields for e in run.entries("notice.failed")])

    play(world, story)


def test_the_one_who_asked_and_who_does_without_are_not_told(world: ChannelsWorld) -> None:
    async def story(run: Running, push: FakePush) -> None:
        mine, sams, rileys = Browser(push, "dana"), Browser(push, "sam"), Browser(push, "riley")
        for who, browser in (("dana", mine), ("sam", sams), ("riley", rileys)):
            await added(world, run, browser, who)
        pages = telling(world, run)
        await pages.choose(run.service.core.roster.people["sam"], ["push"])
        await run.ask()
        await run.recorded("notice.sent")
        assert [got.path for got in push.got] == ["/push/riley"]
        with pytest.raises(Malformed):
            await pages.choose(run.service.core.roster.people["sam"], ["fax"])

    play(world, story)


def test_broken_glass_is_told_at_once_to_everybody_in_the_groups_but_who_broke_it(
    world: ChannelsWorld,
) -> None:
    """Also in quiet hours, also who asked; and after a restart only whoever was not told."""

    async def main() -> None:
        async with FakePush().listening() as push:
            configured(world, push)
            world.set(world.home.settings.read_text() + 'quiet = "00:00-23:59 UTC"\n')
            async with world.telling() as run:
                boxes = {who: Browser(push, who) for who in ("dana", "sam", "riley")}
                for who in boxes:
                    await added(world, run, boxes[who], who)
                request = await run.ask()
                glass = {
                    "id": "b_1", "request": request, "action": None, "person": "riley", "reason": "prod is down",
                    "assurance": "signed", "sentence": "x", "lapses": 2**42, "review_by": 2**42, "reviewers": "policy",
                    "notify": ["reviewers"],
                }  # fmt: skip
                await run.service.core.ledger.append([Draft("breakglass.used", glass)])
                await run.recorded("notice.sent", 2)
                told = {got.path.rpartition("/")[2]: got for got in push.got}
                assert set(told) == {"dana", "sam"}
                said = boxes["sam"].open(told["sam"].body)
                assert said["title"] == "Break-glass was used"
                assert said["path"] == f"/requests/{request}"
                assert told["sam"].headers["urgency"] == "high"
            async with world.telling() as run:
                second = Browser(push, "second")
                await added(world, run, second, "sam")
                await run.recorded("notice.sent", 3)
                assert [got.path for got in push.got][2:] == ["/push/second"]

    asyncio.run(main())


def test_nobody_ends_the_browser_of_somebody_else(world: ChannelsWorld) -> None:
    async def story(run: Running, push: FakePush) -> None:
        identity = await added(world, run, Browser(push))
        people = run.service.core.roster.people
        with pytest.raises(NotFound):
            await telling(world, run).unsubscribe(people["sam"], identity)
        await telling(world, run).unsubscribe(people["riley"], identity)  # the control
        assert run.service.core.ledger.rows("push", state="riley") == []

    play(world, story)


GOOD = Keys(b64(b"\x04" + bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")), b64(b"a" * 16))  # fmt: skip


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/x",
        "https://updates.push.services.mozilla.com/wpush/v2/x",
        "https://web.push.apple.com/x",
        "https://wns2-par02p.notify.windows.com/w/?token=x",
    ],
)
def test_the_browsers_own_services_are_taken(endpoint: str) -> None:
    assert check(Subscription(endpoint, GOOD), ())


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evil.example/fcm.googleapis.com",
        "https://user@fcm.googleapis.com/x",
        "https://evilnotify.windows.com/x",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8765/v1/people",
        "file:///etc/passwd",
        "https://[::1",
        "",
        "https://fcm.googleapis.com/\n",
        "https://fcm.googleapis.com/" + "x" * 3000,
    ],
)
def test_the_server_does_not_knock_at_any_door(endpoint: str) -> None:
    with pytest.raises(Malformed):
        check(Subscription(endpoint, GOOD), ())


def test_an_operators_service_is_taken_exactly() -> None:
    assert allowed("https://push.corp.example/x", ["https://push.corp.example/"])
    assert not allowed("https://push.corp.example.evil/x", ["https://push.corp.example"])
    assert not allowed("http://push.corp.example/x", ["https://push.corp.example"])


@pytest.mark.parametrize(
    "keys", [Keys("", ""), Keys("!", "!"), Keys(GOOD.p256dh, b64(b"a" * 15)), Keys(b64(b"\x04" + b"a" * 64), GOOD.auth)]
)  # fmt: skip
def test_keys_that_are_none_are_refused(keys: Keys) -> None:
    with pytest.raises(KeyturnError):
        check(Subscription("https://fcm.googleapis.com/x", keys), ())


def test_the_servers_key_is_made_once_and_is_its_owners_alone(world: ChannelsWorld) -> None:
    world.set('[push]\ncontact = "mailto:ops@example.com"\n')
    one = build(world.home.root, world.settings).made[0]
    two = build(world.home.root, world.settings).made[0]
    assert one.public_key == two.public_key  # type: ignore[attr-defined]
    assert world.home.vapid_key.stat().st_mode & 0o077 == 0


# --- a real browser ------------------------------------------------------------------------------------------------

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SUBSCRIBES = """
PushManager.prototype.subscribe = async function (options) {
  globalThis.asked = options;
  return { toJSON: () => (GIVEN) };
};
PushManager.prototype.getSubscription = async () => null;
"""


SHOWN = """async () => {
  const all = await (await navigator.serviceWorker.ready).getNotifications();
  return all.map((n) => ({ title: n.title, body: n.body, data: n.data, actions: n.actions?.length ?? 0 }));
}"""


@pytest.mark.browser
def test_a_browser_is_added_on_the_page_and_shows_what_is_pushed(
    world: ChannelsWorld, tmp_path: Path, chromium: str
) -> None:
    """No push service can be reached here, so the browser's part in between is played by the local one and by CDP."""
    from playwright.async_api import async_playwright

    async def main() -> None:
        async with FakePush().listening() as push, async_playwright() as playwright:
            configured(world, push)
            async with world.serving() as run:
                browser = Browser(push)
                profile = await playwright.chromium.launch_persistent_context(
                    str(tmp_path / "profile"),
                    executable_path=chromium,
                    args=["--no-sandbox", "--disable-gpu"],
                    viewport={"width": 390, "height": 844},
                    reduced_motion="reduce",
                    timeout=MILLISECONDS,
                )
                profile.set_default_timeout(MILLISECONDS)
                await profile.grant_permissions(["notifications"], origin=run.url)
                page = await profile.new_page()
                violations: list[str] = []
                page.on(
                    "console",
                    lambda m: (
                        violations.append(m.text)
                        if "Security Policy" in m.text or "Trusted" in m.text
                        else None
                    ),
                )
                await page.add_init_script(SUBSCRIBES.replace("GIVEN", json.dumps(browser.subscription)))
                await page.goto(f"{run.url}/login?code={run.service.logins.link_code('riley')}")
                await page.get_by_role("button").first.click()
                await page.wait_for_url(run.url + "/")
                await page.goto(f"{run.url}/you/told")
                await page.get_by_role("button", name="Tell me on this device").click()
                await page.get_by_text("Since").wait_for()
                (entry,) = run.entries("push.subscribed")
                assert (entry.fields["person"], entry.fields["endpoint"]) == ("riley", browser.endpoint)

                request = await run.ask()
                (got,) = await push.until(1)
                said = browser.open(got.body)

                cdp = await profile.new_cdp_session(page)
                found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

                def registered(event: Any) -> None:
                    for one in event["registrations"]:
                        if not found.done() and not one["isDeleted"]:
                            found.set_result(one["registrationId"])

                cdp.on("ServiceWorker.workerRegistrationUpdated", registered)
                await cdp.send("ServiceWorker.enable")
                registration = await asyncio.wait_for(found, PATIENCE)
                message = {"origin": run.url, "registrationId": registration, "data": json.dumps(said)}
                shown: list[Any] = []
                async with asyncio.timeout(120):
                    while not shown:  # what is delivered while the worker is only starting is lost
                        await cdp.send("ServiceWorker.deliverPushMessage", message)
                        for _ in range(50):
                            shown = shown or await page.evaluate(SHOWN)
                assert shown == [
                    {
                        "title": said["title"],
                        "body": said["body"],
                        "data": {"path": f"/requests/{request}"},
                        "actions": 0,
                    }
                ]
                manifest = await cdp.send("Page.getAppManifest")
                assert manifest["errors"] == []
                assert json.loads(manifest["data"])["display"] == "standalone"
                trouble = await cdp.send("Page.getInstallabilityErrors")
                assert trouble["installabilityErrors"] == []
                assert violations == []

                for scheme, width in (("light", 390), ("dark", 1280)):
                    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
                    await page.set_viewport_size({"width": width, "height": 844})
                    await page.evaluate(AXE)
                    found_wrong = await page.evaluate(
                        "axe.run(document, {resultTypes: ['violations'], elementRef: false})"
                    )
                    assert [one["id"] for one in found_wrong["violations"]] == []
                    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
                    assert not await page.evaluate(wide)
                    await page.screenshot(path=tmp_path / f"told-{scheme}.png", full_page=True)

                await page.get_by_role("button", name="End push messages").click()
                await page.get_by_text("Since").wait_for(state="detached")
                assert len(run.entries("push.ended")) == 1
                await profile.close()

    asyncio.run(main())
