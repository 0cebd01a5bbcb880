"""`[statistics]`: what is sensitive, and how rarely statistics may be wrong.

    [statistics]
    days_between_false_alarms = 30
    sensitive = ["production", "secret", "private-key"]

`days_between_false_alarms` is a promise over the whole fleet: without any drift, all agents' detectors together raise one false alarm in
so many days on average, or fewer. A larger number means later alarms: the delay grows with its logarithm.
"""

from __future__ import annotations

from msgspec import Struct

from keyturn.policy.requirements.part import Part

MOST_DAYS = 3650
SENSITIVE_LABELS = ("production", "secret", "private-key")
"""Labels of the starter policy's resources.toml that make an action sensitive."""


class Statistics(Struct, frozen=True):
    """The section's values; its defaults hold without it."""

    days_between_false_alarms: float = 30.0
    sensitive: tuple[str, ...] = SENSITIVE_LABELS


def read_statistics(part: Part) -> Statistics:
    """The section."""
    part.known("days_between_false_alarms", "sensitive")
    days = part.body.get("days_between_false_alarms", 30)
    if isinstance(days, bool) or not isinstance(days, int | float) or not 1 <= days <= MOST_DAYS:
        part.wrong(
            "days_between_false_alarms",
            f"days_between_false_alarms is a number from 1 to {MOST_DAYS}: the mean time between false alarms of all agents together",
            "days_between_false_alarms = 30",
        )
        days = 30
    return Statistics(float(days), part.texts("sensitive") if "sensitive" in part.body else SENSITIVE_LABELS)
