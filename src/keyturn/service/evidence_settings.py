"""The table `[evidence]` of keyturn.toml: how often controls are tested, and how often Keyturn says that it is there."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class EvidenceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Continuous testing of controls. What is left out here is a gap in the evidence, never a pass."""

    every: Annotated[int, Meta(ge=0, le=604_800)] = 3600
    """Seconds between two runs of all tests; 0 for none but those that are asked for. Auditors expect one a day at least."""
    window_days: Annotated[int, Meta(ge=1, le=3660)] = 90
    """How many days back a run looks."""
    heartbeat: Annotated[int, Meta(ge=0, le=86_400)] = 300
    """Seconds between two entries that say that Keyturn is there; 0 for none. Where three are missing the evidence has a gap."""
    limit: Annotated[int, Meta(ge=10, le=86_400)] = 1800
    """Seconds after which a run is ended: it counts as one that failed."""
