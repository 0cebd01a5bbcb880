"""The sinks that a home's settings name, and how they are. One that can't be used is left out and said; it never stops the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from keyturn.channels.notices.channel import ChannelUnusable
from keyturn.channels.notices.files import secret, trust
from keyturn.channels.notices.posting import Http, check_address, is_loopback
from keyturn.channels.sinks.delivery import Delivery, Positions, State
from keyturn.channels.sinks.syslog import SyslogLine
from keyturn.channels.sinks.targets import (
    FilesTarget,
    HttpTarget,
    OtlpTarget,
    ParquetTarget,
    SyslogTarget,
    Target,
)
from keyturn.channels.webhooks.signing import read_secret
from keyturn.ledger import Lagged
from keyturn.ledger.log import Ledger
from keyturn.service.sink_settings import SinkSettings

log = logging.getLogger("keyturn.sinks")
FOLDER = "sinks"
Began = Callable[[str], int | None]
"""Action → when it was decided (milliseconds)."""


class Unusable(Struct, frozen=True):
    """A sink that is set up and can't be used."""

    name: str
    why: str
    mend: str


class Sinks:
    """All sinks of a server."""

    def __init__(self, made: Iterable[Delivery], unusable: Iterable[Unusable], ledger: Ledger) -> None:
        self.made, self.unusable, self._ledger = tuple(made), tuple(unusable), ledger

    def health(self) -> list[tuple[str, State, str]]:
        """(name, ok, warning or bad, words) of each."""
        broken: list[tuple[str, State, str]] = [
            (one.name, "bad", f"{one.why} {one.mend}") for one in self.unusable
        ]
        return broken + [(one.name, *one.health()) for one in self.made]

    async def run(self) -> None:
        """All of them, for ever. Each wakes when something is recorded."""
        for one in self.unusable:
            log.error("the sink %s can't be used: %s %s", one.name, one.why, one.mend)
        if self.made:
            await asyncio.gather(self._wake(), *(one.run() for one in self.made))

    async def _wake(self) -> None:
        while True:
            try:
                async with self._ledger.subscribe() as entries:
                    self._all()
                    async for _ in entries:
                        self._all()
                return
            except Lagged:
                continue  # they read from the log: there is nothing to catch up with here

    def _all(self) -> None:
        for one in self.made:
            one.woken.set()


def build(
    home: Path, settings: Iterable[SinkSettings], ledger: Ledger, full: Callable[[Any], Any], began: Began
) -> Sinks:
    """Every sink of *settings*, and those that can't be used."""
    made: list[Delivery] = []
    unusable: list[Unusable] = []
    positions = Positions(home / FOLDER)
    names: set[str] = set()
    for one in settings:
        try:
            if one.name in names:
                raise ChannelUnusable(f"There are two sinks of the name {one.name}.")
            names.add(one.name)
            target = target_of(home, one, began)
        except ChannelUnusable as error:
            unusable.append(Unusable(one.name, error.happened, error.do_next))
        else:
            content = one.disclose == "content"
            made.append(Delivery(one.name, target, ledger, full, positions, content=content, begin=one.begin))
    return Sinks(made, unusable, ledger)


def target_of(home: Path, one: SinkSettings, began: Began = lambda _: None) -> Target:
    """Where *one* sends. Raises `ChannelUnusable`."""
    what = f"sink {one.name}"
    if one.secret_files and one.kind != "http":
        raise ChannelUnusable(f"{what}: only a sink of kind http signs; secret_files means nothing here.")
    if one.kind in ("files", "parquet"):
        if "://" in one.to or not one.to:
            raise ChannelUnusable(f"{what}: `to` is a folder.")
        return FilesTarget(home / one.to, one.format) if one.kind == "files" else ParquetTarget(home / one.to)
    if one.kind == "syslog":
        return SyslogTarget(_line(home, one, what))
    url = check_address(one.to, f"`to` of {what}")
    http = Http(trust(home, one.ca_file))
    token = secret(home, one.token_file, f"token_file of {what}") if one.token_file else ""
    if one.kind == "otlp":
        return OtlpTarget(http, url, token, began)
    secrets = [
        read_secret(secret(home, name, f"secret of {what}"), f"The secret of {what}")
        for name in one.secret_files
    ]
    return HttpTarget(http, url, one.format, secrets, token)


def _line(home: Path, one: SinkSettings, what: str) -> SyslogLine:
    parts = urlsplit(one.to)
    try:
        host, port = parts.hostname or "", parts.port or 6514
    except ValueError as error:
        raise ChannelUnusable(f"{what}: `to` is tls://host:port.") from error
    if parts.scheme == "tls" and host:
        return SyslogLine(host, port, trust(home, one.ca_file))
    if parts.scheme == "tcp" and is_loopback(host):
        return SyslogLine(host, port, None)
    raise ChannelUnusable(
        f"{what}: `to` is tls://host:port, or tcp:// to this machine. UDP would lose entries without a word."
    )
