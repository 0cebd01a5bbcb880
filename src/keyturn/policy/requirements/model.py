"""What requirements.toml says, as values."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from keyturn.policy.asking import Names
from keyturn.policy.decision import Obligations
from keyturn.policy.requirements.breakglass import BreakGlass
from keyturn.policy.requirements.freezes import Freeze
from keyturn.policy.requirements.oncall import Schedule
from keyturn.policy.requirements.tickets import Tickets
from keyturn.policy.requirements.tiers import Minimum, at_least
from keyturn.policy.requirements.windows import Window


class Requirements(Struct, frozen=True):
    """Everything requirements.toml says; each field is a section, or all sections of a kind by their names."""

    default: Obligations = Obligations()
    tiers: Mapping[str, Minimum] = {}
    windows: Mapping[str, Window] = {}
    freezes: Mapping[str, Freeze] = {}
    tickets: Tickets | None = None
    oncall: Mapping[str, Schedule] = {}
    drills: float = 0.0
    escalations: Mapping[str, tuple[int, str]] = {}
    breakglass: BreakGlass | None = None
    disclosure: str = "digests"

    @property
    def names(self) -> Names:
        """What demands may name."""
        return Names(tuple(self.windows), self.escalations)

    def for_tier(self, asked: Obligations, tier: str) -> Obligations:
        """*asked*, and what a hold of *tier* asks for at least. Raises `obligations.TooManyPeople`."""
        minimum = self.tiers.get(tier)
        return asked if minimum is None else at_least(asked, minimum)


NO_REQUIREMENTS = Requirements()
"""Without the file."""
