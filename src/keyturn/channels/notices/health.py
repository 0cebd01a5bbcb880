"""How each channel is, in words, for `keyturn doctor`, `keyturn channel list` and the About page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from keyturn.channels.notices.channel import Channel
from keyturn.channels.web.wording import ago, duration


class Health(Struct, frozen=True):
    """One channel: `ok`, `warning` (tried again by itself, or some receivers were given up) or `bad` (needs somebody)."""

    name: str
    state: Literal["ok", "warning", "bad"]
    words: str
    mend: str = ""


FAILING_LONG = 600_000
"""Milliseconds of failing after which somebody has to look."""


def health(
    channels: Iterable[Channel],
    unusable: Iterable[tuple[str, str, str]],
    rows: Mapping[str, Mapping[str, Any]],
    now: int,
) -> list[Health]:
    """*unusable*: name, why, what to do. *rows*: the ledger's row of each channel. Times are milliseconds since 1970."""
    found = [Health(name, "bad", why, mend) for name, why, mend in unusable]
    for channel in channels:
        found.append(_of(channel.name, channel.trouble(), rows.get(channel.name), now))
    return found


def _of(name: str, trouble: str, row: Mapping[str, Any] | None, now: int) -> Health:
    mend = f"Try it with `keyturn channel test {name}`."
    if trouble:
        return Health(name, "warning", trouble, mend)
    if row is None:
        return Health(name, "ok", "Nothing was sent through it yet.")
    if row["failures"]:
        since = duration(now - row["failing"])
        words = f"Failing for {since}, {row['failures']} times in a row: {row['why']}"
        return Health(name, "bad" if now - row["failing"] > FAILING_LONG else "warning", words, mend)
    if row.get("dropped_at", 0) > (row["sent"] or 0):
        return Health(name, "warning", f"A receiver was given up: {row['dropped_why']}", mend)
    return Health(name, "ok", f"Last message taken {ago(row['sent'], now)}.")
