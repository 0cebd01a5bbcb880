"""How people are told, as the pages see it: implements `channels.web.told.Telling`."""

from __future__ import annotations

from typing import Any

from keyturn.channels.building import Channels
from keyturn.channels.push.subscription import Subscription, check
from keyturn.channels.web.told import Reach
from keyturn.errors import NotFound
from keyturn.identity import Person
from keyturn.service import telling
from keyturn.service.core import Core

_NAMES = {"slack": "Slack", "email": "Email"}


class PageTelling:
    """Over one service's core and the channels of its settings."""

    def __init__(self, core: Core, channels: Channels) -> None:
        self._core = core
        self._channels = channels

    @property
    def push_key(self) -> str:
        """The key for browsers; empty where push is not set up."""
        return next(
            (str(getattr(one, "public_key", "")) for one in self._channels.made if one.name == "push"), ""
        )

    def reach(self, person: Person) -> list[Reach]:
        """Channels that reach *person*, with the addresses; push is listed by browser, and can be done without as a whole."""
        without = telling.without(self._core, person.id)
        rows = telling.browsers(self._core, person.id)
        found = []
        for channel in self._channels.made:
            places = channel.addresses(person, rows)
            if channel.name == "push" and places:
                words = f"Push messages ({len(places)} {'browser' if len(places) == 1 else 'browsers'})"
                found.append(Reach("push", words, "push" not in without))
            elif places:
                words = f"{_NAMES.get(channel.name, channel.name)} ({', '.join(places)})"
                found.append(Reach(channel.name, words, channel.name not in without))
        return found

    def browsers(self, person: Person) -> list[dict[str, Any]]:
        """Their browsers."""
        return telling.browsers(self._core, person.id)

    async def choose(self, person: Person, without: list[str]) -> None:
        """Do without these channels."""
        await telling.choose(self._core, person, without)

    async def subscribe(self, person: Person, given: Subscription, device: str) -> None:
        """Tell this browser."""
        services = next(
            (getattr(one, "services", ()) for one in self._channels.made if one.name == "push"), None
        )
        if services is None:
            raise NotFound("Push messages are not set up on this server.")
        check(given, services)
        await telling.subscribe(
            self._core,
            person,
            endpoint=given.endpoint,
            p256dh=given.keys.p256dh,
            auth=given.keys.auth,
            device=device,
        )

    async def unsubscribe(self, person: Person, identity: str) -> None:
        """Tell it no more."""
        await telling.unsubscribe(self._core, person, identity)
