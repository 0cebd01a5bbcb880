"""Findings are told: once, to the group that policy names, changed with their state, and with nothing in them that decides."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from channels_http import Service
from channels_world import LINK, ChannelsWorld, Running
from service_world import person
from standardwebhooks.webhooks import Webhook

from keyturn.channels.mail import rendering as mail
from keyturn.channels.notices import found
from keyturn.channels.notices.wording import lock_screen
from keyturn.channels.push.channel import payload as push_payload
from keyturn.channels.slack import rendering as slack
from keyturn.channels.teams import rendering as teams
from keyturn.drift.finding import Drift
from keyturn.drift.finding_life import Move
from keyturn.policy.drift import NO_DRIFT, read_drift
from keyturn.service import finding_moves, findings

SECRET = "whsec_" + base64.b64encode(b"a" * 32).decode()


def drift(kind: str = "credential.shared", severity: Any = None, words: str = "It is shared.") -> Drift:
    return Drift(
        kind, (kind, words), words, {"agent": "claude-code"}, "two machines", "one", severity=severity
    )


def test_a_bad_finding_is_told_once_and_its_message_follows_its_state(world: ChannelsWorld) -> None:
    async def story(run: Running, service: Service) -> None:
        core = run.service.core
        await findings.record(core, drift(severity="medium", words="Not bad."))
        await findings.record(core, drift())
        await run.recorded("notice.sent")
        finding = findings.views(core)[0].id
        for verb, count in (("acknowledge", 2), ("close", 3)):
            wish = Move(verb, "riley", "rotated")  # type: ignore[arg-type]
            await finding_moves.move(core, finding, person(run.service, "riley"), wish)
            await run.recorded("notice.sent", count)
        got = [Webhook(SECRET).verify(one.body, one.headers) for one in service.got]
        assert [one["type"] for one in got] == ["finding.opened", "finding.changed", "finding.changed"]
        assert [one["data"]["state"] for one in got] == ["open", "acknowledged", "closed"]
        assert {one["data"]["finding"] for one in got} == {finding}, "the one that is not bad is not told"
        assert "rotated" in got[2]["data"]["outcome"]
        assert findings.views(core)[0].delivered is not None
        assert core.ledger.row("notice-open", finding) is None

    async def main() -> None:
        async with Service().listening() as service:
            name = world.write("hook.secret", SECRET)
            world.set(f'[[webhook]]\nname = "siem"\nurl = "{service.url}/in"\nsecret_files = ["{name}"]\n')
            async with world.telling() as running:
                await story(running, service)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "severity", "told"),
    [
        ("x.y", "low", ("dba",)),
        ("x.z", "low", ()),
        ("x.z", "high", ("security",)),
        ("x.y", "high", ("security", "dba")),
    ],
)
def test_policy_says_who_is_told(kind: str, severity: str, told: tuple[str, ...]) -> None:
    text = b"[lag]\ntell = 'security'\n[response.a]\nkinds = ['x.y']\ndo = 'step-up'\ntell = 'dba'\n"
    rules, wrong = read_drift(text)
    assert wrong == []
    assert found.groups(rules, kind, severity) == told
    assert found.groups(NO_DRIFT, kind, "critical") == ("reviewers",)


def test_it_is_due_once_and_changes_only_where_the_channel_can() -> None:
    row = {"state": "open", "life": []}
    told = {"dropped": "", "phases": ["opened"], "shown": "waiting:open"}
    assert found.due("changes", row, None, True).key == "opened"  # type: ignore[union-attr]
    assert found.due("changes", row, None, False) is None
    assert found.due("changes", row, told, True) is None
    assert found.due("changes", {"state": "closed", "life": []}, None, True) is None
    seen = {"state": "acknowledged", "life": [1]}
    over = {"state": "closed", "life": [1, 2]}
    assert found.due("no", over, told, True) is None
    assert found.due("end", seen, told, True) is None
    assert found.due("end", over, told, True).key == "changed:closed:2"  # type: ignore[union-attr]
    assert found.due("changes", seen, told, False).key == "changed:acknowledged:1"  # type: ignore[union-attr]
    assert found.due("changes", over, {**told, "dropped": "gone"}, True) is None


def test_every_channel_shows_hostile_words_as_words_and_offers_no_decision(world: ChannelsWorld) -> None:
    async def story(run: Running) -> None:
        words = "<!channel> ```*x*``` [y](https://evil.example) \u202e<b>"
        await findings.record(run.service.core, drift(words=words))
        view = findings.views(run.service.core)[0]
        row = findings.required(run.service.core, view.id)
        notice = found.compose(view, row, "opened", LINK.replace("requests", "findings") + view.id)
        blocks = str(slack.blocks(notice))
        assert "\u202e" not in blocks
        assert "mrkdwn" not in blocks
        assert slack.DENY not in blocks
        assert slack.APPROVE not in blocks
        assert "&lt;!channel&gt;" in slack.fallback(notice)
        card = teams.card(notice, buttons=True)
        assert [action["type"] for action in card["actions"]] == ["Action.OpenUrl"]
        text, html = mail.plain_part(notice), mail.html_part(notice)
        assert "https://evil" not in text + html
        assert "<b>" not in html.replace("<b>Kind", "").split("</h1>")[1].split("</p>")[0]
        assert notice.link in text
        title, body = lock_screen(notice)
        assert "shared" not in title + body, "a lock screen has no word of it"
        assert f"/findings/{view.id}" in push_payload(notice).decode()

    world.tell(story, [])
