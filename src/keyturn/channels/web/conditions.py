"""Windows, freezes, on-call groups and what nobody could meet, as lines of the about page."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.channels.web.context import HealthLine
from keyturn.channels.web.wording import moment
from keyturn.service.conditions.overview import Overview


def health_lines(found: Overview) -> Iterator[HealthLine]:
    """One line for each window, freeze and group, and for each thing that can't be met."""
    for window in found.windows:
        opens = f"Closed; opens {moment(window.opens)}." if window.opens else "Does not open within a year."
        words = "Open." if window.open else opens
        yield HealthLine(f"Window {window.name}", "ok" if window.opens else "bad", words)
    for freeze in found.freezes:
        when = f"until {moment(freeze.ends)}" if freeze.on else f"from {moment(freeze.begins)} on"
        why = f": {freeze.because}" if freeze.because else ""
        yield HealthLine(
            f"Freeze {freeze.name}",
            "warning" if freeze.on else "ok",
            f"{freeze.decision.capitalize()}s {when}{why}",
        )
    for group in found.oncall:
        people = f"{', '.join(group.people)} until {moment(group.until)}" if group.people else "Nobody"
        unknown = f" Not on the roster: {', '.join(group.unknown)}." if group.unknown else ""
        fine = group.people and not group.unknown and not group.failing
        yield HealthLine(f"On call {group.group}", "ok" if fine else "warning", f"{people}.{unknown}")
    for one in found.unmet:
        yield HealthLine("Conditions", "bad" if one.state == "bad" else "warning", f"{one.what} {one.mend}")
