"""`keyturn channel`: how people are told."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from keyturn.cli.client import home_of, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import ExitCode, Malformed
from keyturn.home import Home

if TYPE_CHECKING:
    from keyturn.channels.building import Channels
    from keyturn.channels.notices.channel import Channel
    from keyturn.channels.notices.health import Health


@click.group()
def channel() -> None:
    """How people are told what waits for them: list the channels, try one."""


@channel.command("list")
@home_option
@json_option
def list_channels(home_path: str | None, as_json: bool) -> None:
    """Every channel of the settings, and how it is. Works with and without a server."""
    found = examined(home_of(home_path))
    if as_json:
        say_json(found)
        return
    for one in found:
        say(f"{one.name:<20} {one.state:<8} {visible(one.words)}")
    if not found:
        say("No channel is set up; people see what waits on the page and in the terminal.")


@channel.command("test")
@click.argument("name")
@click.option(
    "--person", help="Tell this person, at the addresses that the ledger knows, instead of the shared places."
)
@home_option
@json_option
def test_channel(name: str, person: str | None, home_path: str | None, as_json: bool) -> None:
    """Send a test message through the channel NAME, and say what happened. Exit 1 if a receiver was not told."""
    home = home_of(home_path)
    built = _built(home)
    broken = next((one for one in built.unusable if one.name == name), None)
    if broken is not None:
        from keyturn.channels.notices.channel import ChannelUnusable

        raise ChannelUnusable(broken.why, next_step=broken.mend)
    chosen = next((one for one in built.made if one.name == name), None)
    if chosen is None:
        names = ", ".join(one.name for one in built.made) or "none"
        raise Malformed(f"There is no channel {name[:60]!r}.", next_step=f"Set up are: {names}.")
    results = asyncio.run(_try(home, chosen, _receivers(home, chosen, person)))
    if as_json:
        say_json(results)
    for one in [] if as_json else results:
        say(f"{visible(one['to']):<30} {'told' if one['told'] else 'NOT TOLD: ' + visible(one['why'])}")
    if not all(one["told"] for one in results):
        sys.exit(ExitCode.INTERNAL)


def examined(home: Home) -> list[Health]:
    """How every channel is, from settings and ledger."""
    import time

    from keyturn.cli.ledger import reading

    with reading(home) as store:
        rows = store.rows("channel")
    return _built(home).health(rows, int(time.time() * 1000))


def _built(home: Home) -> Channels:
    from keyturn.channels.building import build
    from keyturn.service.settings import load

    return build(home.root, load(home.root))


def _receivers(home: Home, chosen: Channel, person: str | None) -> list[str]:
    """The shared places, or a person's. Raises `Malformed` when there is none."""
    from keyturn.cli.ledger import reading
    from keyturn.service.core import person_of

    places = list(chosen.shared())
    if person is not None:
        with reading(home) as store:
            row = store.row("person", person)
            browsers = store.rows("push", state=person)
        if row is None or row.get("removed"):
            raise Malformed(f"There is no person {person[:60]!r}.")
        places = list(chosen.addresses(person_of(row), browsers))
    if not places:
        raise Malformed(
            "There is nobody to tell through this channel.",
            next_step="Name somebody with --person who has an account there, or a shared place in the settings.",
        )
    return places


async def _try(home: Home, chosen: Channel, places: list[str]) -> list[dict[str, Any]]:
    import json
    import time

    from keyturn.channels.notices.channel import Receiver, Undelivered
    from keyturn.channels.notices.trying import trial
    from keyturn.service.settings import load

    try:
        running = json.loads(home.server.read_bytes()).get("url", "")
    except (OSError, ValueError, AttributeError):
        running = ""
    link = load(home.root).public_url or running or "http://127.0.0.1"
    notice = trial(int(time.time() * 1000), link)
    results: list[dict[str, Any]] = []
    for place in places:
        result: dict[str, Any] = {"to": place, "told": True, "why": ""}
        try:
            async with asyncio.timeout(30):
                await chosen.send(notice, Receiver(place), None)
        except TimeoutError:
            result |= {"told": False, "why": "It did not answer within 30 s."}
        except Undelivered as error:
            result |= {"told": False, "why": error.happened}
        results.append(result)
    await chosen.close()
    return results
