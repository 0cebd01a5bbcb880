"""Slack end to end: the real server, the real slack-bolt, and a local stand-in for Slack's API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channels_http import cut, status
from channels_world import ChannelsWorld, Running, decide
from slack_fake import APP, BOT, SIGNING, FakeSlack, buttons

from keyturn.channels.building import build
from keyturn.channels.notices.desk import ChatDesk

LOW = "rm -r build"
RILEY = "slack:T0001|U0RILEY"


def configured(
    world: ChannelsWorld, slack: FakeSlack, *, mode: str = "http", more: str = "approve = true\n"
) -> None:
    files = [world.write("bot", BOT), world.write("app", APP), world.write("signing", SIGNING)]
    world.set(
        f'port = 0\n[slack]\ntoken_file = "{files[0]}"\napp_token_file = "{files[1]}"\nsigning_secret_file = "{files[2]}"\n'
        f'mode = "{mode}"\napi = "{slack.url}/api/"\nchannel = "C0OPS"\n{more}'
    )


def play(
    world: ChannelsWorld, story: Callable[[Running, FakeSlack], Awaitable[None]], **settings: Any
) -> None:
    async def main() -> None:
        async with FakeSlack().listening() as slack:
            configured(world, slack, **settings)
            async with world.serving() as run:
                await run.world.account(run.service, "riley", RILEY)
                await story(run, slack)

    asyncio.run(main())


async def asked(run: Running, slack: FakeSlack, script: str = LOW, **changes: Any) -> str:
    """A request that stands in the channel."""
    request = await run.ask(script, **changes)
    await slack.until(lambda: any(place == "C0OPS" for place, _ in slack.messages))
    return request


def test_denied_in_slack_with_a_reason_and_the_message_says_so(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        request = await asked(run, slack)
        assert (await slack.call(run.url, slack.pressed("deny", "U0RILEY")))[0] == 200
        await slack.until(lambda: slack.windows)
        _, said = await slack.call(run.url, slack.submitted("U0RILEY", "not on a Friday"))
        assert said["view"]["title"]["text"] == "Denied"
        view = await run.service.request(request)
        assert (view.state, view.approvals[0].person, view.approvals[0].channel) == (
            "denied",
            "riley",
            "slack",
        )
        assert view.approvals[0].reason == "not on a Friday"
        await slack.until(lambda: slack.message()[2]["blocks"][0]["text"]["text"] == "Denied")
        _, _, body = slack.message()
        assert set(buttons(body)) == {"open"}

    play(world, story)


def test_approved_in_slack_where_policy_is_content_with_a_click(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        request = await asked(run, slack)
        await slack.call(run.url, slack.pressed("approve", "U0RILEY"))
        await slack.until(lambda: slack.windows)
        await slack.call(run.url, slack.submitted("U0RILEY", None))
        view = await run.service.request(request)
        assert view.state == "approved"
        (given,) = run.entries("approval.given")
        assert (given.fields["assurance"], given.fields["channel"]) == ("click", "slack")
        assert (given.fields["digest"], given.fields["display"]) == (view.digest, view.display)

    play(world, story)


def test_the_person_also_gets_a_direct_message_which_changes_with_the_other(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        request = await run.ask(LOW)
        await slack.until(lambda: len(slack.messages) == 2)
        assert {place for place, _ in slack.messages} == {"C0OPS", "D0RILEY"}
        await decide(run.service, request, "sam", "deny")  # decided elsewhere
        await slack.until(lambda: len(slack.history) == 4)
        assert {body["blocks"][0]["text"]["text"] for body in slack.messages.values()} == {"Denied"}

    play(world, story)


@pytest.mark.parametrize(("user", "team"), [("U0NOBODY", "T0001"), ("U0RILEY", "T0002")])
def test_a_click_of_an_account_that_is_nobodys_is_refused_in_words(
    world: ChannelsWorld, user: str, team: str
) -> None:
    """The same user id of another workspace is another account. The legitimate twin is the first test."""

    async def story(run: Running, slack: FakeSlack) -> None:
        request = await asked(run, slack)
        await slack.call(run.url, slack.pressed("deny", user, team))
        await slack.until(lambda: slack.whispers)
        assert "not linked to anybody" in slack.whispers[0]["text"]
        assert not slack.windows
        assert (await run.service.request(request)).state == "waiting"

    play(world, story)


def test_a_window_sent_by_somebody_else_than_who_may_is_refused(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        await run.world.account(run.service, "dana", "slack:T0001|U0DANA")  # who asked
        request = await asked(run, slack)
        await slack.call(run.url, slack.pressed("approve", "U0DANA"))
        await slack.until(lambda: slack.whispers)
        assert "You asked for this action" in slack.whispers[0]["text"]
        await slack.call(run.url, slack.pressed("approve", "U0RILEY"))
        await slack.until(lambda: slack.windows)
        _, said = await slack.call(run.url, slack.submitted("U0DANA", ""))
        assert said["view"]["title"]["text"] == "Not decided"
        assert (await run.service.request(request)).approvals == ()

    play(world, story)


@pytest.mark.parametrize(
    "wrong", [{"secret": "another"}, {"age": 301}, {"age": -301}, {"spoil": True}], ids=str
)
def test_a_call_that_is_not_signed_by_slack_now_changes_nothing(
    world: ChannelsWorld, wrong: dict[str, Any]
) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        await asked(run, slack)
        await slack.call(run.url, slack.pressed("deny", "U0RILEY"))
        await slack.until(lambda: slack.windows)
        size = run.service.core.ledger.size
        assert (await slack.call(run.url, slack.submitted("U0RILEY", "x"), **wrong))[0] == 401
        assert run.entries("approval.given") == []
        assert (await slack.call(run.url, slack.submitted("U0RILEY", "x")))[0] == 200  # the control
        assert run.service.core.ledger.size > size
        assert len(run.entries("approval.given")) == 1

    play(world, story)


def test_double_clicks_decide_once(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        await asked(run, slack)
        await slack.call(run.url, slack.pressed("deny", "U0RILEY"))
        await slack.until(lambda: slack.windows)
        sent = slack.submitted("U0RILEY", "no")
        answers = await asyncio.gather(*(slack.call(run.url, sent) for _ in range(3)))
        titles = sorted(said["view"]["title"]["text"] for _, said in answers)
        assert titles == ["Denied", "Not decided", "Not decided"]
        assert len(run.entries("approval.given")) == 1

    play(world, story)


HOSTILE = {
    "long": "rm -r " + "a" * 1600,
    "bidi": "rm -r 'a\u202eb'",
    "posing": "rm -r \u0430bc",
    "not understood": "rm -r $(cat x",
    "high risk": "git push --force",
}


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_pressed_button_that_is_not_there_is_refused(world: ChannelsWorld, script: str) -> None:
    """A forged or stale Approve: the offer is worked out anew, whatever the button says."""

    async def story(run: Running, slack: FakeSlack) -> None:
        await asked(run, slack, script)
        assert "approve" not in buttons(slack.message()[2])
        forged = slack.pressed("deny", "U0RILEY")
        action = forged["actions"][0]
        action["action_id"] = "keyturn_approve"
        action["value"] = action["value"].replace('"deny"', '"approve"')
        await slack.call(run.url, forged)
        await slack.until(lambda: slack.whispers)
        assert "can't be approved here" in slack.whispers[0]["text"]
        assert run.entries("approval.given") == []

    play(world, story)


def test_other_digests_in_the_button_are_refused_by_the_machine(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        await asked(run, slack)
        await slack.call(run.url, slack.pressed("approve", "U0RILEY"))
        await slack.until(lambda: slack.windows)
        sent = slack.submitted("U0RILEY", "fine")
        metadata = sent["view"]["private_metadata"]
        digest = metadata.split('"digest":"')[1][:71]
        sent["view"]["private_metadata"] = metadata.replace(digest, "sha256:" + "0" * 64)
        _, said = await slack.call(run.url, sent)
        assert said["view"]["title"]["text"] == "Not decided"
        assert run.entries("approval.given") == []

    play(world, story)


def test_without_the_setting_no_approve_is_offered(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        await asked(run, slack)
        assert set(buttons(slack.message()[2])) == {"deny", "open"}

    play(world, story, more="")


def test_socket_mode_decides_and_comes_back_after_a_disconnect(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        await slack.until(lambda: slack.sockets)
        channel = build(world.home.root, world.settings).made[0]
        await channel.listen(ChatDesk(run.service.core, run.service, lambda r: r))
        await slack.until(lambda: len(slack.sockets) == 2)
        async with asyncio.timeout(120):
            while channel.trouble():  # until this end has it, too
                await asyncio.sleep(0)
        await channel.close()
        slack.sockets.pop()
        await asked(run, slack)
        for ending in ({"type": "disconnect", "reason": "refresh_requested"}, None):
            count = len(slack.sockets)
            if ending:
                await slack.sockets[-1].send_json(ending)
            else:
                await slack.sockets[-1].close()
            await slack.until(lambda c=count: len(slack.sockets) > c)
        await slack.push(slack.pressed("deny", "U0RILEY"))
        await slack.until(lambda: slack.windows)
        said = await slack.push(slack.submitted("U0RILEY", "no"))
        assert said["view"]["title"]["text"] == "Denied"
        assert run.entries("approval.given")[0].fields["channel"] == "slack"

    play(world, story, mode="socket")


def test_a_wrong_app_token_is_said_and_keeps_nothing_from_working(world: ChannelsWorld) -> None:
    async def story(run: Running, slack: FakeSlack) -> None:
        await asked(run, slack)
        assert not slack.sockets
        channel = build(world.home.root, world.settings).made[0]
        await channel.listen(ChatDesk(run.service.core, run.service, lambda r: r))
        assert "not connected" in channel.trouble()
        await channel.close()

    async def main() -> None:
        async with FakeSlack().listening() as slack:
            configured(world, slack, mode="socket")
            world.write("app", "xapp-old")
            async with world.serving() as run:
                await story(run, slack)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        (status(500), "Slack answered 500"),
        (status(429, {"Retry-After": "0"}, '{"ok":false,"error":"ratelimited"}'), "fewer messages"),
        (
            status(200, {"Content-Type": "application/json"}, '{"ok":false,"error":"token_expired"}'),
            "token_expired",
        ),
        (status(200, {"Content-Type": "application/json"}, "<html>sorry</html>"), ""),
        (cut, "connection failed"),
    ],
    ids=["down", "rate limit", "expired token", "garbage", "cut"],
)
def test_slack_failing_is_tried_again(world: ChannelsWorld, mood: Any, words: str) -> None:
    async def main() -> None:
        async with FakeSlack().listening() as slack:
            configured(world, slack, more="direct = false\n")
            async with world.telling() as run:
                slack.moods += [mood, mood]
                await run.ask(LOW)
                await run.recorded("notice.sent")
                failed = run.entries("notice.failed")
                assert len(failed) == 2
                assert words in failed[0].fields["why"]
                assert BOT not in repr([entry.fields for entry in failed])

    asyncio.run(main())


def test_a_channel_that_does_not_exist_is_given_up_and_the_person_still_told(world: ChannelsWorld) -> None:
    async def main() -> None:
        async with FakeSlack().listening() as slack:
            configured(world, slack)
            no = status(200, {"Content-Type": "application/json"}, '{"ok":false,"error":"channel_not_found"}')
            async with world.telling() as run:
                await world.account(run.service, "riley", RILEY)
                slack.moods += [no]
                await run.ask(LOW)
                sent = await run.recorded("notice.sent")
                assert sent[0].fields["to"] == "U0RILEY"
                assert run.entries("notice.failed")[0].fields["final"]
                with contextlib.suppress(StopIteration):
                    assert run.service.core.ledger.rows("channel")[0]["failures"] == 0

    asyncio.run(main())
