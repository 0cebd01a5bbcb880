"""The outbox: derived from the ledger, restart-safe, backed off, and never in the way of a decision."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from typing import Any

import pytest
from channels_http import Service, certificate, cut, hang, status
from channels_world import ChannelsWorld, Pace, Running, decide
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from free_ports import free_port
from keyturn.channels.notices.channel import Channel, Receipt, Receiver
from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.pace import delay
from keyturn.identity import Person
from keyturn.ledger.entries import Draft

SECRET = "whsec_" + base64.b64encode(b"a" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"b" * 24).decode()


def hooked(world: ChannelsWorld, url: str, more: str = "") -> None:
    name, old = world.write("hook.secret", SECRET), world.write("old.secret", OLD)
    world.set(f'[[webhook]]\nname = "siem"\nurl = "{url}/in"\nsecret_files = ["{name}", "{old}"]\n{more}')


def play(world: ChannelsWorld, story: Any, more: str = "") -> Any:
    async def main() -> Any:
        async with Service().listening() as service:
            hooked(world, service.url, more)
            async with world.telling() as running:
                return await story(running, service)

    return asyncio.run(main())


def verified(got: Any, secret: str = SECRET) -> Any:
    return Webhook(secret).verify(got.body, got.headers)


def test_a_request_is_told_and_then_how_it_ended(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        request = await run.ask()
        await run.recorded("notice.sent")
        await decide(run.service, request, "riley", "deny", reason="not today")
        await run.recorded("notice.sent", 2)
        opened, ended = [verified(got) for got in service.got]
        assert (opened["type"], ended["type"]) == ("request.opened", "request.ended")
        assert opened["data"]["text"] == "rm -r build"
        assert opened["data"]["link"].endswith(request)
        assert ended["data"]["state"] == "denied"
        assert "riley" in ended["data"]["outcome"]

    play(world, story)


def test_each_secret_signs_and_a_changed_byte_or_another_secret_does_not_verify(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        await run.ask()
        await run.recorded("notice.sent")
        got = service.got[0]
        assert verified(got) == verified(got, OLD)
        with pytest.raises(WebhookVerificationError):
            verified(got, "whsec_" + base64.b64encode(b"c" * 32).decode())
        got.body = got.body.replace(b"waiting", b"approve")
        with pytest.raises(WebhookVerificationError):
            verified(got)

    play(world, story)


def test_what_was_sent_is_not_sent_again_after_a_kill_and_what_was_not_is(world: ChannelsWorld) -> None:
    async def main() -> None:
        async with Service().listening() as service:
            hooked(world, service.url)
            async with world.telling() as run:
                first = await run.ask("rm -r one")
                await run.recorded("notice.sent")
            async with world.opened() as alone:  # asked while nobody delivers
                session = await world.session(alone)
                outcome = await alone.authorize(world.action(session, "rm -r two"), world.around)
                await decide(alone, first, "riley", "deny")
            async with world.telling() as run:
                await run.recorded("notice.sent", 3)
            said = [(verified(got)["type"], verified(got)["data"]["request"]) for got in service.got]
            assert said[0] == ("request.opened", first)
            assert sorted(said[1:]) == sorted([("request.ended", first), ("request.opened", outcome.request)])

    asyncio.run(main())


def test_a_message_that_could_not_be_recorded_is_sent_again_under_the_same_id(world: ChannelsWorld) -> None:
    """At least once: the receiver can tell, because the id is the same."""

    async def main() -> None:
        async with Service().listening() as service:
            hooked(world, service.url)
            async with world.telling() as run:

                async def killed(*_: Any, **__: Any) -> Any:
                    await asyncio.Event().wait()

                for courier in run.outbox._couriers:
                    courier._record = killed  # type: ignore[method-assign]
                await run.ask()
                await service.until(1)
            async with world.telling() as run:
                await run.recorded("notice.sent")
            assert len({got.headers["webhook-id"] for got in service.got}) == 1
            assert len(service.got) == 2

    asyncio.run(main())


@pytest.mark.parametrize("code", [500, 502, 429, 401, 302])
def test_a_service_that_fails_is_tried_again(world: ChannelsWorld, code: int) -> None:
    async def story(run: Running, service: Service) -> None:
        service.moods += [status(code, {"Retry-After": "0", "Location": "/elsewhere"})] * 2
        await run.ask()
        await run.recorded("notice.sent")
        assert [e.fields["why"] for e in run.entries("notice.failed")] == [f"It answered {code}."] * 2
        assert {got.path for got in service.got} == {"/in"}  # a redirect is not followed
        assert run.service.core.ledger.row("channel", "webhook:siem")["failures"] == 0  # type: ignore[index]

    play(world, story)


def test_decisions_do_not_wait_for_a_service_that_hangs(world: ChannelsWorld) -> None:
    world.pace = replace(world.pace, send=0.5)

    async def story(run: Running, service: Service) -> None:
        service.moods += [hang]
        request = await run.ask()
        await service.until(1)
        await decide(run.service, request, "riley")
        await run.recorded("notice.failed")
        assert "did not answer within" in run.entries("notice.failed")[0].fields["why"]

    play(world, story)


def test_a_cut_connection_and_a_long_answer_are_failures(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        service.moods += [cut, status(200, text="x" * 300_000)]
        await run.ask()
        await run.recorded("notice.sent")
        assert len(run.entries("notice.failed")) == 2

    play(world, story)


def test_nobody_listens_and_then_somebody_does(world: ChannelsWorld) -> None:
    async def main() -> None:
        service = Service()
        port = free_port()
        hooked(world, f"http://127.0.0.1:{port}")
        async with world.telling() as run:
            await run.ask()
            failed = await run.recorded("notice.failed")
            assert failed[0].fields["why"] == "Nobody listens there."
            row = run.service.core.ledger.row("channel", "webhook:siem")
            assert row is not None
            assert row["failing"]
            async with service.listening(port=port):
                await run.recorded("notice.sent")

    asyncio.run(main())


def test_a_certificate_that_is_not_trusted_is_a_failure_and_a_trusted_one_is_not(
    world: ChannelsWorld,
) -> None:
    cert, context = certificate(world.home.root)

    async def main() -> None:
        service = Service()
        async with service.listening(context):
            hooked(world, service.url)
            async with world.telling() as run:
                await run.ask()
                failed = await run.recorded("notice.failed")
                assert "certificate is not trusted" in failed[0].fields["why"]
                assert not service.got
            hooked(world, service.url, f'ca_file = "{cert}"\n')
            async with world.telling() as run:
                await run.recorded("notice.sent")

    asyncio.run(main())


def test_a_receiver_that_is_gone_is_dropped_and_not_tried_again(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        service.moods += [status(410)]
        first = await run.ask("rm -r one")
        await run.recorded("notice.failed")
        await decide(run.service, first, "riley", "deny")
        await run.ask("rm -r two")
        await run.recorded("notice.sent")
        assert [e.fields["final"] for e in run.entries("notice.failed")] == [True]
        assert [got.json["data"]["text"] for got in service.got] == ["rm -r one", "rm -r two"]

    play(world, story)


def test_the_end_of_a_request_is_given_up_after_some_tries(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        request = await run.ask()
        await run.recorded("notice.sent")
        service.moods += [status(500)] * 50
        await decide(run.service, request, "riley", "deny")
        failed = await run.recorded("notice.failed", world.pace.tries)
        assert [e.fields["final"] for e in failed] == [False] * 3 + [True]
        assert run.service.core.ledger.count("notice-open") == 0

    play(world, story)


def test_one_channel_that_fails_keeps_no_other_from_delivering(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        await run.ask()
        await run.recorded("notice.sent")
        assert run.entries("notice.sent")[0].fields["channel"] == "webhook:siem"

    nobody = '[[webhook]]\nname = "dead"\nurl = "http://127.0.0.1:9/"\nsecret_files = ["hook.secret"]\n'
    play(world, story, nobody)


def test_a_reminder_is_told_once_and_an_escalation_to_whoever_it_went_to(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        request = await run.ask()
        await run.recorded("notice.sent")
        await run.service.core.ledger.append([Draft("request.reminded", {"request": request, "left": 60})])
        sent = await run.recorded("notice.sent", 2)
        assert [e.fields["phase"] for e in sent] == ["opened", "reminded:1"]
        await decide(run.service, request, "riley", "deny")
        await run.recorded("notice.sent", 3)
        assert [got.json["type"] for got in service.got] == [
            "request.opened",
            "request.reminded",
            "request.ended",
        ]

    play(world, story)


class Pager(Channel):
    """A channel that people carry; it keeps what it was given."""

    name = "pager"

    def __init__(self) -> None:
        self.got: list[str] = []

    def addresses(self, person: Person, rows: Any) -> list[str]:
        return [person.id]

    async def send(self, notice: Notice, receiver: Receiver, ref: Any) -> Receipt:
        self.got.append(f"{receiver.to}:{notice.about}")
        return Receipt()


def test_an_agent_that_asks_again_and_again_does_not_wear_its_reviewers_down(world: ChannelsWorld) -> None:
    pager = Pager()

    async def story(run: Running) -> None:
        now = 1_800_000_000.0
        run.service.core.clock = lambda: now
        asked = [await run.ask(f"rm -r build{number}") for number in range(14)]
        await run.recorded("notice.sent", 20)
        await run.ask("rm -r last")
        counts = Counter(one.partition(":")[0] for one in pager.got)
        assert counts == {"riley": 10, "sam": 10}
        await decide(run.service, asked[13], "riley", "deny")
        now += 61
        (courier,) = run.outbox._couriers
        courier.consider(asked[13])
        for request in asked[10:13]:
            courier.consider(request)
        await run.recorded("notice.sent", 26)
        assert f"sam:{asked[12]}" in pager.got
        assert f"sam:{asked[13]}" not in pager.got  # it has ended meanwhile

    world.tell(story, [pager])


def test_the_rows_of_notices_are_rebuilt_to_the_same_bytes(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        service.moods += [status(500)]
        request = await run.ask()
        await run.recorded("notice.sent")
        await decide(run.service, request, "riley", "deny")
        await run.ask("rm -r other")
        await run.recorded("notice.sent", 3)
        rebuilt = await asyncio.to_thread(run.service.core.ledger.rebuild)
        assert not rebuilt.differing, rebuilt

    play(world, story)


def test_waiting_times_grow_and_are_bounded() -> None:
    pace = Pace(first=2, longest=600, believed=3600)
    waits = [delay(pace, failures) for failures in range(1, 40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[1], max(waits)) == (2, 4, 600)
    assert delay(pace, 1, 90) == 90
    assert delay(pace, 1, 1e9) == 3600
    assert delay(pace, 10_000_000, -5) == 600


def test_a_settings_file_without_secrets_or_with_readable_ones_makes_no_channel(world: ChannelsWorld) -> None:
    from keyturn.channels.building import build

    world.write("hook.secret", SECRET)
    (world.home.root / "hook.secret").chmod(0o644)
    for more, words in (
        ('secret_files = ["hook.secret"]', "others than its owner"),
        ('secret_files = ["nowhere"]', "No such file"),
        ("", "nobody could check"),
    ):
        world.set(f'[[webhook]]\nname = "x"\nurl = "https://example.com"\n{more}\n')
        built = build(world.home.root, world.settings)
        assert built.made == ()
        assert words in built.unusable[0].why
    world.set('[[webhook]]\nname = "x"\nurl = "http://example.com"\n')
    assert "https://" in build(world.home.root, world.settings).unusable[0].why
    assert json.dumps(SECRET) not in repr(built)
