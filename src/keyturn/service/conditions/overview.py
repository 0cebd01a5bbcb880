"""Windows, freezes, on-call groups and what nobody could meet, as of now."""

from __future__ import annotations

from msgspec import Struct

from keyturn.service.conditions import moments, oncall
from keyturn.service.conditions.health import Unmet, unmet
from keyturn.service.conditions.sources import CredentialsInvalid
from keyturn.service.core import Core
from keyturn.service.model import OnCallView


class WindowView(Struct, frozen=True):
    """A window: whether it is open, and when it opens next (milliseconds since 1970, None when not within a year)."""

    name: str
    timezone: str
    open: bool
    opens: int | None


class FreezeView(Struct, frozen=True):
    """A freeze that is on or to come. Times are milliseconds since 1970."""

    name: str
    begins: int
    ends: int
    decision: str
    because: str
    on: bool


class Overview(Struct, frozen=True):
    """What policy asks beside people, as of now."""

    windows: tuple[WindowView, ...]
    freezes: tuple[FreezeView, ...]
    oncall: tuple[OnCallView, ...]
    unmet: tuple[Unmet, ...]


def overview(core: Core) -> Overview:
    """As of now."""
    now = moments.moment(core)
    asked = core.policy.requirements
    windows = (
        WindowView(name, one.timezone, one.is_open(now), one.next_opening(now))
        for name, one in sorted(asked.windows.items())
    )
    freezes = (
        FreezeView(name, one.begins, one.ends, one.decision, one.because, one.in_force(now))
        for name, one in sorted(asked.freezes.items())
        if one.ends > now
    )
    try:
        credentials: tuple[str, ...] | None = tuple(core.sources.credentials())
    except CredentialsInvalid:
        credentials = None
    found = [*unmet(core.policy, core.rosters.all(), credentials, now)]
    groups = oncall.views(core)
    found += [
        Unmet(
            "warn" if one.people else "bad",
            f"The schedule of {one.group} gives no answer: {one.failing}.",
            "Mend its source; until then the last answer counts while it is valid.",
        )
        for one in groups
        if one.failing
    ]
    return Overview(tuple(windows), tuple(freezes), tuple(groups), tuple(found))
