"""Teams end to end: the real server, and a local stand-in for Microsoft's login, keys and Bot Connector."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channels_http import cut, status
from channels_world import ChannelsWorld, Running, decide
from joserfc.jwk import RSAKey
from teams_fake import APP, PLACE, RILEY, SECRET, TENANT, FakeTeams

ACCOUNT = f"teams:{TENANT}|{RILEY}"
LOW = "rm -r build"


def configured(world: ChannelsWorld, teams: FakeTeams, more: str = "approve = true\n") -> None:
    name = world.write("teams.secret", SECRET)
    world.set(
        f'port = 0\n[teams]\napp_id = "{APP}"\ntenant = "{TENANT}"\nsecret_file = "{name}"\nconversation = "{PLACE}"\n'
        f'service_url = "{teams.url}/api/"\nlogin = "{teams.url}/login/"\nopenid = "{teams.url}/openid"\n{more}'
    )


def play(
    world: ChannelsWorld, story: Callable[[Running, FakeTeams], Awaitable[None]], **settings: Any
) -> None:
    async def main() -> None:
        async with FakeTeams().listening() as teams:
            configured(world, teams, **settings)
            async with world.serving() as run:
                await world.account(run.service, "riley", ACCOUNT)
                await story(run, teams)

    asyncio.run(main())


async def asked(run: Running, teams: FakeTeams, script: str = LOW) -> str:
    request = await run.ask(script)
    await run.recorded("notice.sent")
    return request


def test_denied_in_teams_and_the_card_says_so(world: ChannelsWorld) -> None:
    async def story(run: Running, teams: FakeTeams) -> None:
        request = await asked(run, teams)
        code, said = await teams.call(run.url, teams.activity("keyturn_deny", reason="not now"))
        assert code == 200
        assert said["value"]["body"][0]["inlines"][0]["text"] == "Denied"
        view = await run.service.request(request)
        given = view.approvals[0]
        assert (view.state, given.person, given.channel, given.reason) == (
            "denied",
            "riley",
            "teams",
            "not now",
        )
        await teams.until(lambda: teams.title() == "Denied")
        assert teams.history == ["POST", "PUT"]

    play(world, story)


def test_approved_in_teams_where_a_click_is_enough(world: ChannelsWorld) -> None:
    async def story(run: Running, teams: FakeTeams) -> None:
        request = await asked(run, teams)
        await teams.call(run.url, teams.activity("keyturn_approve"))
        assert (await run.service.request(request)).state == "approved"
        assert run.entries("approval.given")[0].fields["assurance"] == "click"

    play(world, story)


def test_decided_elsewhere_changes_the_card(world: ChannelsWorld) -> None:
    async def story(run: Running, teams: FakeTeams) -> None:
        request = await asked(run, teams)
        await decide(run.service, request, "sam", "deny")
        await teams.until(lambda: teams.title() == "Denied")

    play(world, story)


def test_the_bots_token_is_kept_and_got_anew_when_it_is_refused(world: ChannelsWorld) -> None:
    async def main() -> None:
        async with FakeTeams().listening() as teams:
            configured(world, teams)
            async with world.telling() as run:
                await run.ask("rm -r one")
                await run.recorded("notice.sent")
                await run.ask("rm -r two")
                await run.recorded("notice.sent", 2)
                assert len(teams.tokens) == 1
                teams.tokens.append("another")  # the one that the bot has counts no more
                await run.ask("rm -r three")
                await run.recorded("notice.sent", 3)
                assert [e.fields["why"] for e in run.entries("notice.failed")] == [
                    "Teams refused the bot's token."
                ]

    asyncio.run(main())


def _confused(teams: FakeTeams) -> str:
    """Microsoft's public key as the secret of an HMAC."""
    header, claims, _ = teams.token(header={"alg": "RS256", "kid": "k1"}).split(".")
    header = urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "k1"}).encode()).decode().rstrip("=")
    public = teams.key.as_pem(private=False)
    mac = hmac.new(public, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    return f"{header}.{claims}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def forged(name: str) -> Callable[[FakeTeams], tuple[Any, str]]:
    other = RSAKey.generate_key(2048, {"kid": "k1"})
    now = int(time.time())

    def make(teams: FakeTeams) -> tuple[Any, str]:
        activity = teams.activity("keyturn_deny")
        tokens: dict[str, Callable[[], str]] = {
            "none": lambda: "",
            "garbage": lambda: "a.b.c",
            "another key": lambda: teams.token(other),
            "unknown key": lambda: teams.token(other, {"alg": "RS256", "kid": "k2"}),
            "another bot": lambda: teams.token(aud="another"),
            "another issuer": lambda: teams.token(iss="https://sts.windows.net/x"),
            "expired": lambda: teams.token(exp=now - 400),
            "not yet": lambda: teams.token(nbf=now + 400),
            "no end": lambda: teams.token(exp=None),
            "another service": lambda: teams.token(serviceurl="https://evil.example/"),
            "confused algorithm": lambda: _confused(teams),
        }
        return activity, tokens[name]()

    return make


@pytest.mark.parametrize(
    "name",
    [
        "none", "garbage", "another key", "unknown key", "another bot", "another issuer", "expired", "not yet", "no end",
        "another service", "confused algorithm",
    ],
)  # fmt: skip
def test_a_call_that_microsoft_did_not_sign_for_us_changes_nothing(world: ChannelsWorld, name: str) -> None:
    async def story(run: Running, teams: FakeTeams) -> None:
        await asked(run, teams)
        activity, token = forged(name)(teams)
        size = run.service.core.ledger.size
        assert (await teams.call(run.url, activity, token))[0] == 401
        assert run.entries("approval.given") == []
        assert run.service.core.ledger.size == size
        assert (await teams.call(run.url, activity))[0] == 200  # the control
        assert len(run.entries("approval.given")) == 1

    play(world, story)


def test_a_key_that_is_not_endorsed_for_teams_is_not_taken(world: ChannelsWorld) -> None:
    async def story(run: Running, teams: FakeTeams) -> None:
        teams.endorsements = ["directline"]
        await asked(run, teams)
        assert (await teams.call(run.url, teams.activity("keyturn_deny")))[0] == 401

    play(world, story)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"from": {"aadObjectId": "nobody"}}, "not linked to anybody"),
        ({"from": {"id": "29:x"}}, "did not say who"),
        ({"conversation": {"tenantId": "another"}, "channelData": {}}, "another directory"),
        ({"channelData": {"tenant": {"id": "another"}}}, "another directory"),
        (
            {"value": {"action": {"verb": "keyturn_approve", "data": {"request": 1}}}},
            "not one of this version",
        ),
    ],
    ids=str,
)
def test_a_click_that_is_nobodys_or_no_button_is_refused_in_words(
    world: ChannelsWorld, changes: dict[str, Any], words: str
) -> None:
    async def story(run: Running, teams: FakeTeams) -> None:
        await asked(run, teams)
        code, said = await teams.call(run.url, teams.activity("keyturn_deny", **changes))
        assert code == 200
        assert words in said["value"]
        assert run.entries("approval.given") == []

    play(world, story)


@pytest.mark.parametrize("script", ["git push --force", "rm -r 'a\u202eb'", "rm -r " + "a" * 1600])
def test_a_pressed_approve_that_is_not_there_is_refused(world: ChannelsWorld, script: str) -> None:
    async def story(run: Running, teams: FakeTeams) -> None:
        await asked(run, teams, script)
        _, said = await teams.call(run.url, teams.activity("keyturn_approve"))
        assert "can't be approved here" in said["value"]
        assert run.entries("approval.given") == []

    play(world, story)


def test_a_workflow_gets_a_card_that_leads_to_the_page_and_another_at_the_end(world: ChannelsWorld) -> None:
    async def main() -> None:
        async with FakeTeams().listening() as teams:
            world.set(f'[teams]\nworkflow_file = "{world.write("flow", teams.url + "/workflow")}"\n')
            async with world.telling() as run:
                request = await run.ask()
                await run.recorded("notice.sent")
                await decide(run.service, request, "riley", "deny")
                await run.recorded("notice.sent", 2)
            cards = [one["attachments"][0]["content"] for one in teams.workflow]
            assert [card["body"][0]["inlines"][0]["text"] for card in cards][1] == "Denied"
            assert {a["type"] for card in cards for a in card["actions"]} == {"Action.OpenUrl"}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("mood", "words"),
    [(status(429, {"Retry-After": "0"}), "429"), (status(503), "503"), (status(200, text="<html>"), "not JSON"), (cut, "failed")],
    ids=["429", "503", "garbage", "cut"],
)  # fmt: skip
def test_teams_failing_is_tried_again(world: ChannelsWorld, mood: Any, words: str) -> None:
    async def main() -> None:
        async with FakeTeams().listening() as teams:
            configured(world, teams)
            async with world.telling() as run:
                teams.moods = [mood, mood]
                await run.ask()
                await run.recorded("notice.sent")
                failed = run.entries("notice.failed")
                assert len(failed) == 2
                assert words in failed[0].fields["why"]
                assert SECRET not in repr([e.fields for e in failed])

    asyncio.run(main())
