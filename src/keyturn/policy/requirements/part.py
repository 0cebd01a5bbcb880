"""One table of requirements.toml, read key by key; every mistake is told with its place.

A section's module is a function from a `Part` to a value. It may leave out what is wrong and go on: with any problem the
whole policy is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

from keyturn.policy import obligations
from keyturn.policy.folder import Table
from keyturn.policy.problems import nearest
from keyturn.policy.requirements.zones import zone_of

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


class Part:
    """The table *body* under *heading* (`default`, `window.office`) of *table*."""

    def __init__(self, table: Table, heading: str, body: Any) -> None:
        self.table, self.heading = table, heading
        self.body: dict[str, Any] = body if isinstance(body, dict) else {}
        if not isinstance(body, dict):
            table.wrong(heading.rpartition(".")[2], f"[{heading}] is a table")

    @property
    def name(self) -> str:
        """The last word of the heading."""
        return self.heading.rpartition(".")[2]

    def known(self, *keys: str) -> None:
        """Only *keys* may stand here."""
        for key in self.body:
            if key not in keys:
                hint = nearest(key, keys) or "known: " + ", ".join(keys)
                self.wrong(key, f"there is no setting {key} in [{self.heading}]", hint)

    def named(self) -> Iterator[Part]:
        """The tables `[HEADING.NAME]` in this one."""
        for name, body in self.body.items():
            part = Part(self.table, f"{self.heading}.{name}", body)
            if not _NAME.fullmatch(name):
                part.wrong(name, f"the name of a {self.heading} is lowercase letters, digits and `-`")
            yield part

    def wrong(self, word: str, message: str, suggestion: str = "") -> None:
        """A problem at *word*, behind the heading."""
        self.table.wrong(word, message, suggestion, after=f"[{self.heading}]")

    def text(self, key: str, default: str = "") -> str:
        """A text; *default* when it is absent."""
        value = self.body.get(key, default)
        if not isinstance(value, str):
            self.wrong(key, f"{key} is a text")
            return default
        return value

    def required(self, key: str, example: str) -> str:
        """A text that has to be there."""
        value = self.text(key)
        if not value.strip() and not isinstance(self.body.get(key), (bool, int, float, list, dict)):
            self.wrong(key if key in self.body else self.name, f"[{self.heading}] has a {key}", example)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, possibly absent."""
        value = self.body.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.wrong(key, f"{key} is a list of texts")
            return ()
        return tuple(value)

    def choice(self, key: str, among: tuple[str, ...], default: str) -> str:
        """One word of *among*."""
        value = self.body.get(key, default)
        if value not in among:
            self.wrong(key, f"{key} is one of {', '.join(among)}", nearest(str(value), among))
            return default
        return str(value)

    def seconds(self, key: str, default: int) -> int:
        """A time such as `15m`."""
        if key not in self.body:
            return default
        try:
            return obligations.seconds(str(self.body[key]))
        except ValueError as error:
            self.wrong(key, str(error))
            return default

    def zone(self) -> tzinfo:
        """`timezone`, UTC when it is absent."""
        name = self.text("timezone", "UTC")
        try:
            return zone_of(name)
        except ValueError as error:
            self.wrong("timezone", str(error))
            return zone_of("UTC")

    def instant(self, key: str, zone: tzinfo) -> int | None:
        """A TOML date-time as milliseconds since 1970; one without an offset is meant in *zone*. None when it is wrong."""
        value = self.body.get(key)
        if not isinstance(value, datetime):
            example = f"{key} = 2026-12-24T18:00:00+01:00"
            self.wrong(
                key if key in self.body else self.name,
                f"[{self.heading}] has a {key}: a date and time",
                example,
            )
            return None
        aware = value if value.tzinfo is not None else value.replace(tzinfo=zone)
        return int(aware.timestamp() * 1000)
