"""`keyturn channel`, and what `keyturn doctor` says about channels."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
from typing import Any

import pytest
from channels_http import Service, status
from channels_world import ChannelsWorld

from keyturn.cli import main

SECRET = "whsec_" + base64.b64encode(b"a" * 32).decode()


def run(capsys: Any, *args: str) -> tuple[int, Any]:
    """Exit code and JSON of a command."""
    with pytest.raises(SystemExit) as ended:
        main([*args, "--json"])
    captured = capsys.readouterr()
    text = captured.out or captured.err
    return int(ended.value.code or 0), json.loads(text)


class Listening:
    """A service in a thread of its own, for commands that run an event loop."""

    def __enter__(self) -> Service:
        self._stop, started = threading.Event(), threading.Event()
        self.service = Service()

        async def serve() -> None:
            async with self.service.listening():
                started.set()
                await asyncio.to_thread(self._stop.wait)

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),))
        self._thread.start()
        assert started.wait(120)
        return self.service

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def hooked(world: ChannelsWorld, url: str) -> list[str]:
    world.write("s", SECRET)
    world.set(
        f'[[webhook]]\nname = "siem"\nurl = "{url}"\nsecret_files = ["s"]\n[slack]\ntoken_file = "nowhere"\n'
    )
    return ["--home", str(world.home.root)]


def test_a_channel_is_tried_and_what_happened_is_said(world: ChannelsWorld, capsys: Any) -> None:
    with Listening() as service:
        home = hooked(world, service.url)
        assert run(capsys, "channel", "test", "webhook:siem", *home) == (
            0,
            [{"to": "receiver", "told": True, "why": ""}],
        )
        assert service.got[0].json["type"] == "channel.test"
        service.moods = [status(403)]
        code, said = run(capsys, "channel", "test", "webhook:siem", *home)
        assert (code, said[0]["told"], said[0]["why"]) == (1, False, "It answered 403.")


def test_a_channel_that_can_not_be_used_or_is_not_there_is_named(world: ChannelsWorld, capsys: Any) -> None:
    home = hooked(world, "https://example.com")
    code, said = run(capsys, "channel", "test", "slack", *home)
    assert (code, said["error"]["code"]) == (2, "channel.unusable")
    code, said = run(capsys, "channel", "test", "fax", *home)
    assert code == 2
    assert "webhook:siem" in said["error"]["next"]


def test_list_and_doctor_show_a_channel_that_fails(world: ChannelsWorld, capsys: Any) -> None:
    home = hooked(world, "http://127.0.0.1:9/")

    text = world.home.settings.read_text()

    async def story() -> None:
        async with world.telling() as running:
            await running.ask()
            await running.recorded("notice.failed")

    world.set(text.partition("[slack]")[0])  # alone, since the world starts with usable channels only
    asyncio.run(story())
    world.set(text)
    _, listed = run(capsys, "channel", "list", *home)
    states = {one["name"]: one["state"] for one in listed}
    assert states == {"slack": "bad", "webhook:siem": "warning"}
    assert "Nobody listens there." in next(o["words"] for o in listed if o["name"] == "webhook:siem")
    with pytest.raises(SystemExit):
        main(["doctor", *home])
    shown = capsys.readouterr().out
    assert "warn  Channel webhook:siem: Failing for" in shown
    assert "bad   Channel slack:" in shown


@pytest.mark.parametrize(
    ("missing", "section", "extra"),
    [
        ("slack_sdk.web.async_client", '[slack]\ntoken_file = "s"\n', "keyturn[slack]"),
        ("pywebpush", '[push]\ncontact = "mailto:a@b.c"\n', "keyturn[push]"),
        ("apprise", '[apprise]\nurls_file = "s"\n', "keyturn[apprise]"),
    ],
)
def test_a_channel_whose_library_is_not_installed_says_which_extra_brings_it(
    world: ChannelsWorld, capsys: Any, monkeypatch: Any, missing: str, section: str, extra: str
) -> None:
    world.write("s", "x")
    world.set(section)
    monkeypatch.setitem(sys.modules, missing, None)
    code, listed = run(capsys, "channel", "list", "--home", str(world.home.root))
    assert code == 0
    assert listed[0]["state"] == "bad"
    assert extra in listed[0]["mend"]


def test_doctor_says_when_messages_lead_to_an_address_that_others_cannot_open(
    world: ChannelsWorld, capsys: Any
) -> None:
    home = hooked(world, "https://example.com")
    for more, said in (("", True), ('public_url = "https://keyturn.example"\n', False)):
        world.set(more + world.home.settings.read_text())
        with pytest.raises(SystemExit):
            main(["doctor", *home])
        assert ("other machines can't open" in capsys.readouterr().out) == said
