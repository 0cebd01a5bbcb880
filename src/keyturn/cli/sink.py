"""`keyturn sink`: tools that get every entry of the log."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click

from keyturn.cli.client import home_of, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import Malformed
from keyturn.home import Home

if TYPE_CHECKING:
    from keyturn.channels.sinks.event import Event
    from keyturn.service.sink_settings import SinkSettings


@click.group()
def sink() -> None:
    """Tools that get every entry of the log, in order and at least once: list them, try one, say where one goes on."""


@sink.command("list")
@home_option
@json_option
def list_sinks(home_path: str | None, as_json: bool) -> None:
    """Every sink of the settings, and how far it is. Works with and without a server."""
    home = home_of(home_path)
    found = [_state(home, one) for one in _settings(home)]
    if as_json:
        say_json(found)
        return
    name, kind = (max((len(one[part]) for one in found), default=0) for part in ("name", "kind"))
    for one in found:
        say(f"{one['name']:<{name}}  {one['kind']:<{kind}}  {visible(one['words'])}")
    if not found:
        say("No sink is set up: `[[sink]]` in keyturn.toml, see docs/how-to/sinks.md.")


@sink.command("test")
@click.argument("name")
@home_option
@json_option
def test_sink(name: str, home_path: str | None, as_json: bool) -> None:
    """Send the log's first entry to the sink NAME, and say what happened. Where the sink stands does not change."""
    from keyturn.channels.sinks.building import target_of

    home = home_of(home_path)
    one = _named(home, name)
    event = _first(home, one)

    async def attempt() -> None:
        target = target_of(home.root, one)
        try:
            await target.send([event])
        finally:
            await target.close()

    asyncio.run(attempt())
    if as_json:
        say_json({"name": name, "sent": event.id})
    else:
        say(f"{name} took {event.id} ({event.type}).")


@sink.command("move")
@click.argument("name")
@click.option("--to", type=click.IntRange(min=0), required=True, help="First entry that it gets next.")
@home_option
@json_option
def move_sink(name: str, to: int, home_path: str | None, as_json: bool) -> None:
    """Say with which entry the sink NAME goes on. Earlier ones come again, those that are left out are never sent: you decide."""
    from keyturn.channels.sinks.building import FOLDER
    from keyturn.channels.sinks.delivery import Positions

    home = home_of(home_path)
    _named(home, name)
    origin, size = _log(home)
    if to > size:
        raise Malformed(
            f"The log has {size} entries, {to} is behind its end.", next_step="Name an earlier entry."
        )
    Positions(home.root / FOLDER).move(name, origin, to)
    if as_json:
        say_json({"name": name, "next": to})
    else:
        say(f"{name} goes on with entry {to}: within seconds where the server runs, else when it starts.")


def _settings(home: Home) -> tuple[SinkSettings, ...]:
    from keyturn.service.settings import load

    return load(home.root).sink


def _named(home: Home, name: str) -> SinkSettings:
    found = next((one for one in _settings(home) if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in _settings(home)) or "none"
        raise Malformed(f"There is no sink {name[:60]!r}.", next_step=f"Set up are: {names}.")
    return found


def _log(home: Home) -> tuple[str, int]:
    from keyturn.cli.ledger import reading
    from keyturn.ledger import checkpoint

    with reading(home) as store:
        head = store.head()
    known = checkpoint.read_unverified(head) if head else None
    return (known.origin, known.size) if known else ("", 0)


def _first(home: Home, one: SinkSettings) -> Event:
    from keyturn.channels.sinks.event import event_of
    from keyturn.cli.ledger import reading
    from keyturn.ledger import leaf

    origin, _ = _log(home)
    with reading(home) as store:
        stored = store.entry(0)
        if stored is None:
            raise Malformed(
                "The log is empty: there is nothing to send.", next_step="Record something first."
            )
        entry = leaf.read(stored)
    return event_of(entry, origin, lambda value: value, content=one.disclose == "content")


def _state(home: Home, one: SinkSettings) -> dict[str, Any]:
    from keyturn.channels.notices.channel import ChannelUnusable
    from keyturn.channels.sinks.building import FOLDER, target_of
    from keyturn.channels.sinks.delivery import Positions, SinkMisplaced, placed

    made: dict[str, Any] = {"name": one.name, "kind": one.kind, "next": None, "behind": None, "sent": None}
    try:
        target_of(home.root, one)
        origin, size = _log(home)
        position = Positions(home.root / FOLDER).read(one.name)
        if position is None:
            return made | {"state": "new", "words": "has not begun: it does when the server starts"}
        at = placed(position, one.begin, origin, size)
    except (ChannelUnusable, SinkMisplaced) as error:
        return made | {"state": "broken", "words": f"{error.happened} {error.do_next}"}
    behind = size - at.next
    last = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at.sent / 1000)) if at.sent else "never"
    words = f"next {at.next:,}, {behind:,} behind, last sent {last}"
    return made | {
        "state": "behind" if behind else "level",
        "words": words,
        "next": at.next,
        "behind": behind,
        "sent": at.sent,
    }
