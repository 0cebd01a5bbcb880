"""What drift.toml says, as values."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from keyturn.policy.drift.attribution import AttributionRules
from keyturn.policy.drift.coverage import Covered
from keyturn.policy.drift.definitions import NO_DEFINITION_RULES, DefinitionRules
from keyturn.policy.drift.lag import NO_LAG, Lag
from keyturn.policy.drift.lexicon import Words
from keyturn.policy.drift.limits import Limit
from keyturn.policy.drift.orders import Order
from keyturn.policy.drift.ratchet import NO_RATCHET, Ratchet
from keyturn.policy.drift.responses import Responses
from keyturn.policy.drift.retention import Retention
from keyturn.policy.drift.statistics import Statistics


class DriftRules(Struct, frozen=True):
    """Everything drift.toml says; each field is a section, or all sections of a kind by their names."""

    lexicon: Words = {}
    retention: Mapping[str, Retention] = {}
    limits: Mapping[str, Limit] = {}
    responses: Responses = {}
    lag: Lag = NO_LAG
    orders: Mapping[str, Order] = {}
    attribution: AttributionRules = AttributionRules()
    definitions: DefinitionRules = NO_DEFINITION_RULES
    statistics: Statistics = Statistics()
    ratchet: Ratchet = NO_RATCHET
    coverage: tuple[Covered, ...] = ()


NO_DRIFT = DriftRules()
"""Without the file."""
