"""The channels that a home's settings name. One that can't be used is left out and said; it never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from keyturn.channels.notices.channel import Channel, ChannelUnusable
from keyturn.channels.notices.health import Health, health
from keyturn.channels.notices.routing import parse_quiet
from keyturn.service.settings import Settings

_MAKERS = {
    "slack": "keyturn.channels.slack:SlackChannel",
    "teams": "keyturn.channels.teams:TeamsBot",
    "email": "keyturn.channels.mail:EmailChannel",
    "webhook": "keyturn.channels.webhooks:WebhookChannel",
    "apprise": "keyturn.channels.apprise:AppriseChannel",
    "push": "keyturn.channels.push:PushChannel",
}
"""Class of each section's channel; imported when it is made, since some need libraries of an extra."""


class Unusable(Struct, frozen=True):
    """A channel that is set up and can't be used."""

    name: str
    why: str
    mend: str


class Channels(Struct, frozen=True):
    """What a home has of them."""

    made: tuple[Channel, ...] = ()
    unusable: tuple[Unusable, ...] = ()

    def health(self, rows: Iterable[Mapping[str, Any]], now: int) -> list[Health]:
        """How each is; *rows* are the ledger's of kind `channel`."""
        known = {row["channel"]: row for row in rows}
        return health(self.made, [(one.name, one.why, one.mend) for one in self.unusable], known, now)


def build(home: Path, settings: Settings) -> Channels:
    """Every channel of *settings*, and those that can't be used."""
    made: list[Channel] = []
    unusable: list[Unusable] = []
    for name, make in _each(home, settings):
        try:
            made.append(make())
        except ChannelUnusable as error:
            unusable.append(Unusable(name, error.happened, error.do_next))
    return Channels(tuple(made), tuple(unusable))


def _each(home: Path, settings: Settings) -> Iterator[tuple[str, Callable[[], Channel]]]:
    for section, place in _MAKERS.items():
        given = getattr(settings, section)
        if section == "webhook":
            for one in given:
                yield f"webhook:{one.name}", partial(_make, place, home, one)
        elif section == "teams" and given is not None:
            if given.workflow_file or not given.app_id:
                yield "teams:workflow", partial(_make, "keyturn.channels.teams:TeamsWorkflow", home, given)
            if given.app_id:
                yield section, partial(_make, place, home, given)
        elif given is not None:
            yield section, partial(_make, place, home, given)


def _make(place: str, home: Path, section: object) -> Channel:
    module, _, name = place.partition(":")
    made: Channel = getattr(import_module(module), name)(home, section)
    parse_quiet(made.quiet)
    return made
