"""Who is told what, and when. Pure: people, rows and the clock come in as arguments.

Rules kept here:

- Told are the people whose decision can count now (open stages; never the initiator, owner or author), by every account of
  theirs that a channel can reach, unless they chose to be without that channel; and the places that hear of everything.
- A receiver is told once that a request waits, once for each reminder, and, where the channel can, what became of it.
- In a channel's quiet hours people wait with the message, but for what is critical; places don't sleep.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn.channels.notices.channel import Channel, ChannelUnusable, Follows, Receiver
from keyturn.channels.notices.notice import Phase
from keyturn.identity import Person, Roster
from keyturn.service.model import RequestView
from keyturn.service.notice_rows import WAITING

Row = Mapping[str, Any]

_QUIET = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)(?: ([A-Za-z0-9_+\-/]+))?")
_DAY = 24 * 60


class Due(Struct, frozen=True):
    """One message to send: `key` is what may occur once (`opened`, `reminded:812`, `ended`, `changed:waiting:1`)."""

    phase: Phase
    key: str


def deciders(view: RequestView) -> tuple[str, ...]:
    """Ids of the people who may decide now: one for each human."""
    return tuple(dict.fromkeys(person for stage in view.stages if stage.open for person in stage.who))


def receivers(
    channel: Channel,
    people: Iterable[str],
    roster: Roster,
    without: Mapping[str, Collection[str]],
    browsers: Mapping[str, Sequence[Row]],
) -> tuple[Receiver, ...]:
    """Where *channel* tells *people*, and its shared places. *without*: channels that a person does not want."""
    found = {to: Receiver(to) for to in channel.shared()}
    kind = channel.name.partition(":")[0]
    for person in people:
        for record in records(person, roster):
            if kind in without.get(record.id, ()):
                continue
            for to in channel.addresses(record, browsers.get(record.id, ())):
                found.setdefault(to, Receiver(to, record.id))
    return tuple(found.values())


def records(person: str, roster: Roster) -> tuple[Person, ...]:
    """Everything on the roster that is the human behind *person*, the record itself first."""
    same = [one for one in roster.people.values() if not one.removed and roster.same_human(one.id, person)]
    return tuple(sorted(same, key=lambda one: (one.id != person, one.id)))


def due(
    follows: Follows, state: str, shown: str, told: Row | None, reminders: int, wanted: bool
) -> Due | None:
    """What a receiver is to be told now: *told* is their row, *shown* the request's state in short, *wanted* whether they
    are among those who are told.
    """
    if told is not None and told["dropped"]:
        return None
    if told is None or not told["phases"]:
        return Due("opened", "opened") if wanted and state == "waiting" else None
    if state != "waiting":
        stale = follows != "no" and told["shown"].startswith(WAITING)
        return Due("ended", "ended") if stale else None
    reminder = f"reminded:{reminders}"
    if reminders and wanted and reminder not in told["phases"]:
        return Due("reminded", reminder)
    if follows == "changes" and told["shown"] != shown and f"changed:{shown}" not in told["phases"]:
        return Due("changed", f"changed:{shown}")
    return None


# --- quiet hours -------------------------------------------------------------------------------------------------


class Quiet(Struct, frozen=True):
    """Hours of a day, in minutes since midnight, in a time zone."""

    begin: int
    end: int
    zone: str = "UTC"


def parse_quiet(text: str) -> Quiet | None:
    """`22:00-07:00 Europe/Berlin`; None for an empty text. Raises `ChannelUnusable`."""
    if not text:
        return None
    found = _QUIET.fullmatch(text)
    if found is None:
        raise ChannelUnusable(f"quiet = {text[:60]!r} is not written like `22:00-07:00 Europe/Berlin`.")
    hours = [int(part) for part in found.groups()[:4]]
    begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if max(hours[0], hours[2]) > 23 or max(hours[1], hours[3]) > 59 or begin == end:
        raise ChannelUnusable(f"quiet = {text[:60]!r} has no such hours.")
    zone = found.group(5) or "UTC"
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ChannelUnusable(f"quiet names the time zone {zone[:60]!r}, which is not known here.") from error
    return Quiet(begin, end, zone)


def wake_at(quiet: Quiet | None, now_ms: int) -> int:
    """The first moment (ms) from *now_ms* on that is not quiet: *now_ms* itself outside of the hours."""
    if quiet is None:
        return now_ms
    zone = zoneinfo.ZoneInfo(quiet.zone)
    here = datetime.datetime.fromtimestamp(now_ms / 1000, tz=zone)
    minute = here.hour * 60 + here.minute
    within = (minute - quiet.begin) % _DAY < (quiet.end - quiet.begin) % _DAY
    if not within:
        return now_ms
    morning = here.replace(hour=quiet.end // 60, minute=quiet.end % 60, second=0, microsecond=0)
    if morning <= here:
        morning = (here + datetime.timedelta(days=1)).replace(
            hour=quiet.end // 60, minute=quiet.end % 60, second=0, microsecond=0
        )
    return max(now_ms + 1, int(morning.timestamp() * 1000))
