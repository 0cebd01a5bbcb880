"""Time zones by name. Source of the names: the IANA time zone database, as the system or the package `tzdata` brings it."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from keyturn.policy.problems import nearest


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """The zone called *name*. Raises `ValueError` with words for the author."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        known = available_timezones()
        hint = nearest(name, known) or ("" if known else "this machine has no time zone database")
        raise ValueError(f'there is no time zone "{name}"' + (f": {hint}" if hint else "")) from error
